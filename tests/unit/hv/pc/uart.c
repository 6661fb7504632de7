/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart.c: the 16550A as a driver meets it.
 */
#include "sim/sim.h"
#include <hv/uart.h>

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct uart uart;
static char sent[64];
static unsigned sent_count;

static void take(void *context, char c)
{
	assert_ptr_equal(context, &uart);
	assert_true(sent_count < sizeof(sent));
	sent[sent_count++] = c;
}

static int start(void **state)
{
	sent_count = 0;
	uart_init(&uart, take, &uart);
	return 0;
}

static void what_is_written_is_sent_at_once(void **state)
{
	for (const char *at = "hello"; *at; at++) {
		assert_int_equal(uart_read(&uart, LSR), 0x60);
		uart_write(&uart, DATA, (u8)*at);
	}
	assert_int_equal(sent_count, 5);
	assert_memory_equal(sent, "hello", 5);
}

static void the_divisor_hides_behind_dlab(void **state)
{
	uart_write(&uart, IER, 5);
	uart_write(&uart, LCR, 0x83);
	uart_write(&uart, DATA, 0x0c);
	uart_write(&uart, IER, 0x01);
	assert_int_equal(uart_read(&uart, DATA), 0x0c);
	assert_int_equal(uart_read(&uart, IER), 0x01);
	uart_write(&uart, LCR, 0x03);
	assert_int_equal(uart_read(&uart, IER), 5);
	assert_int_equal(uart_read(&uart, LCR), 3);
	assert_int_equal(sent_count, 0);
}

static void a_16550a_is_recognised_by_its_fifo_bits(void **state)
{
	assert_int_equal(uart_read(&uart, IIR) >> 6, 0);
	uart_write(&uart, IIR, 1);
	assert_int_equal(uart_read(&uart, IIR) >> 6, 3);
	uart_write(&uart, SCR, 0xa5);
	assert_int_equal(uart_read(&uart, SCR), 0xa5);
}

static void received_bytes_come_in_order_and_overruns_are_reported(void **state)
{
	uart_write(&uart, IIR, 1);
	for (unsigned i = 0; i < UART_FIFO + 1; i++)
		uart_receive(&uart, (u8)(i + 1));
	assert_int_equal(uart_read(&uart, LSR), 0x63);
	assert_int_equal(uart_read(&uart, LSR), 0x61);
	for (unsigned i = 0; i < UART_FIFO; i++)
		assert_int_equal(uart_read(&uart, DATA), i + 1);
	assert_int_equal(uart_read(&uart, LSR), 0x60);
	assert_int_equal(uart_read(&uart, DATA), 0);
}

static void a_peek_at_the_line_status_reads_the_same_but_for_an_overrun(void **state)
{
	u8 value = 0;

	assert_true(uart_peek_lsr(&uart, &value));
	assert_int_equal(value, uart_read(&uart, LSR));
	uart_receive(&uart, 'a');
	assert_true(uart_peek_lsr(&uart, &value));
	assert_int_equal(value, uart_read(&uart, LSR));
	uart_receive(&uart, 'b');
	assert_false(uart_peek_lsr(&uart, &value));
	assert_int_equal(uart_read(&uart, LSR) & 2, 2);
	assert_true(uart_peek_lsr(&uart, &value));
}

static void without_fifo_one_byte_fits(void **state)
{
	uart_receive(&uart, 'a');
	uart_receive(&uart, 'b');
	assert_int_equal(uart_read(&uart, LSR) & 2, 2);
	assert_int_equal(uart_read(&uart, DATA), 'a');
	assert_int_equal(uart_read(&uart, LSR) & 1, 0);
}

static void a_received_byte_interrupts_until_it_is_read(void **state)
{
	uart_receive(&uart, 'a');
	assert_false(uart_irq(&uart));
	uart_write(&uart, IER, 1);
	assert_true(uart_irq(&uart));
	assert_int_equal(uart_read(&uart, IIR), 4);
	assert_true(uart_irq(&uart));
	uart_read(&uart, DATA);
	assert_false(uart_irq(&uart));
	assert_int_equal(uart_read(&uart, IIR), 1);
}

static void an_empty_transmitter_interrupts_once(void **state)
{
	uart_write(&uart, IER, 2);
	assert_true(uart_irq(&uart));
	assert_int_equal(uart_read(&uart, IIR), 2);
	assert_false(uart_irq(&uart));
	uart_write(&uart, DATA, 'x');
	assert_true(uart_irq(&uart));
}

static void an_overrun_comes_before_data(void **state)
{
	uart_write(&uart, IER, 7);
	uart_receive(&uart, 'a');
	uart_receive(&uart, 'b');
	assert_int_equal(uart_read(&uart, IIR), 6);
	uart_read(&uart, LSR);
	assert_int_equal(uart_read(&uart, IIR), 4);
}

static void loopback_returns_bytes_and_modem_lines(void **state)
{
	static const u8 outputs[] = {0x01, 0x02, 0x04, 0x08}, inputs[] = {0x20, 0x10, 0x40, 0x80};

	assert_int_equal(uart_read(&uart, MSR), 0xb0);
	for (unsigned i = 0; i < 4; i++) {
		uart_write(&uart, MCR, 0x10 | outputs[i]);
		assert_int_equal(uart_read(&uart, MSR), inputs[i]);
	}
	uart_write(&uart, DATA, 'q');
	assert_int_equal(sent_count, 0);
	assert_int_equal(uart_read(&uart, DATA), 'q');
}

/* Whatever is written where, every read is defined and the FIFO stays in its bounds. */
static void no_sequence_of_writes_breaks_it(void **state)
{
	u32 random = 1;

	for (unsigned i = 0; i < 1000000; i++) {
		random = random * 1664525 + 1013904223;
		sent_count = 0;
		if (random >> 31)
			uart_write(&uart, random >> 8 & 7, (u8)(random >> 16));
		else if (random >> 30)
			uart_receive(&uart, (u8)random);
		else
			uart_read(&uart, random >> 8 & 7);
		assert_true(uart.fifo_count <= UART_FIFO && uart.fifo_first < UART_FIFO);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_sent_at_once),
		TEST(the_divisor_hides_behind_dlab),
		TEST(a_16550a_is_recognised_by_its_fifo_bits),
		TEST(received_bytes_come_in_order_and_overruns_are_reported),
		TEST(a_peek_at_the_line_status_reads_the_same_but_for_an_overrun),
		TEST(without_fifo_one_byte_fits),
		TEST(a_received_byte_interrupts_until_it_is_read),
		TEST(an_empty_transmitter_interrupts_once),
		TEST(an_overrun_comes_before_data),
		TEST(loopback_returns_bytes_and_modem_lines),
		TEST(no_sequence_of_writes_breaks_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
