/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.c: a 32-bit kernel that switches tasks by TSS (SDM vol. 3A, chapter 8): JMP, CALL and IRET,
 * task gates for INT, #PF and #DF, faults before and after the switch. The hypervisor carries a
 * switch out (TASK-1, TASK-2, TASK-3), QEMU's CPU does so itself: the same lines must come on both.
 *
 * QEMU 7.2 takes a fault of the new task at the old one's RIP: arg=qemu leaves that part out. Bochs
 * 2.7 as AMD-V reports an older event in place of an INT by a task gate, and does not load CR2 for
 * a #PF that is injected: arg=ryzen.
 *
 *     GDT: null, code, data, code at CODE_BASE, then a TSS for each enum task
 */
#include <abi/machine.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum task { MAIN, OTHER, SMALL, FAR, BROKEN, ON_INT, ON_PF, ON_DF, ON_NP, TASKS };
enum vector { VECTOR_DF = 8, VECTOR_NP = 11, VECTOR_PF = 14, VECTOR_INT = 0x30, VECTORS };

#define CODE	      0x08
#define DATA	      0x10
#define CODE_LOW      0x18 /* base CODE_BASE, so that 16 bits of IP reach */
#define ABSENT	      0x20 /* data, not present */
#define TSS(task)     (0x28 + 8 * (task))
#define CODE_BASE     0x200000u
#define FAR_PAGE      0x800000u /* unmapped at first */
#define HOLE	      0xc00000u /* likewise */
#define FLAGS_NT      (1u << 14)
#define CR0_TS	      (1u << 3)
#define PAGE_LARGE    0x83u /* present, writable, 4 MiB */
#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x)

struct tss {
	u32 link, stacks[6], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt, trap;
};

struct tss_16 {
	u16 link, stacks[6], ip, flags, gpr[8], es, cs, ss, ds, ldt;
};

static u64 gdt[5 + TASKS];
static u64 idt[VECTORS];
static struct tss tss[TASKS];
static struct tss_16 small_tss;
static u8 stacks[TASKS][4096] __attribute__((aligned(16)));
static u32 directory[1024] __attribute__((aligned(4096)));
static unsigned failed;

static volatile u32 seen_eax, seen_flags, seen_code, seen_link, seen_address, visits, small_ran;

static void out8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void puts(const char *text)
{
	while (*text)
		out8(MACHINE_PORT_UART, (u8)*text++);
}

static void check(bool good, const char *text)
{
	puts(good ? "ok - " : "not ok - ");
	puts(text);
	puts("\n");
	failed += !good;
}

static u32 read_flags(void)
{
	u32 flags;

	asm volatile("pushfl; popl %0" : "=r"(flags));
	return flags;
}

static u32 read_cr0(void)
{
	u32 cr0;

	asm volatile("movl %%cr0, %0" : "=r"(cr0));
	return cr0;
}

static u32 read_cr2(void)
{
	u32 cr2;

	asm volatile("movl %%cr2, %0" : "=r"(cr2));
	return cr2;
}

static bool is_busy(enum task task)
{
	return gdt[TSS(task) / 8] >> 41 & 1;
}

/* The tasks. The first run of each begins at its function; after IRET it goes on behind it. */
#define JMP_TASK(task)	asm volatile("ljmp %0, $0" : : "i"(TSS(task)) : "memory")
#define CALL_TASK(task) asm volatile("lcall %0, $0" : : "i"(TSS(task)) : "memory")

static void run_other(void)
{
	u32 eax;

	asm volatile("" : "=a"(eax));
	seen_eax = eax;
	seen_flags = read_flags();
	visits++;
	JMP_TASK(MAIN);
	for (;;) {
		seen_flags = read_flags();
		seen_link = tss[OTHER].link;
		visits++;
		asm volatile("iret" : : : "memory");
	}
}

static void run_far(void)
{
	visits++;
	JMP_TASK(MAIN);
}

/* The multiboot header (abi/multiboot.h), the way in, and code for a TSS of 16 bits. */
asm(".pushsection .text\n"
    "	.balign 4\n"
    "	.long 0x1badb002, 0, -0x1badb002\n"
    ".globl task_entry\n"
    "task_entry: cld\n"
    "	movl $stacks + 4096, %esp\n"
    "	pushl %ebx\n"
    "	call task_main\n"
    "1:	hlt\n"
    "	jmp 1b\n"
    "run_small: movl $1, small_ran\n"
    "	ljmp $" STRINGIFY(0x28) ", $0\n"
				".popsection");
