/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pio.c: the I/O bus of a VM: the device at each port, and IN, OUT, INS, OUTS.
 *
 * A port without a device reads all ones and drops writes, as on a bus; each such access is
 * counted. An access wider than a byte to a byte-wide device is one access to neighbouring ports,
 * under one lock.
 */
#include <hv/pio.h>
#include <abi/machine.h>
#include <arch/regs.h>
#include <ck_pr.h>
#include <hv/pc.h>
#include <hv/terminal.h>
#include <hv/uart.h>
#include <hv/vcpu.h>
#include "hv/emulate/private.h"
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_DEVICE

/*
 * read, write: `size` bytes from `offset` on, all of them the device's, in one hold of its lock.
 * any_width: an access that begins here is the device's as a whole.
 */
struct device {
	u16 first, count;
	const char *name;
	u32 (*read)(struct vm *vm, unsigned offset, unsigned size);
	void (*write)(struct vm *vm, unsigned offset, unsigned size, u32 value);
	bool any_width;
};

static __noinline u32 serial_read_locked(struct vm *vm, unsigned offset, unsigned size)
{
	u32 value = 0;

	spin_lock(&vm->console.lock);
	for (unsigned i = 0; i < size; i++)
		value |= (u32)uart_read(vm->uart, offset + i) << (8 * i);
	spin_unlock(&vm->console.lock);
	terminal_follow_uart(vm);
	return value;
}

static u32 serial_read(struct vm *vm, unsigned offset, unsigned size)
{
	u8 value;

	if (size == 1 && offset == UART_LSR && uart_peek_lsr(vm->uart, &value))
		return value;
	return serial_read_locked(vm, offset, size);
}

static void serial_write(struct vm *vm, unsigned offset, unsigned size, u32 value)
{
	spin_lock(&vm->console.lock);
	for (unsigned i = 0; i < size; i++)
		uart_write(vm->uart, offset + i, (u8)(value >> (8 * i)));
	spin_unlock(&vm->console.lock);
	terminal_follow_uart(vm);
}

static u32 debug_read(struct vm *vm, unsigned offset, unsigned size)
{
	return MACHINE_PORT_CONSOLE; /* a guest detects the port by it */
}

static void debug_write(struct vm *vm, unsigned offset, unsigned size, u32 value)
{
	spin_lock(&vm->console.lock);
	console_put(&vm->console, (char)value);
	spin_unlock(&vm->console.lock);
}

static u32 post_read(struct vm *vm, unsigned offset, unsigned size)
{
	return 0;
}

static void post_write(struct vm *vm, unsigned offset, unsigned size, u32 value)
{
}

static void exit_write(struct vm *vm, unsigned offset, unsigned size, u32 value)
{
	vm_stop(vm, VM_END_SHUTDOWN, value);
}

static const struct device devices[] = {
	{MACHINE_PORT_UART, UART_PORTS, "uart", serial_read, serial_write, false},
	{MACHINE_PORT_CONSOLE, 1, "console", debug_read, debug_write, false},
	{MACHINE_PORT_POST, 1, "post", post_read, post_write, false},
	{MACHINE_PORT_EXIT, 1, "exit", NULL, exit_write, true},
};

static const struct device *find_device(unsigned port)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		if (port - devices[i].first < devices[i].count)
			return &devices[i];
	}
	return NULL;
}

/* The bytes from `port` on that belong to `device`, or none of them to any; at most `size`. */
static unsigned bytes_of(const struct device *device, unsigned port, unsigned size)
{
	unsigned bytes = 1;

	if (device && device->any_width)
		return size;
	while (bytes < size && find_device((port + bytes) & 0xffff) == device)
		bytes++;
	return bytes;
}

static void count_lost(struct vm *vm, unsigned bytes)
{
	if (bytes)
		ck_pr_add_64(&vm->lost_ports, bytes);
}

/* What no device of the table reads: the board's, or nothing. */
static __noinline u32 board_read(struct vm *vm, bool board, unsigned port, unsigned size)
{
	u32 value = (u32)BITS(8 * size - 1, 0);
	unsigned bytes = board ? pc_port_read(vm->pc, (u16)port, size, &value) : 0;

	count_lost(vm, size - bytes);
	return value;
}

/* One access to one device, to the board, or to nothing. */
static __always_inline u32 bus_read(struct vm *vm, const struct device *device, unsigned port,
				    unsigned size)
{
	if (likely(device && device->read))
		return device->read(vm, port - device->first, size);
	return board_read(vm, vm->pc && !device, port, size);
}

static void bus_write(struct vm *vm, const struct device *device, unsigned port, unsigned size,
		      u32 value)
{
	if (likely(device))
		device->write(vm, port - device->first, size, value);
	else
		count_lost(vm, size - (vm->pc ? pc_port_write(vm->pc, (u16)port, size, value) : 0));
}

