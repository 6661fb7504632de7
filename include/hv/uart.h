/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart.h: a 16550A (National Semiconductor PC16550D data sheet).
 *
 * A model without surroundings: bytes go out through a function, bytes come in through
 * uart_receive(), the interrupt is a level that its owner reads. So it runs in a host test.
 */
#ifndef SAMEPAGE_HV_UART_H
#define SAMEPAGE_HV_UART_H

#include <ck_pr.h>
#include <lib/types.h>

#define UART_PORTS 8
#define UART_FIFO  16
#define UART_LSR   5 /* the offset of the line status register, and bits of it */
#define LSR_READY  0x01
#define LSR_EMPTY  0x60 /* the transmitter, and its holding register */

/* send: takes each byte the guest transmits; at once, so the transmitter is always empty. */
struct uart {
	void (*send)(void *context, char c);
	void *context;
	u8 ier, lcr, mcr, scratch, divisor_low, divisor_high;
	bool fifo_on;
	bool thr_empty_pending; /* the THR-empty interrupt has not been read from IIR yet */
	bool overrun;
	u8 fifo[UART_FIFO];
	u8 fifo_first, fifo_count;
};

void uart_init(struct uart *uart, void (*send)(void *context, char c), void *context);

/* `offset` is the port's, 0 to 7. */
u8 uart_read(struct uart *uart, unsigned offset);
void uart_write(struct uart *uart, unsigned offset, u8 value);

/*
 * A read of LSR, which drivers poll. False: it also ends an overrun. Any other call may run at the
 * same time: two bytes are loaded, of which the first decides.
 */
static inline bool uart_peek_lsr(const struct uart *uart, u8 *value)
{
	if (unlikely(ck_pr_load_8((const u8 *)&uart->overrun)))
		return false;
	*value = LSR_EMPTY | (ck_pr_load_8(&uart->fifo_count) ? LSR_READY : 0);
	return true;
}

/* Whether a byte that arrives now finds a place. */
bool uart_has_room(const struct uart *uart);

/* A byte from outside; lost, and reported to the guest as an overrun, when the FIFO is full. */
void uart_receive(struct uart *uart, u8 byte);

/* Does it assert its interrupt line? */
bool uart_irq(const struct uart *uart);

#endif
