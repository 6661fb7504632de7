/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.c: random steps at every interface of the virtual CPU and the board, from a seed: MSRs,
 * control and debug registers, ports, device memory, the APIC, descriptors, hypercalls, and random
 * code of 16, 32 and 64 bits in ring 3. What a step breaks of the guest's own CPU is set right
 * before the next one, so a run of any length ends by itself, with its memory as it was (EXIT-1,
 * EXIT-2).
 *
 *     seed=N     steps=N (100000)     on each vCPU; ring 3 on the first one
 *
 * Left out, because the guest would not survive: INIT and SIPI, ports that end or reset the VM, the
 * tables that a fault needs.
 */
#include <guest.h>
#include <x2apic.h>

#define MSR_SYSENTER_CS 0x174
#define MSR_EFER	0xc0000080
#define MSR_FS_BASE	0xc0000100
#define MSR_GS_BASE	0xc0000101
#define XAPIC		0xfee00000ul
#define XAPIC_ICR	0xfee00300ul
#define DELIVERY_INIT	5u /* and 6: SIPI; bits 8 to 10 of the ICR */
#define TIMER		40
#define TIMER_COUNT	1000000
#define TIMED_OUT	31 /* as an exception: a vector that the CPU never raises */
#define EFER_SCE	BIT(0)
#define RFLAGS_RF	BIT(16)
#define RFLAGS_TF	BIT(8)
#define RFLAGS_IF	BIT(9)

/* Memory: the user's 2 MiB, and a pattern that no step may change. */
#define USER	     (8ul << 20)
#define USER_STACK   (USER + (1ul << 20))
#define STACK_16     0x8000ul /* in the segment of 64 KiB at USER; code lies above it */
#define CODE_PAGES   8u
#define CODE_BYTES   72u
#define CANARY	     (6ul << 20)
#define CANARY_WORDS 8192u
#define HOLE	     0xd0000000ul
#define IOAPIC	     0xfec00000ul
#define LARGE(at)    ((at) >> 21)
#define PAGE_USER    BIT(2)

extern u64 guest_pml4[], guest_pdpt[], guest_pd[], guest_gdt[];

struct fuzz {
	u64 x; /* xorshift */
	u64 faults, aborted;
	bool user; /* may go to ring 3 */
};

static struct fuzz all[GUEST_VCPUS_MAX];
static volatile unsigned ended;

static u64 next(struct fuzz *f)
{
	f->x ^= f->x << 13;
	f->x ^= f->x >> 7;
	f->x ^= f->x << 17;
	return f->x;
}

static u64 below(struct fuzz *f, u64 n)
{
	return next(f) % n;
}

/* A bit, a small number, an edge of a range, or anything. */
static u64 value(struct fuzz *f)
{
	static const u64 edges[] = {0,		1,	   0x7fffffff, 0x80000000,
				    0xffffffff, 1ul << 32, 1ul << 47,  0xffff800000000000,
				    1ul << 63,	~0ul,	   XAPIC,      HOLE};

	switch (below(f, 4)) {
	case 0:
		return BIT(below(f, 64));
	case 1:
		return below(f, 256);
	case 2:
		return edges[below(f, ARRAY_SIZE(edges))];
	default:
		return next(f);
	}
}

/*
 * --- Faults: everything is expected. ---
 *
 * A vector above the library's IDT is a #GP where interrupts are open. What goes on behind the
 * attempt has them closed, or the next one were a fault outside of any attempt.
 */

static bool on_exception(struct guest_frame *frame)
{
	if (frame->vector == 2)
		return true;
	if (guest_from_user(frame)) {
		if (frame->vector >= 32)
			frame->vector = TIMED_OUT;
		return false;
	}
	if (frame->vector != 1) {
		frame->rflags &= ~RFLAGS_IF;
		return false;
	}
	frame->rflags = (frame->rflags | RFLAGS_RF) & ~RFLAGS_TF;
	return true;
}

static void attempt(struct fuzz *f, void (*function)(void *), void *argument)
{
	f->faults += catch_fault(function, argument).vector != VECTOR_NONE;
}

/* --- Registers. --- */

static void do_read_msr(void *index)
{
	rdmsr((u32)(u64)index);
}

struct msr_write {
	u32 index;
	u64 value;
};

