/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.c: the virtual PC from inside: the firmware's tables, addresses without a device, the task
 * priority, and a timer of which no tick may be lost.
 *
 *     ticks=N    how many; the default is 40
 *
 * Interrupts are vectors 32 to 63, classes 2 and 3. The local APIC is in x2APIC mode, where its
 * registers are MSRs; the timer comes by the 8259 with automatic EOI, so that the library's
 * handler, which only counts, is enough.
 */
#include <guest.h>
#include <x2apic.h>

#define IRQ_TIMER      32 /* class 2 */
#define IRQ_HIGH       50 /* class 3 */
#define PM_TIMER       0x608
#define FREE_PORT      0x1234
#define EBDA_SEGMENT   0x40eul
#define PIT_RELOAD     4773		    /* 250 Hz */
#define RSDP_SIGNATURE 0x2052545020445352ul /* "RSD PTR " */
#define PM_PER_TICK    (3ul * PIT_RELOAD)   /* its clock is three times the PIT's */

static void write_cr8(void *value)
{
	asm volatile("movq %0, %%cr8" : : "r"(value));
}

static void set_cr8(u64 value)
{
	write_cr8((void *)value);
}

static u64 get_cr8(void)
{
	u64 value;

	asm volatile("movq %%cr8, %0" : "=r"(value));
	return value;
}

/* The other registers of a MOV, and the stack pointer, which back ends keep elsewhere. */
static u64 through_rsp(u64 value)
{
	u64 back;

	asm volatile("movq %%rsp, %%r12\n\t"
		     "movq %1, %%rsp\n\t"
		     "movq %%rsp, %%cr8\n\t"
		     "xorl %%esp, %%esp\n\t"
		     "movq %%cr8, %%rsp\n\t"
		     "movq %%rsp, %0\n\t"
		     "movq %%r12, %%rsp"
		     : "=&r"(back)
		     : "r"(value)
		     : "r12", "memory");
	return back;
}

static void let_interrupts_in(void)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

static void check_task_priority(void)
{
	set_cr8(5);
	check(get_cr8() == 5 && rdmsr(X2APIC_TPR) == 0x50, "CR8 is the upper half of TPR");
	wrmsr(X2APIC_TPR, 0x9f);
	check(get_cr8() == 9, "and TPR's upper half is CR8");
	check(catch_fault(write_cr8, (void *)16).vector == VECTOR_GP && get_cr8() == 9,
	      "CR8 beyond 15 is #GP");
	check(through_rsp(7) == 7, "RSP is a register as well");
	set_cr8(3);
	wrmsr(X2APIC_SELF_IPI, IRQ_HIGH);
	let_interrupts_in();
	check(irq_count(IRQ_HIGH) == 0, "a priority of 3 holds class 3 back");
	set_cr8(2);
	let_interrupts_in();
	check(irq_count(IRQ_HIGH) == 1, "a priority of 2 lets it in");
	wrmsr(X2APIC_EOI, 0);
	set_cr8(0);
}

/*
 * Where an old-fashioned search looks: the segment at 40eh. What the boot information calls memory
 * ends below.
 */
static void check_firmware(void)
{
	u64 segment = EBDA_SEGMENT, tables;

	asm("" : "+r"(segment)); /* or the compiler takes so low an address for a mistake */
	tables = *(volatile u16 *)segment * 16ul;
	check(*(volatile u64 *)tables == RSDP_SIGNATURE, "the RSDP is at %lx", tables);
	check(guest_info->mem_lower * 1024ul <= tables, "and no memory that is free");
}

/* Where a VGA would have its graphics, and below the I/O APIC. */
static void check_nothing(void)
{
	volatile u32 *const places[] = {(void *)0xa0000ul, (void *)0xfebffffcul};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		*places[i] = 0x12345678;
		check(*places[i] == ~0u && *(volatile u8 *)places[i] == 0xff,
		      "nothing is at %lx: all ones", (u64)places[i]);
	}
	out32(FREE_PORT, 0);
	check(in8(FREE_PORT) == 0xff && in32(FREE_PORT) == ~0u, "no device is at port %x: all ones",
	      FREE_PORT);
}

static void start_timer(void)
{
	out8(0x20, 0x11);
	out8(0x21, IRQ_TIMER);
	out8(0x21, 4);
	out8(0x21, 3); /* automatic EOI */
	out8(0x21, 0xfe);
	out8(0x43, 0x34);
	out8(0x40, PIT_RELOAD & 0xff);
	out8(0x40, PIT_RELOAD >> 8);
}

/*
 * The ACPI timer goes by the PIT's clock. Read before and after the count it says how many ticks
 * there must be at least and at most, to the clock.
 */
static bool ticks_are_right(u64 ticks, u32 since, u32 until, u32 before)
{
	u32 after = in32(PM_TIMER);

	if (ticks >= (u32)(before - until) / PM_PER_TICK &&
	    ticks <= (u32)(after - since) / PM_PER_TICK)
		return true;
	print("%lu ticks in %u to %u clocks\n", ticks, before - until, after - since);
	return false;
}

static void check_ticks(void)
{
	u64 count = option_number("ticks", 40), wrong = 0, ticks = 0;
	u32 since = in32(PM_TIMER), until, before;

	start_timer();
	until = in32(PM_TIMER);
	asm volatile("sti");
	while (ticks < count && wrong < 5) {
		before = in32(PM_TIMER);
		for (unsigned i = 0; i < 100; i++)
			(void)rdtsc();
		ticks = irq_count(IRQ_TIMER);
		wrong += !ticks_are_right(ticks, since, until, before);
	}
	asm volatile("cli");
	check(wrong == 0, "%lu ticks, none lost, none early", count);
}

void guest_main(void)
{
	x2apic_enable();
	check_firmware();
	check_nothing();
	check_task_priority();
	check_ticks();
}
