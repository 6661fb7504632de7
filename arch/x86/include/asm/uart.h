/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart.h: the registers of a 16550, by their offset from its first port.
 */
#ifndef SAMEPAGE_ASM_UART_H
#define SAMEPAGE_ASM_UART_H

#include <lib/types.h>

#define UART_DATA    0
#define UART_DLL     0
#define UART_IER     1
#define UART_DLM     1
#define UART_IIR     2
#define UART_FCR     2
#define UART_LCR     3
#define UART_MCR     4
#define UART_LSR     5
#define UART_SCRATCH 7

#define LCR_8N1	  0x03
#define LCR_DLAB  0x80
#define FCR_ON	  0x07 /* FIFOs on and empty */
#define MCR_READY 0x03 /* DTR, RTS */
#define IIR_FIFO  0xc0 /* both: the FIFOs are on */
#define LSR_DATA  0x01
#define LSR_THRE  0x20
#define LSR_TEMT  0x40

/*
 * Sets the UART at port `base` up: 115200 baud, 8N1, FIFOs on, no interrupts. False: there is none;
 * all ones are read there, and the scratch register keeps no value.
 */
bool uart_setup(u16 base);

#endif