static void do_write_msr(void *argument)
{
	const struct msr_write *w = argument;

	wrmsr(w->index, w->value);
}

/* The bases are the library's; SYSENTER and SYSCALL would bring ring 3 to ring 0. */
static bool is_spared(u32 index)
{
	return index == MSR_FS_BASE || index == MSR_GS_BASE || index == MSR_SYSENTER_CS ||
	       index == MSR_EFER;
}

static void step_msr(struct fuzz *f)
{
	static const u32 ranges[] = {
		0,	    0x100,	0x200,	    0x400,     X2APIC_FIRST, X2APIC_FIRST,
		0xc0000000, 0xc0000080, 0xc0010000, 0x40000000};
	u32 index = ranges[below(f, ARRAY_SIZE(ranges))] + (u32)below(f, 0x100);
	struct msr_write w = {index, value(f)};

	if (index == X2APIC_ICR && (w.value >> 8 & 7) >= DELIVERY_INIT)
		w.value &= ~0x700ul;
	if (below(f, 3) == 0)
		attempt(f, do_read_msr, (void *)(u64)index);
	else if (!is_spared(index))
		attempt(f, do_write_msr, &w);
}

static u64 read_cr(unsigned number)
{
	u64 result;

	if (number == 0)
		asm volatile("movq %%cr0, %0" : "=r"(result));
	else if (number == 3)
		asm volatile("movq %%cr3, %0" : "=r"(result));
	else
		asm volatile("movq %%cr4, %0" : "=r"(result));
	return result;
}

static void do_flip_cr0(void *bits)
{
	u64 old = read_cr(0);

	asm volatile("movq %0, %%cr0" : : "r"(old ^ (u64)bits));
	asm volatile("movq %0, %%cr0" : : "r"(old));
}

static void do_flip_cr4(void *bits)
{
	u64 old = read_cr(4);

	asm volatile("movq %0, %%cr4" : : "r"(old ^ (u64)bits));
	asm volatile("movq %0, %%cr4" : : "r"(old));
}

static void do_write_cr8(void *priority)
{
	asm volatile("movq %0, %%cr8" : : "r"(priority));
}

static void do_lmsw(void *bits)
{
	u64 old = read_cr(0);

	asm volatile("lmsw %w0; clts" : : "r"(bits));
	asm volatile("movq %0, %%cr0" : : "r"(old));
}

static void do_xsetbv(void *bits)
{
	asm volatile("xsetbv" : : "c"(0), "a"((u32)(u64)bits), "d"((u64)bits >> 32));
}

/* Not PAE, SMEP, SMAP: the next instruction would be the last. */
static void step_cr(struct fuzz *f)
{
	u64 cr4_kept = BIT(5) | BIT(20) | BIT(21);

	switch (below(f, 6)) {
	case 0:
		return attempt(f, do_flip_cr0, (void *)(value(f) & ~BIT(31) & ~BIT(0)));
	case 1:
		return attempt(f, do_flip_cr4, (void *)(value(f) & ~cr4_kept));
	case 2:
		return attempt(f, do_write_cr8, (void *)value(f));
	case 3:
		return attempt(f, do_lmsw, (void *)(value(f) | 1));
	case 4:
		return attempt(f, do_xsetbv, (void *)value(f));
	default:
		asm volatile("movq %0, %%cr3" : : "r"(read_cr(3)) : "memory");
	}
}

static void do_debug(void *argument)
{
	const u64 *dr = argument;

	asm volatile("movq %0, %%dr0; movq %1, %%dr1" : : "r"(dr[0]), "r"(dr[1]));
	asm volatile("movq %0, %%dr6" : : "r"(dr[2]));
	asm volatile("movq %0, %%dr7" : : "r"(dr[3]));
	cpuid(0, 0);
	asm volatile("movq %0, %%dr7" : : "r"(0x400ul));
}

static void step_debug(struct fuzz *f)
{
	u64 dr[] = {CANARY + below(f, 64), value(f), value(f), value(f)};

	attempt(f, do_debug, dr);
	asm volatile("movq %0, %%dr7" : : "r"(0x400ul));
}

/* --- Devices. --- */

struct access {
	u64 at, value;
	unsigned kind;
};