static __cold u32 read_wide(struct vm *vm, unsigned port, unsigned size)
{
	u32 value = 0;

	for (unsigned at = 0, bytes; at < size; at += bytes, port = (port + bytes) & 0xffff) {
		const struct device *device = find_device(port);

		bytes = bytes_of(device, port, size - at);
		value |= bus_read(vm, device, port, bytes) << (8 * at);
	}
	return value;
}

static __cold void write_wide(struct vm *vm, unsigned port, unsigned size, u32 value)
{
	for (unsigned at = 0, bytes; at < size; at += bytes, port = (port + bytes) & 0xffff) {
		const struct device *device = find_device(port);
		u32 part;

		bytes = bytes_of(device, port, size - at);
		part = (u32)(value >> (8 * at) & BITS(8 * bytes - 1, 0));
		bus_write(vm, device, port, bytes, part);
	}
}

/* The part of RAX that IN replaces; a 32-bit IN clears the upper half (SDM vol. 1, 3.4.1.1). */
static u64 merge_rax(u64 rax, u32 value, unsigned size)
{
	if (size == 4)
		return value;
	return (rax & ~BITS(8 * size - 1, 0)) | value;
}

#define STRING_MAX 64 /* elements an exit; the guest executes the instruction again for more */

struct string_io {
	struct vcpu *vcpu;
	u16 port;
	struct guest_state state;
	struct insn insn;
};

/* One element between a port and memory. False: an exception was raised. */
static bool move_element(struct string_io *io)
{
	bool in = io->insn.op == INSN_INS;
	unsigned segment = in ? SEG_ES : io->insn.segment, reg = in ? GPR_RDI : GPR_RSI;
	u64 offset = string_register(io->vcpu->arch.gpr, &io->insn, reg), value;
	struct gva at = linear_of(&io->state, mode_of(&io->state), segment, offset);
	struct operand_place place;

	if (!operand_locate(io->vcpu, &io->state, at, io->insn.size, in, &place))
		return false;
	if (in)
		return operand_write(io->vcpu, &place,
				     read_wide(io->vcpu->vm, io->port, io->insn.size));
	if (!operand_read(io->vcpu, &place, &value))
		return false;
	write_wide(io->vcpu->vm, io->port, io->insn.size, (u32)value);
	return true;
}

/*
 * INS and OUTS (SDM vol. 2A and 2B). Ends early after STRING_MAX elements, or for the single step
 * after an iteration: then RIP stays.
 */
static enum exit_verdict move_elements(struct string_io *io)
{
	u64 *gpr = io->vcpu->arch.gpr;

	if (io->insn.rep != INSN_NO_REP && string_register(gpr, &io->insn, GPR_RCX) == 0)
		return EXIT_NEXT_INSN;
	for (unsigned i = 0; i < STRING_MAX; i++) {
		if (!move_element(io))
			return EXIT_RESUME;
		if (!string_step(gpr, &io->insn, io->state.rflags))
			return EXIT_NEXT_INSN;
		if (io->state.rflags & RFLAGS_TF) {
			raise_single_step(io->vcpu, &io->state);
			break;
		}
	}
	return EXIT_RESUME;
}

/*
 * The instruction says what neither back end's exit does on every CPU: address size and segment.
 * Code that another vCPU has rewritten since is executed again.
 */
static __cold enum exit_verdict string_exit(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct string_io io = {.vcpu = vcpu, .port = exit->pio.port};
	u8 bytes[INSN_MAX];
	unsigned got;

	if (insn_fetch(vcpu, &io.state, bytes, &got, &io.insn) != 0 ||
	    io.insn.op != (exit->pio.in ? INSN_INS : INSN_OUTS))
		return EXIT_RESUME;
	return move_elements(&io);
}

static __cold enum exit_verdict wide_exit(struct vcpu *vcpu, const struct hv_exit_pio *pio)
{
	u64 *rax = &vcpu->arch.gpr[GPR_RAX];

	if (pio->in)
		*rax = merge_rax(*rax, read_wide(vcpu->vm, pio->port, pio->size), pio->size);
	else
		write_wide(vcpu->vm, pio->port, pio->size, (u32)*rax);
	return EXIT_NEXT_INSN;
}

/* Most are of one byte, and those take the straight way. */
enum exit_verdict exit_pio(struct vcpu *vcpu, const struct hv_exit *exit)
{
	const struct hv_exit_pio *pio = &exit->pio;
	u64 *rax = &vcpu->arch.gpr[GPR_RAX];

	if (unlikely(pio->string))
		return string_exit(vcpu, exit);
	if (unlikely(pio->size != 1))
		return wide_exit(vcpu, pio);
	if (pio->in) {
		u32 value = bus_read(vcpu->vm, find_device(pio->port), pio->port, 1);

		*rax = (*rax & ~0xffull) | value;
	} else {
		bus_write(vcpu->vm, find_device(pio->port), pio->port, 1, (u8)*rax);
	}
	return EXIT_NEXT_INSN;
}
