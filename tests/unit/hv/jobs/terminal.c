/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.c: the way of typed bytes (TERMINAL-1 to TERMINAL-3).
 */
#include "sim/sim.h"
#include <arch/console.h>
#include <hv/pc.h>
#include <hv/terminal.h>
#include <hv/uart.h>
#include <hv/vm.h>

#define VMS 2

static struct vm vms[VMS];
static struct uart uarts[VMS];
static struct pc pc;
static const char *typed;
static bool wire, stopped[VMS];
static unsigned held;
static void (*on_wire)(void);

int arch_console_getc(void)
{
	return *typed ? (u8)*typed++ : -1;
}

struct vm *vm_get(unsigned number)
{
	return number < VMS ? &vms[number] : NULL;
}

bool vm_hold(struct vm *vm)
{
	held += !stopped[vm - vms];
	return !stopped[vm - vms];
}

void vm_release(struct vm *vm)
{
	assert_false(stopped[vm - vms] && held == 0);
	held--;
}

void vm_stop(struct vm *vm, enum vm_end end, u64 status)
{
	assert_int_equal(end, VM_END_KILLED);
	assert_int_equal(status, 0);
	stopped[vm - vms] = true;
}

static bool keyboard_full;
static char keys[16];

bool pc_keyboard_has_room(struct pc *board)
{
	return !keyboard_full;
}

void pc_keyboard_type(struct pc *board, char c)
{
	strncat(keys, &c, 1);
}

void pc_set_irq(struct pc *board, enum pc_irq irq, bool level)
{
	void (*then)(void) = on_wire;

	assert_ptr_equal(board, &pc);
	assert_int_equal(irq, PC_IRQ_UART);
	on_wire = NULL;
	if (then)
		then();
	wire = level;
}

static void nowhere(void *context, char c)
{
}

static char monitored[32];

static void open_monitor(void)
{
	monitored[0] = '\0';
}

static void type_monitor(char c)
{
	strncat(monitored, &c, 1);
}

static const struct terminal_monitor monitor = {open_monitor, type_monitor};

static int start(void **state)
{
	static const char *const names[VMS] = {"one", "two"};

	sim_init(1);
	for (unsigned i = 0; i < VMS; i++) {
		vms[i] = (struct vm){.pc = &pc, .uart = &uarts[i]};
		console_init(&vms[i].console, names[i], 1000);
		uart_init(&uarts[i], nowhere, NULL);
		uart_write(&uarts[i], 2, 1); /* FIFO on */
		uart_write(&uarts[i], 1, 1); /* interrupt when a byte is there */
		stopped[i] = false;
	}
	typed = "";
	wire = false;
	held = 0;
	on_wire = NULL;
	terminal_start(1, &monitor);
	return 0;
}

static void type(const char *text)
{
	typed = text;
	(void)terminal_poll(false);
	assert_int_equal(held, 0);
}

static void gets(unsigned vm, const char *text)
{
	for (; *text; text++)
		assert_int_equal(uart_read(&uarts[vm], 0), (u8)*text);
	assert_int_equal(uart_read(&uarts[vm], 5) & 1, 0);
}

static void the_attached_guest_gets_the_bytes_and_an_interrupt(void **state)
{
	type("ls\r");
	assert_true(wire);
	gets(0, "ls\r");
	gets(1, "");
}

/* TERMINAL-1. */
static void what_is_typed_ahead_waits(void **state)
{
	type("0123456789abcdefghij");
	assert_string_equal(typed, "ghij");
	gets(0, "0123456789abcdef");
	(void)terminal_poll(false);
	gets(0, "ghij");
}

static void the_escape_moves_the_terminal(void **state)
{
	type("a\x1d"
	     "2b\x1d\x1d"
	     "c");
	gets(0, "a");
	gets(1, "b\x1d"
		"c");
	assert_false(vms[0].console.raw);
	assert_true(vms[1].console.raw);
	type("\x1d"
	     "dx");
	gets(1, "");
	assert_false(vms[1].console.raw);
}

static void the_escape_ends_one_guest_or_all(void **state)
{
	type("\x1dk");
	assert_true(stopped[0]);
	assert_false(stopped[1]);
	type("lost");
	gets(0, "");
	type("\x1dq");
	assert_true(stopped[1]);
}

static void the_monitor_has_the_keyboard_until_a_digit(void **state)
{
	type("a\x1dmstats\r\x1d"
	     "2b");
	gets(0, "a");
	assert_string_equal(monitored, "stats\r");
	gets(1, "b");
	assert_false(vms[0].console.raw);
	type("\x1d?c");
	gets(1, "c");
}

static void guest_reads_all(void)
{
	while (uart_read(&uarts[0], 5) & 1)
		(void)uart_read(&uarts[0], 0);
}

/* keyboard=yes; TERMINAL-1 holds there, too. */
static void a_guest_with_a_keyboard_gets_keys(void **state)
{
	vms[0].config.keyboard = true;
	type("ls");
	assert_string_equal(keys, "ls");
	gets(0, "");
	keyboard_full = true;
	type("x");
	assert_string_equal(typed, "x");
	keyboard_full = false;
}

static void five_milliseconds_pass(void)
{
	sim_ticks += arch_ticks_per_second() / 200;
	(void)terminal_poll(false);
}

/* TERMINAL-3: what is typed faster waits. */
static void a_bios_gets_a_byte_in_five_milliseconds(void **state)
{
	vms[0].config.type = VM_BIOS;
	five_milliseconds_pass();
	type("abc");
	gets(0, "a");
	(void)terminal_poll(false);
	gets(0, "");
	five_milliseconds_pass();
	gets(0, "b");
	assert_string_equal(typed, "c");
	five_milliseconds_pass();
	gets(0, "c");
}

/* TERMINAL-2: the guest reads the byte between the look at the chip and the move of the wire. */
static void the_wire_ends_at_the_level_of_the_chip(void **state)
{
	on_wire = guest_reads_all;
	type("x");
	assert_false(wire);
}

static void without_a_number_nothing_is_polled(void **state)
{
	terminal_start(0, &monitor);
	type("x");
	assert_string_equal(typed, "x");
	assert_true(terminal_alarm() == TICK_NEVER);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_attached_guest_gets_the_bytes_and_an_interrupt),
		TEST(what_is_typed_ahead_waits),
		TEST(the_escape_moves_the_terminal),
		TEST(the_escape_ends_one_guest_or_all),
		TEST(the_monitor_has_the_keyboard_until_a_digit),
		TEST(the_wire_ends_at_the_level_of_the_chip),
		TEST(a_guest_with_a_keyboard_gets_keys),
		TEST(a_bios_gets_a_byte_in_five_milliseconds),
		TEST(without_a_number_nothing_is_polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