static void do_port(void *argument)
{
	const struct access *a = argument;
	static u8 buffer[64];
	void *p = buffer;
	u64 count = a->value % 16;

	switch (a->kind) {
	case 0:
		in8((u16)a->at);
		return;
	case 1:
		in32((u16)a->at);
		return;
	case 2:
		out8((u16)a->at, (u8)a->value);
		return;
	case 3:
		out32((u16)a->at, (u32)a->value);
		return;
	case 4:
		asm volatile("rep insb" : "+D"(p), "+c"(count) : "d"((u16)a->at) : "memory");
		return;
	default:
		asm volatile("rep outsl" : "+S"(p), "+c"(count) : "d"((u16)a->at) : "memory");
	}
}

/* Four bytes from `port` on reach none that prints, ends or resets. */
static bool is_safe_port(u16 port)
{
	static const struct {
		u16 first, last;
	} spared[] = {{0x60, 0x64},   {0x92, 0x92},   {0xe9, 0xe9},  {0xf4, 0xf4},
		      {0x3f8, 0x3ff}, {0xcf9, 0xcf9}, {0x600, 0x63f}};

	for (unsigned i = 0; i < ARRAY_SIZE(spared); i++)
		if (port + 3 >= spared[i].first && port <= spared[i].last)
			return false;
	return true;
}

static void step_port(struct fuzz *f)
{
	static const u16 known[] = {0x20, 0x21, 0xa0, 0xa1, 0x40,  0x41,  0x42,	 0x43,
				    0x70, 0x71, 0x61, 0x80, 0x510, 0x511, 0xcf8, 0xcfc};
	struct access a = {below(f, 2) ? known[below(f, ARRAY_SIZE(known))] : below(f, 0x10000),
			   value(f), (unsigned)below(f, 6)};

	if (is_safe_port((u16)a.at))
		attempt(f, do_port, &a);
}

static void do_memory(void *argument)
{
	const struct access *a = argument;
	void *at = (void *)a->at, *user = (void *)USER;
	u64 count = a->value % 8;

	switch (a->kind) {
	case 0:
		(void)*(volatile u32 *)at;
		return;
	case 1:
		*(volatile u32 *)at = (u32)a->value;
		return;
	case 2:
		*(volatile u8 *)at = (u8)a->value;
		return;
	case 3:
		*(volatile u64 *)at = a->value;
		return;
	case 4:
		asm volatile("rep stosl" : "+D"(at), "+c"(count) : "a"(a->value) : "memory");
		return;
	case 5:
		asm volatile("rep movsb" : "+D"(user), "+S"(at), "+c"(count) : : "memory");
		return;
	case 6:
		asm volatile("lock addl %1, (%0)" : : "r"(at), "r"((u32)a->value) : "memory");
		return;
	default:
		asm volatile("xchgw %w1, (%0)" : : "r"(at), "r"(a->value) : "memory");
	}
}

/* Not the ICR: an INIT. */
static void step_memory(struct fuzz *f)
{
	static const u64 bases[] = {XAPIC, XAPIC, IOAPIC, HOLE, 0xa0000, 0xe0000, 0xfed00000};
	struct access a = {bases[below(f, ARRAY_SIZE(bases))] + below(f, 0x1000), value(f),
			   (unsigned)below(f, 8)};

	if (below(f, 2))
		a.at &= ~15ul;
	if (a.at + 64 > XAPIC_ICR && a.at < XAPIC_ICR + 16)
		a.kind = 0;
	attempt(f, do_memory, &a);
}

/* --- Instructions. --- */

static void do_descriptor(void *argument)
{
	const struct access *a = argument;
	u64 out = 0;

	switch (a->kind) {
	case 0:
		asm volatile("movw %w0, %%ds; movw %w0, %%es" : : "r"(a->value & 0x1b));
		return;
	case 1:
		asm volatile("movw %w0, %%fs" : : "r"(a->value));
		return;
	case 2:
		asm volatile("larw %w1, %w0" : "+r"(out) : "r"(a->value) : "cc");
		return;
	case 3:
		asm volatile("verr %w0" : : "r"(a->value) : "cc");
		return;
	case 4:
		asm volatile("lldt %w0" : : "r"(a->value));
		return;
	case 5:
		/* Of a null selector QEMU 7.2 makes a TR that ends it at the next fault. */
		asm volatile("ltr %w0" : : "r"(a->value | 8));
		return;
	default:
		cpuid((u32)a->value, (u32)a->at);
	}
}

