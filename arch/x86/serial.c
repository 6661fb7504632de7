/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial.c: the console on COM1 and the debug port.
 *
 * Each character waits for THRE, or the emulators lose it. A machine without a UART reads all ones:
 * its scratch register does not keep a value, and nothing is sent there.
 *
 * The wait is bounded: the other end may not read (a stopped terminal). Then characters are
 * dropped, each after one poll, until there is room again.
 */
#include <arch/console.h>
#include <asm/console.h>
#include <asm/insn.h>
#include <asm/io.h>
#include <asm/uart.h>

#define COM1	    0x3f8
#define DEBUG_PORT  0xe9 /* reads as 0xe9 where it exists: Bochs' port_e9_hack, QEMU's debugcon */
#define WAIT_ROUNDS 1000000

static bool has_uart, has_debug_port, stalled;

bool uart_setup(u16 base)
{
	io_write8(base + UART_SCRATCH, 0x5a);
	if (io_read8(base + UART_SCRATCH) != 0x5a)
		return false;
	io_write8(base + UART_IER, 0);
	io_write8(base + UART_LCR, LCR_DLAB);
	io_write8(base + UART_DLL, 1); /* 115200 baud */
	io_write8(base + UART_DLM, 0);
	io_write8(base + UART_LCR, LCR_8N1);
	io_write8(base + UART_FCR, FCR_ON);
	io_write8(base + UART_MCR, MCR_READY);
	return true;
}

void serial_init(void)
{
	has_debug_port = io_read8(DEBUG_PORT) == 0xe9;
	has_uart = uart_setup(COM1);
}

static bool serial_wait_for(u8 status)
{
	unsigned rounds = stalled ? 1 : WAIT_ROUNDS;

	stalled = true;
	for (; stalled && rounds; rounds--) {
		stalled = !(io_read8(COM1 + UART_LSR) & status);
		if (stalled)
			cpu_pause();
	}
	return !stalled;
}

static void serial_put(u8 c)
{
	if (has_debug_port)
		io_write8(DEBUG_PORT, c);
	if (has_uart && serial_wait_for(LSR_THRE))
		io_write8(COM1 + UART_DATA, c);
}

void serial_write(const char *text, size_t len)
{
	for (; len; len--, text++) {
		if (*text == '\n')
			serial_put('\r');
		serial_put((u8)*text);
	}
}

void serial_drain(void)
{
	if (has_uart)
		(void)serial_wait_for(LSR_TEMT);
}

int arch_console_getc(void)
{
	if (!has_uart || !(io_read8(COM1 + UART_LSR) & LSR_DATA))
		return -1;
	return io_read8(COM1 + UART_DATA);
}
