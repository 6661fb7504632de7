/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.c: a guest's text, by the UART, and its checks.
 */
#include <guest.h>
#include <lib.h>
#include <stdarg.h>

#define UART_LSR	5
#define UART_LSR_EMPTY	0x20
#define UART_FIFO_BYTES 16

static unsigned failed;
static bool busy;

/* A 16550A takes 16 bytes once it says that it is empty. */
static void send(char c)
{
	static unsigned room;

	while (room == 0)
		room = in8(MACHINE_PORT_UART + UART_LSR) & UART_LSR_EMPTY ? UART_FIFO_BYTES : 0;
	room--;
	out8(MACHINE_PORT_UART, (u8)c);
}

static void send_text(const char *text)
{
	while (*text)
		send(*text++);
}

static void send_number(u64 value, unsigned base, unsigned width, bool negative)
{
	char digits[24];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		send('-');
	for (; width > count; width--)
		send('0');
	while (count)
		send(digits[--count]);
}

static void send_signed(s64 value)
{
	send_number(value < 0 ? -(u64)value : (u64)value, 10, 0, value < 0);
}

static void print_list(const char *format, va_list list)
{
	for (; *format; format++) {
		unsigned width = 0, longs = 0;

		if (*format != '%') {
			send(*format);
			continue;
		}
		for (format++; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (unsigned)(*format - '0');
		for (; *format == 'l'; format++)
			longs++;
		if (*format == 's')
			send_text(va_arg(list, const char *));
		else if (*format == 'c')
			send((char)va_arg(list, int));
		else if (*format == 'd')
			send_signed(longs ? va_arg(list, s64) : va_arg(list, int));
		else if (*format == 'u' || *format == 'x')
			send_number(longs ? va_arg(list, u64) : va_arg(list, unsigned),
				    *format == 'u' ? 10 : 16, width, false);
		else
			send(*format);
	}
}

/* A line of one vCPU is not mixed with another's; the other one may be waiting for our CPU. */
static void begin(void)
{
	while (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

static void end(void)
{
	__atomic_store_n(&busy, false, __ATOMIC_RELEASE);
}

void print(const char *format, ...)
{
	va_list list;

	begin();
	va_start(list, format);
	print_list(format, list);
	va_end(list);
	end();
}

bool check(bool good, const char *format, ...)
{
	va_list list;

	begin();
	failed += !good;
	send_text(good ? "ok - " : "not ok - ");
	va_start(list, format);
	print_list(format, list);
	va_end(list);
	send('\n');
	end();
	return good;
}

void guest_end(void)
{
	print("%s: %u failed\n", failed ? "FAILED" : "passed", failed);
	hypercall(HYPERCALL_SHUTDOWN, failed, 0, 0, 0);
	for (;;)
		asm volatile("cli; hlt");
}