static void step_instruction(struct fuzz *f)
{
	struct access a = {below(f, 16), value(f), (unsigned)below(f, 8)};

	attempt(f, do_descriptor, &a);
}

/* Not those that end the VM, start a vCPU, print, or change memory. */
static void step_hypercall(struct fuzz *f)
{
	u64 number = below(f, 10) ? below(f, HYPERCALLS) : value(f);

	if (number == HYPERCALL_SHUTDOWN || number == HYPERCALL_VCPU_START ||
	    number == HYPERCALL_CONSOLE || number == HYPERCALL_DISCARD ||
	    number == HYPERCALL_MERGE_STATS || number == HYPERCALL_PROTECT)
		return;
	f->faults += hypercall(number, value(f), value(f), value(f), value(f)) < 0;
}

static void do_interrupts(void *unused)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

static void step_open(struct fuzz *f)
{
	attempt(f, do_interrupts, NULL);
}

/* --- Ring 3. --- */

static u64 fuzz_gdt[10];

enum { USER_DATA = 0x1b, USER_64 = 0x23, USER_32 = 0x3b, USER_16 = 0x43, USER_DATA_16 = 0x4b };

static void load_gdt(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = {sizeof(fuzz_gdt) - 1, (u64)fuzz_gdt};

	for (unsigned i = 0; i < 7; i++)
		fuzz_gdt[i] = guest_gdt[i];
	fuzz_gdt[USER_32 / 8] = 0x00cffb000000ffff;
	fuzz_gdt[USER_16 / 8] = 0x0000fb000000ffff | (USER & 0xffffff) << 16;
	fuzz_gdt[USER_DATA_16 / 8] = 0x0000f3000000ffff | (USER & 0xffffff) << 16;
	asm volatile("lgdt %0" : : "m"(pointer));
}

/* Ring 3 has its own 2 MiB, the I/O APIC and a hole; all else is the kernel's. */
static void split_memory(void)
{
	for (unsigned i = 0; i < 2048; i++)
		if (i != LARGE(USER) && i != LARGE(IOAPIC) && i != LARGE(HOLE))
			guest_pd[i] &= ~PAGE_USER;
	asm volatile("movq %0, %%cr3" : : "r"(read_cr(3)) : "memory");
}

struct user_entry {
	u64 gpr[8];
	u64 rip, cs, rflags, rsp, ss;
};

static void do_enter(void *argument)
{
	asm volatile("movw $0x1b, %%ax; movw %%ax, %%ds; movw %%ax, %%es\n\t"
		     "pushq 96(%0); pushq 88(%0); pushq 80(%0); pushq 72(%0); pushq 64(%0)\n\t"
		     "movq (%0), %%rax; movq 8(%0), %%rcx; movq 16(%0), %%rdx\n\t"
		     "movq 24(%0), %%rbx; movq 32(%0), %%rsi; movq 40(%0), %%r8\n\t"
		     "movq 48(%0), %%rbp; movq 56(%0), %%rdi\n\t"
		     "iretq"
		     :
		     : "D"(argument)
		     : "rax", "rcx", "rdx", "rbx", "rsi", "r8", "memory");
}

static const char templates[][4] = {
	"\x0f\xa2",	"\x0f\x31",	"\xf3\x90", "\x0f\x01\xd0", "\x0f\x01\xf9", "\x0f\x01\xd9",
	"\x0f\x01\xc1", "\x0f\x0b",	"\xf4",	    "\xec",	    "\xe6\x80",	    "\xcd\x20",
	"\xf1",		"\x0f\x05",	"\x0f\x34", "\x0f\x30",	    "\xf3\xaa",	    "\xf3\xa4",
	"\xf3\x6d",	"\x0f\xae\x00", "\xcf",	    "\xcb",	    "\x8e\xe8",	    "\x0f\x00\xd0"};

/*
 * A step's code is in one of some pages, and is stored by words: at each store an emulator goes
 * through all that it has translated of the page.
 */
