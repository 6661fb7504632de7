/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.c: keyboard input. terminal.h has the picture.
 *
 * Invariants:
 * TERMINAL-1  a byte is taken from the machine's UART only when the guest's has room: input that is
 *             typed ahead stays there.
 * TERMINAL-2  the wire of a guest's UART ends up at the level of the chip, though two CPUs drive it
 *             (the guest's, and CPU 0 for input) and the chip's lock is not held meanwhile.
 * TERMINAL-3  a VM with a BIOS gets at most one byte in 5 ms. SeaBIOS empties COM1 at each tick of
 *             its clock, 55 ms, into 16 bytes, keeps 15 keys, and drops what is more.
 *
 * Without the second read of the level (TERMINAL-2):
 *
 *     CPU 0, a byte was typed          CPU 1, the guest reads the last byte
 *     level = high
 *                                      level = low; wire low
 *     wire high: no edge is left for the next byte
 *
 * Each CPU reads the level again after it has driven the wire, so the last one to drive it has read
 * the level that stays.
 */
#include <hv/terminal.h>
#include <arch/console.h>
#include <arch/cpu.h>
#include <hv/pc.h>
#include <hv/uart.h>
#include <hv/vm.h>
#include <lib/log.h>

#define LOG_THIS LOG_VM

#define ESCAPE		      0x1d /* Ctrl-] */
#define DETACHED	      ~0u
#define BIOS_BYTES_PER_SECOND 200

/*
 * Of CPU 0. `attached` is a VM's number, from 0; rests_until: tick before which a VM with a BIOS
 * gets no byte.
 */
static struct {
	bool on, escaped, monitor;
	unsigned attached;
	u64 rests_until;
	const struct terminal_monitor *reader;
} terminal = {.attached = DETACHED};

static bool uart_level(struct vm *vm)
{
	bool level;

	spin_lock(&vm->console.lock);
	level = uart_irq(vm->uart);
	spin_unlock(&vm->console.lock);
	return level;
}

void terminal_follow_uart(struct vm *vm)
{
	bool level;

	if (!vm->pc)
		return;
	do {
		level = uart_level(vm);
		pc_set_irq(vm->pc, PC_IRQ_UART, level);
	} while (uart_level(vm) != level);
}

static void terminal_attach(unsigned number)
{
	struct vm *old = vm_get(terminal.attached), *vm = vm_get(number);

	if (old)
		console_set_raw(&old->console, false);
	terminal.attached = vm ? number : DETACHED;
	terminal.monitor = false;
	if (!vm) {
		log_info("terminal: no guest; Ctrl-] and a digit attaches one, Ctrl-] ? lists the "
			 "keys");
		return;
	}
	log_info("terminal: of %s now; Ctrl-] d detaches it", vm->config.name);
	console_set_raw(&vm->console, true);
}

static void stop_all(void)
{
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++)
		vm_stop(vm, VM_END_KILLED, 0);
}

static void terminal_list_keys(void)
{
	static const char keys[] =
		"\nCtrl-] and a digit: to that guest; d: to none; m: to the monitor;\n"
		"    k: ends the guest; q: ends all; ?: this list; Ctrl-]: itself\n";

	console_write(keys, sizeof(keys) - 1);
}

static void terminal_open_monitor(void)
{
	struct vm *old = vm_get(terminal.attached);

	if (old)
		console_set_raw(&old->console, false);
	terminal.attached = DETACHED;
	terminal.monitor = true;
	terminal.reader->open();
}

static void terminal_command(int c)
{
	struct vm *vm = vm_get(terminal.attached);

	if (c >= '1' && c <= '9')
		terminal_attach((unsigned)(c - '1'));
	else if (c == 'd')
		terminal_attach(DETACHED);
	else if (c == 'k' && vm)
		vm_stop(vm, VM_END_KILLED, 0);
	else if (c == 'q')
		stop_all();
	else if (c == 'm' && terminal.reader)
		terminal_open_monitor();
	else if (c == '?')
		terminal_list_keys();
}

static bool has_input(const struct vm *vm)
{
	return vm->input.is_open && vm->input.is_open(vm->input.context);
}

static bool vm_has_room(struct vm *vm)
{
	bool room;

	if (has_input(vm))
		return vm->input.has_room(vm->input.context);
	if (vm->config.keyboard)
		return pc_keyboard_has_room(vm->pc);
	if (vm->config.type == VM_BIOS && arch_ticks() < terminal.rests_until)
		return false;
	spin_lock(&vm->console.lock);
	room = uart_has_room(vm->uart);
	spin_unlock(&vm->console.lock);
	return room;
}

static void vm_type(struct vm *vm, u8 byte)
{
	if (has_input(vm)) {
		vm->input.type(vm->input.context, byte);
		return;
	}
	if (vm->config.keyboard) {
		pc_keyboard_type(vm->pc, (char)byte);
		return;
	}
	spin_lock(&vm->console.lock);
	uart_receive(vm->uart, byte);
	spin_unlock(&vm->console.lock);
	terminal.rests_until = arch_ticks() + arch_ticks_per_second() / BIOS_BYTES_PER_SECOND;
	terminal_follow_uart(vm);
}

/* One byte, if there is one and room for it. `vm`, if there is one, is held. */
static bool terminal_take(struct vm *vm)
{
	int c;

	if (vm && !vm_has_room(vm))
		return false;
	c = arch_console_getc();
	if (c < 0)
		return false;
	if (c == ESCAPE && !terminal.escaped) {
		terminal.escaped = true;
		return true;
	}
	if (terminal.escaped && c != ESCAPE)
		terminal_command(c);
	else if (vm)
		vm_type(vm, (u8)c);
	else if (terminal.monitor)
		terminal.reader->type((char)c);
	terminal.escaped = false;
	return true;
}

bool terminal_poll(bool idle)
{
	bool more = terminal.on && arch_cpu_id() == 0;

	while (more) {
		struct vm *vm = vm_get(terminal.attached);
		bool held = vm && vm_hold(vm);

		more = terminal_take(held ? vm : NULL);
		if (held)
			vm_release(vm);
	}
	return false;
}

u64 terminal_alarm(void)
{
	if (!terminal.on || arch_cpu_id() != 0)
		return TICK_NEVER;
	return arch_ticks() + arch_ticks_per_second() / 200;
}

void terminal_start(unsigned number, const struct terminal_monitor *monitor)
{
	terminal.reader = monitor;
	terminal.rests_until = 0;
	terminal.on = number > 0;
	if (terminal.on)
		terminal_attach(number - 1);
}