void run_small(void);

static void run_broken(void)
{
	visits++;
	JMP_TASK(MAIN);
}

/*
 * A handler is a loop around IRET; the error code lies on its stack, and is taken from it. The
 * stack is where it began each time.
 */
#define HANDLER(name, body)                                                  \
	__attribute__((used)) static void name##_body(void)                  \
	{                                                                    \
		body                                                         \
	}                                                                    \
	void name(void);                                                     \
	asm(".pushsection .text\n" #name ": popl seen_code\n	call " #name \
	    "_body\n	iret\n	jmp " #name "\n	.popsection")

HANDLER(on_pf, {
	seen_address = read_cr2();
	seen_link = tss[ON_PF].link;
	visits++;
	directory[seen_address >> 22] = (seen_address & 0xffc00000u) | PAGE_LARGE;
});

extern char after_df[];

HANDLER(on_df, {
	visits++;
	seen_link = tss[ON_DF].link;
	tss[MAIN].eip = (u32)after_df;
});

HANDLER(on_np, {
	visits++;
	seen_link = tss[ON_NP].link;
	tss[BROKEN].ds = DATA;
});

static void run_int(void)
{
	for (;;) {
		visits++;
		seen_link = tss[ON_INT].link;
		asm volatile("iret" : : : "memory");
	}
}

static void set_task(enum task task, void (*entry)(void))
{
	u32 base = (u32)&tss[task];

	tss[task] = (struct tss){
		.cr3 = (u32)directory,
		.eip = (u32)entry,
		.eflags = 2,
		.eax = 0x12345678,
		.esp = (u32)stacks[task] + sizeof(stacks[task]),
		.es = DATA,
		.cs = CODE,
		.ss = DATA,
		.ds = DATA,
		.fs = DATA,
		.gs = DATA,
		.trap = sizeof(struct tss) << 16,
	};
	gdt[TSS(task) / 8] = (u64)(base & 0xff000000u) << 32 | 0x89ull << 40 |
			     (u64)(base & 0xffffff) << 16 | (sizeof(struct tss) - 1);
}

static void set_gate(enum vector vector, enum task task)
{
	idt[vector] = 0x85ull << 40 | TSS(task) << 16;
}

/* A 286 TSS, and its code by 16 bits of IP. */
static void set_small(void)
{
	u32 base = (u32)&small_tss;

	small_tss = (struct tss_16){
		.ip = (u16)((u32)run_small - CODE_BASE),
		.flags = 2,
		.es = DATA,
		.cs = CODE_LOW,
		.ss = DATA,
		.ds = DATA,
	};
	gdt[TSS(SMALL) / 8] =
		0x81ull << 40 | (u64)(base & 0xffffff) << 16 | (sizeof(struct tss_16) - 1);
}

static void load_tables(void)
{
	struct {
		u16 limit;
		u32 base;
	} __attribute__((packed)) pointer = {sizeof(gdt) - 1, (u32)gdt};

	asm volatile("lgdt %0" : : "m"(pointer));
	asm volatile("ljmp %0, $1f; 1: movl %1, %%eax; movl %%eax, %%ds; movl %%eax, %%es;"
		     "movl %%eax, %%ss; movl %%eax, %%fs; movl %%eax, %%gs; ltr %w2"
		     :
		     : "i"(CODE), "i"(DATA), "r"(TSS(MAIN))
		     : "eax", "memory");
	pointer.limit = sizeof(idt) - 1;
	pointer.base = (u32)idt;
	asm volatile("lidt %0" : : "m"(pointer));
}

/* The first 4 MiB, one to one; and CR0.TS is clear. */
static void start_paging(void)
{
	u32 cr4, cr0;

	directory[0] = PAGE_LARGE;
	asm volatile("movl %%cr4, %0" : "=r"(cr4));
	asm volatile("movl %0, %%cr4" : : "r"(cr4 | 0x10));
	asm volatile("movl %0, %%cr3" : : "r"(directory));
	cr0 = read_cr0() & ~CR0_TS;
	asm volatile("movl %0, %%cr0" : : "r"(cr0 | 0x80010000u) : "memory");
}

static void make_tasks(void)
{
	gdt[CODE / 8] = 0x00cf9b000000ffffull;
	gdt[DATA / 8] = 0x00cf93000000ffffull;
	gdt[CODE_LOW / 8] = 0x00409a000000ffffull | (u64)CODE_BASE << 16;
	gdt[ABSENT / 8] = 0x00cf13000000ffffull;
	set_task(MAIN, 0);
	set_task(OTHER, run_other);
	set_task(FAR, run_far);
	set_task(BROKEN, run_broken);
	set_task(ON_INT, run_int);
	set_task(ON_PF, on_pf);
	set_task(ON_DF, on_df);
	set_task(ON_NP, on_np);
	set_small();
	set_gate(VECTOR_INT, ON_INT);
	set_gate(VECTOR_PF, ON_PF);
	set_gate(VECTOR_DF, ON_DF);
	set_gate(VECTOR_NP, ON_NP);
}

static void check_jumps(void)
{
	u32 kept = 0xcafe;

	asm volatile("ljmp %1, $0" : "+b"(kept) : "i"(TSS(OTHER)) : "memory");
	check(visits == 1 && seen_eax == 0x12345678, "JMP loads the registers of another task");
	check(kept == 0xcafe && tss[MAIN].ebx == 0xcafe, "and this one's are saved and come back");
	check(!(seen_flags & FLAGS_NT) && is_busy(MAIN) && !is_busy(OTHER), "a JMP nests nothing");
	check(read_cr0() & CR0_TS, "CR0.TS is set");
	CALL_TASK(OTHER);
	check(visits == 2 && seen_link == TSS(MAIN) && seen_flags & FLAGS_NT,
	      "CALL links the tasks and sets NT");
	check(is_busy(MAIN) && !is_busy(OTHER) && !(read_flags() & FLAGS_NT), "IRET comes back");
	CALL_TASK(OTHER);
	check(visits == 3, "and the task goes on where it was");
	JMP_TASK(SMALL);
	check(small_ran && !is_busy(SMALL), "a TSS of 16 bits is one, too");
}

static void check_int(void)
{
	visits = 0;
	asm volatile("int %0" : : "i"(VECTOR_INT) : "memory");
	check(visits == 1 && seen_link == TSS(MAIN), "INT goes through a task gate and returns");
}

__attribute__((noinline)) static void check_gates(void)
{
	visits = 0;
	*(volatile u32 *)(HOLE + 16) = 1;
	check(visits == 1 && seen_address == HOLE + 16 && seen_code == 2,
	      "a task handles #PF, with its error code, and the write is done again");
	visits = 0;
	seen_code = 1;
	asm volatile("movl $0, %%eax; int $5; .globl after_df; after_df:" : : : "eax", "memory");
	check(visits == 1 && seen_link == TSS(MAIN) && seen_code == 0,
	      "a task handles #DF, when no handler is there");
}

static void set_page(u32 address, u32 entry)
{
	directory[address >> 22] = entry;
	asm volatile("movl %0, %%cr3" : : "r"(directory) : "memory");
}

/* A TSS on a page that is not there: #PF before the switch, which is then done again. */
static void check_far(void)
{
	struct tss *far = (struct tss *)(FAR_PAGE + 0x100);
	u64 base = (u32)far & 0xffffff;

	set_page(FAR_PAGE, FAR_PAGE | PAGE_LARGE);
	*far = tss[FAR];
	gdt[TSS(FAR) / 8] = 0x89ull << 40 | base << 16 | (sizeof(*far) - 1);
	set_page(FAR_PAGE, 0);
	visits = 0;
	JMP_TASK(FAR);
	check(visits == 2 && seen_address >> 22 == FAR_PAGE >> 22 && seen_link == TSS(MAIN),
	      "#PF on the new TSS is the old task's");
	check(!is_busy(FAR) && is_busy(MAIN), "and the switch is done after it");
}

/* A segment that is not present: the fault is the new task's. */
static void check_broken(void)
{
	tss[BROKEN].ds = ABSENT;
	visits = 0;
	JMP_TASK(BROKEN);
	check(visits == 2 && seen_link == TSS(BROKEN) && seen_code == ABSENT,
	      "#NP on a segment is the new task's");
}

/* Of the command line, at 16 of the boot information. */
static bool begins_with(const u32 *info, u32 word)
{
	return *(const u32 *)info[4] == word;
}

void task_main(const u32 *info)
{
	bool qemu = begins_with(info, 0x756d6571u), ryzen = begins_with(info, 0x657a7972u);

	make_tasks();
	load_tables();
	start_paging();
	check_jumps();
	if (!ryzen)
		check_int();
	check_gates();
	if (!ryzen)
		check_far();
	if (!qemu)
		check_broken();
	puts(failed ? "failed\n" : "passed\n");
	asm volatile("outl %0, %w1" : : "a"(failed), "d"(MACHINE_PORT_EXIT));
}