static void write_code(struct fuzz *f, u64 at)
{
	union {
		u8 bytes[CODE_BYTES];
		u64 words[CODE_BYTES / 8];
	} buffer = {};
	u8 *code = buffer.bytes;

	for (unsigned i = 0; i < CODE_BYTES - 2;) {
		if (below(f, 3) == 0) {
			const char *t = templates[below(f, ARRAY_SIZE(templates))];

			for (unsigned j = 0; j < 3 && (j == 0 || t[j]); j++)
				code[i++] = (u8)t[j];
		} else {
			code[i++] = (u8)next(f);
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(buffer.words); i++)
		((volatile u64 *)at)[i] = buffer.words[i];
}

static void do_calm_apic(void *unused)
{
	wrmsr(MSR_APIC_BASE, XAPIC);
	wrmsr(MSR_APIC_BASE, XAPIC | APIC_BASE_ON);
	x2apic_enable();
	wrmsr(X2APIC_TPR, 0);
	for (unsigned i = 0; i < 4; i++)
		wrmsr(X2APIC_EOI, 0);
	x2apic_timer(TIMER, DIVIDE_BY_1, TIMER_COUNT);
}

static void step_user(struct fuzz *f)
{
	static const u8 code[] = {USER_64, USER_32, USER_16};
	unsigned mode = (unsigned)below(f, ARRAY_SIZE(code));
	u64 at = STACK_16 + below(f, CODE_PAGES) * 4096;
	struct user_entry e = {
		.rip = (mode == 2 ? 0 : USER) + at,
		.cs = code[mode],
		.rflags = RFLAGS_IF | BIT(1) | (below(f, 8) ? 0 : RFLAGS_TF) | (next(f) & 0xcd5),
		.rsp = mode == 2 ? STACK_16 : USER_STACK,
		.ss = mode == 2 ? USER_DATA_16 : USER_DATA,
	};

	if (!f->user)
		return step_open(f);
	for (unsigned i = 0; i < 8; i++)
		e.gpr[i] = below(f, 2) ? value(f) : USER + below(f, 1ul << 20);
	if (below(f, 4) == 0)
		e.gpr[7] = IOAPIC + below(f, 64);
	write_code(f, USER + at);
	if (catch_fault(do_calm_apic, NULL).vector != VECTOR_NONE)
		return;
	f->aborted += catch_fault(do_enter, &e).vector == TIMED_OUT;
}

/* --- All of it. --- */

static void (*const steps[])(struct fuzz *) = {
	step_msr,    step_msr,	       step_cr,	       step_debug, step_port, step_port,
	step_memory, step_instruction, step_hypercall, step_open,  step_user, step_user,
};

static void run(struct fuzz *f)
{
	u64 count = option_number("steps", 100000);

	for (u64 i = 0; i < count; i++) {
		if (f->user && i % (count / 8 + 1) == 0)
			print("step %lu\n", i);
		steps[below(f, ARRAY_SIZE(steps))](f);
	}
}

static void init(unsigned number)
{
	all[number].x = (option_number("seed", 1) + number) * 0x9e3779b97f4a7c15ul;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
	wrmsr(MSR_SYSENTER_CS, 0);
}

static void second(u64 number)
{
	init((unsigned)number);
	run(&all[number]);
	__atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static u64 canary(unsigned i)
{
	return i * 0x9e3779b97f4a7c15ul;
}

void guest_main(void)
{
	u64 *words = (u64 *)CANARY, vcpus = (u64)hypercall(HYPERCALL_VCPU_COUNT, 0, 0, 0, 0);
	unsigned wrong = 0;

	for (unsigned i = 0; i < CANARY_WORDS; i++)
		words[i] = canary(i);
	guest_on_exception = on_exception;
	load_gdt();
	split_memory();
	init(0);
	all[0].user = true;
	for (unsigned i = 1; i < vcpus; i++)
		check(vcpu_run(i, second, i) == 0, "vCPU %u starts", i);
	run(&all[0]);
	while (ended < vcpus - 1)
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	for (unsigned i = 0; i < CANARY_WORDS; i++)
		wrong += words[i] != canary(i);
	print("seed %lu: %lu faults, %lu loops in ring 3\n", option_number("seed", 1),
	      all[0].faults, all[0].aborted);
	check(wrong == 0, "no word of the kernel's memory changed: %u did", wrong);
}
