/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c: COM2, polled.
 *
 * THRE says that the whole FIFO is empty, so as many bytes as it has places follow without another
 * look. A receiver that does not read keeps THRE clear, and then there is no room.
 */
#include <arch/channel.h>
#include <asm/io.h>
#include <asm/uart.h>

#define COM2	   0x2f8
#define FIFO_BYTES 16

/* fifo: places of the transmitter; room: those known to be free. */
static unsigned fifo, room;

bool arch_channel_init(void)
{
	if (!uart_setup(COM2))
		return false;
	fifo = (io_read8(COM2 + UART_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_BYTES : 1;
	return true;
}

int arch_channel_getc(void)
{
	if (!(io_read8(COM2 + UART_LSR) & LSR_DATA))
		return -1;
	return io_read8(COM2 + UART_DATA);
}

bool arch_channel_putc(u8 byte)
{
	if (!room && io_read8(COM2 + UART_LSR) & LSR_THRE)
		room = fifo;
	if (!room)
		return false;
	room--;
	io_write8(COM2 + UART_DATA, byte);
	return true;
}

bool arch_channel_is_drained(void)
{
	return io_read8(COM2 + UART_LSR) & LSR_TEMT;
}
