/* SPDX-License-Identifier: Apache-2.0 */
/*
 * panic.c: the end of the hypervisor, with a report.
 *
 *     panic on cpu 1: #PF page fault: write to 0xffffd00000100ff8: guard page of cpu 1's main stack
 *       rip 0xffffffff80104b30 selftest_recurse+0x10
 *       rax ... cr4 ...
 *       backtrace:
 *         0xffffffff80104b30 selftest_recurse+0x10
 *
 * The first CPU to panic reports; it stops the others by NMI, which reaches them with interrupts
 * off and inside a guest. No lock is taken: the console's holder may be among the stopped. A fault
 * during the report adds one line.
 */
#include <asm/panic.h>
#include <ck_pr.h>
#include <arch/cpu.h>
#include <asm/apic.h>
#include <asm/backtrace.h>
#include <asm/console.h>
#include <asm/insn.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/stacks.h>
#include <asm/symbols.h>
#include <asm/traps.h>
#include <lib/format.h>

#define STOP_ROUNDS 10000000
#define NO_CPU	    0u

/* [a] 1 + the number of the CPU that panicked */
static unsigned panicking;
/* [a] how many CPUs have stopped for it */
static unsigned stopped;

static void __printf(1, 2) panic_print(const char *format, ...)
{
	char line[320];
	va_list arguments;
	size_t len;

	va_start(arguments, format);
	len = format_text_v(line, sizeof(line), format, arguments);
	va_end(arguments);
	serial_write(line, MIN(len, sizeof(line) - 1));
}

static void __noreturn panic_stop(void)
{
	ck_pr_inc_uint(&stopped);
	for (;;)
		asm volatile("cli; hlt");
}

void panic_stop_here(void)
{
	if (ck_pr_load_uint(&panicking) != NO_CPU)
		panic_stop();
}

/* Returns on one CPU only, once, with the others stopped or given up. */
static void panic_claim(void)
{
	unsigned me = 1 + percpu_id();

	if (!ck_pr_cas_uint(&panicking, NO_CPU, me)) {
		if (ck_pr_load_uint(&panicking) != me)
			panic_stop();
		panic_print("\npanic while panicking on cpu%u\n", percpu_id());
		arch_machine_end(false);
	}
	if (arch_cpu_count() == 1)
		return;
	apic_send_nmi_others();
	for (unsigned i = 0; i < STOP_ROUNDS; i++) {
		if (ck_pr_load_uint(&stopped) == arch_cpu_count() - 1)
			break;
		cpu_pause();
	}
}

static void print_place(const char *prefix, u64 address, bool returned)
{
	u64 offset;
	const char *name = symbol_find(address - returned, &offset);

	if (name)
		panic_print("%s0x%016lx %s+0x%lx\n", prefix, address, name, offset + returned);
	else
		panic_print("%s0x%016lx\n", prefix, address);
}

static void print_frame(u64 address, bool returned)
{
	print_place("    ", address, returned);
}

static void print_registers(const struct trap_frame *f)
{
	panic_print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx,
		    f->rdx);
	panic_print("  rsi %016lx  rdi %016lx  rbp %016lx  rsp %016lx\n", f->rsi, f->rdi, f->rbp,
		    f->rsp);
	panic_print("  r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx\n", f->r8, f->r9, f->r10,
		    f->r11);
	panic_print("  r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx\n", f->r12, f->r13, f->r14,
		    f->r15);
	panic_print("  cs %04lx  ss %04lx  rflags %08lx  efer %lx\n", f->cs, f->ss, f->rflags,
		    rdmsr(MSR_EFER));
	panic_print("  cr0 %08lx  cr2 %016lx  cr3 %012lx  cr4 %08lx\n", read_cr0(), read_cr2(),
		    read_cr3(), read_cr4());
}

static void __noreturn panic_finish(const struct place *place)
{
	panic_print("  backtrace:\n");
	backtrace_walk(place, print_frame);
	if (arch_cpu_count() > 1)
		panic_print("  other CPUs stopped: %u of %u\n", ck_pr_load_uint(&stopped),
			    arch_cpu_count() - 1);
	arch_machine_end(false);
}

void arch_panic(const char *message)
{
	const u64 *frame = __builtin_frame_address(0);
	struct place here = {.rip = (u64)arch_panic, .rbp = (u64)frame};

	panic_claim();
	panic_print("\npanic on cpu%u: %s\n", percpu_id(), message);
	panic_print("  rsp %016lx  cr0 %08lx  cr2 %016lx  cr3 %012lx  cr4 %08lx\n", (u64)frame,
		    read_cr0(), read_cr2(), read_cr3(), read_cr4());
	panic_finish(&here);
}

/* A #PF, in words (SDM vol. 3A, 4.7). */
static void print_page_fault(u64 error_code)
{
	const char *access = error_code & BIT(4)   ? "fetch from"
			     : error_code & BIT(1) ? "write to"
						   : "read of";
	const char *why = error_code & BIT(3)	? "reserved bit in a PTE"
			  : error_code & BIT(0) ? "not permitted"
						: "not mapped";

	panic_print(": %s 0x%lx: %s", access, read_cr2(), why);
}

static void print_guard(void)
{
	enum stack_kind kind;
	unsigned cpu;

	if (stack_guard_find(read_cr2(), &cpu, &kind))
		panic_print(": stack overflow: guard page of cpu%u's %s stack", cpu,
			    stack_name(kind));
	else if (read_cr2() < PAGE_SIZE)
		panic_print(": NULL pointer");
}

void panic_trap(const struct trap_frame *frame)
{
	panic_claim();
	panic_print("\npanic on cpu%u: %s", percpu_id(), trap_name(frame->vector));
	if (frame->vector == VECTOR_PF)
		print_page_fault(frame->error_code);
	else
		panic_print(": error code 0x%lx", frame->error_code);
	if (frame->vector == VECTOR_PF || frame->vector == VECTOR_DF)
		print_guard();
	panic_print("\n");
	print_place("  rip ", frame->rip, false);
	print_registers(frame);
	panic_finish(&(struct place){frame->rip, frame->rsp, frame->rbp});
}
