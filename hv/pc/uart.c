/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart.c: the 16550A's registers.
 *
 *     offset  0        1    2        3    4    5    6    7
 *     read    RBR/DLL  IER  IIR      LCR  MCR  LSR  MSR  SCR      DLL, DLM while LCR.DLAB is set
 *     write   THR/DLL  IER  FCR      LCR  MCR  -    -    SCR
 *
 * Time does not exist here: a byte written is sent at once, so LSR always says that the transmitter
 * is empty, and a driver that polls never waits.
 */
#include <hv/uart.h>

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR = UART_LSR, MSR, SCR };

enum {
	IER_RECEIVED = 1,
	IER_THR_EMPTY = 2,
	IER_LINE = 4,
	IER_MASK = 15,
	IIR_NONE = 1,
	IIR_THR_EMPTY = 2,
	IIR_RECEIVED = 4,
	IIR_LINE = 6,
	IIR_FIFO = 0xc0,
	FCR_ON = 1,
	FCR_CLEAR_RECEIVE = 2,
	LCR_DLAB = 0x80,
	MCR_DTR = 1,
	MCR_RTS = 2,
	MCR_OUT1 = 4,
	MCR_OUT2 = 8,
	MCR_LOOP = 16,
	MCR_MASK = 31,
	LSR_OVERRUN = 2,
	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
};

void uart_init(struct uart *uart, void (*send)(void *context, char c), void *context)
{
	*uart = (struct uart){.send = send, .context = context, .divisor_low = 1};
}

bool uart_has_room(const struct uart *uart)
{
	return uart->fifo_count < (uart->fifo_on ? UART_FIFO : 1);
}

void uart_receive(struct uart *uart, u8 byte)
{
	if (!uart_has_room(uart)) {
		uart->overrun = true;
		return;
	}
	uart->fifo[(uart->fifo_first + uart->fifo_count) % UART_FIFO] = byte;
	uart->fifo_count++;
}

static u8 receive_buffer(struct uart *uart)
{
	u8 byte = uart->fifo[uart->fifo_first];

	if (uart->fifo_count == 0)
		return 0;
	uart->fifo_first = (u8)((uart->fifo_first + 1) % UART_FIFO);
	uart->fifo_count--;
	return byte;
}

/* The interrupt of highest priority, as IIR names it (data sheet, table IV). */
static u8 pending_interrupt(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && uart->overrun)
		return IIR_LINE;
	if ((uart->ier & IER_RECEIVED) && uart->fifo_count > 0)
		return IIR_RECEIVED;
	if ((uart->ier & IER_THR_EMPTY) && uart->thr_empty_pending)
		return IIR_THR_EMPTY;
	return IIR_NONE;
}

bool uart_irq(const struct uart *uart)
{
	return pending_interrupt(uart) != IIR_NONE;
}

/* Reading IIR acknowledges THR-empty, and only that. */
static u8 read_iir(struct uart *uart)
{
	u8 cause = pending_interrupt(uart);

	if (cause == IIR_THR_EMPTY)
		uart->thr_empty_pending = false;
	return cause | (uart->fifo_on ? IIR_FIFO : 0);
}

static u8 read_lsr(struct uart *uart)
{
	u8 value = LSR_EMPTY;

	if (uart->fifo_count > 0)
		value |= LSR_READY;
	if (uart->overrun)
		value |= LSR_OVERRUN;
	uart->overrun = false;
	return value;
}

/* In loopback the modem's inputs are our own outputs, by which drivers detect the chip. */
static u8 read_msr(const struct uart *uart)
{
	u8 value = 0;

	if (!(uart->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (uart->mcr & MCR_RTS)
		value |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		value |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		value |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		value |= MSR_DCD;
	return value;
}

u8 uart_read(struct uart *uart, unsigned offset)
{
	bool divisor = uart->lcr & LCR_DLAB;

	switch (offset) {
	case RBR_THR:
		return divisor ? uart->divisor_low : receive_buffer(uart);
	case IER:
		return divisor ? uart->divisor_high : uart->ier;
	case IIR_FCR:
		return read_iir(uart);
	case LCR:
		return uart->lcr;
	case MCR:
		return uart->mcr;
	case LSR:
		return read_lsr(uart);
	case MSR:
		return read_msr(uart);
	case SCR:
		return uart->scratch;
	default:
		return 0xff;
	}
}

static void transmit_byte(struct uart *uart, u8 byte)
{
	if (uart->mcr & MCR_LOOP)
		uart_receive(uart, byte);
	else
		uart->send(uart->context, (char)byte);
	uart->thr_empty_pending = true;
}

static void write_ier(struct uart *uart, u8 value)
{
	/* Enabling THR-empty while the transmitter is empty raises it at once. */
	if ((value & IER_THR_EMPTY) && !(uart->ier & IER_THR_EMPTY))
		uart->thr_empty_pending = true;
	uart->ier = value & IER_MASK;
}

static void write_fcr(struct uart *uart, u8 value)
{
	bool on = value & FCR_ON;

	if (on != uart->fifo_on || (value & FCR_CLEAR_RECEIVE))
		uart->fifo_count = 0;
	uart->fifo_on = on;
}

void uart_write(struct uart *uart, unsigned offset, u8 value)
{
	bool divisor = uart->lcr & LCR_DLAB;

	switch (offset) {
	case RBR_THR:
		if (divisor)
			uart->divisor_low = value;
		else
			transmit_byte(uart, value);
		break;
	case IER:
		if (divisor)
			uart->divisor_high = value;
		else
			write_ier(uart, value);
		break;
	case IIR_FCR:
		write_fcr(uart, value);
		break;
	case LCR:
		uart->lcr = value;
		break;
	case MCR:
		uart->mcr = value & MCR_MASK;
		break;
	case SCR:
		uart->scratch = value;
		break;
	default:
		break;
	}
}
