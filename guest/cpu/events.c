/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c: NMIs and single steps, and the order of events (SDM vol. 3A, 6.7 and table 6-2).
 */
#include <guest.h>
#include <x2apic.h>

#define VECTOR_DB    1
#define VECTOR_NMI   2
#define VECTOR_TIMER 40
#define RFLAGS_TF    BIT(8)
#define NMI_TO_SELF  0x44400
#define SPINS	     10000000

static volatile unsigned nmis, steps;
static unsigned more_nmis;
static u64 step_rips[4];

/* Each NMI handler sends `more_nmis` further ones to its own CPU. A step ends the stepping. */
static bool on_exception(struct guest_frame *frame)
{
	if (frame->vector == VECTOR_NMI) {
		nmis++;
		for (; more_nmis > 0; more_nmis--)
			wrmsr(X2APIC_ICR, NMI_TO_SELF);
		return true;
	}
	if (frame->vector != VECTOR_DB)
		return false;
	if (steps < ARRAY_SIZE(step_rips))
		step_rips[steps] = frame->rip;
	if (++steps == ARRAY_SIZE(step_rips))
		frame->rflags &= ~RFLAGS_TF;
	return true;
}

/* No exits. */
static void spin_until(const volatile unsigned *what, unsigned least)
{
	for (unsigned i = 0; i < SPINS && *what < least; i++)
		asm volatile("" : : : "memory");
}

static void check_nmi_behind_a_step(void)
{
	nmis = 0;
	steps = ARRAY_SIZE(step_rips) - 1; /* one step is enough */
	asm volatile("pushfq\n\t"
		     "orl %3, (%%rsp)\n\t"
		     "popfq\n\t"
		     "wrmsr"
		     :
		     : "c"(X2APIC_ICR), "a"(NMI_TO_SELF), "d"(0), "i"(RFLAGS_TF)
		     : "memory", "cc");
	spin_until(&nmis, 1);
	check(nmis == 1 && steps == ARRAY_SIZE(step_rips), "an NMI comes behind a single step: %u",
	      nmis);
}

static void check_nmis_in_an_nmi(void)
{
	nmis = 0;
	more_nmis = 3;
	wrmsr(X2APIC_ICR, NMI_TO_SELF);
	spin_until(&nmis, 3);
	check(nmis == 2, "of three NMIs during an NMI one is kept: %u", nmis - 1);
}

/* The trap of HLT comes at once, before the interrupt that would end it. */
static void check_step_over_hlt(void)
{
	u64 behind;

	steps = 0;
	x2apic_timer(VECTOR_TIMER, DIVIDE_BY_1, 0x1000000);
	asm volatile("leaq 1f(%%rip), %0\n\t"
		     "pushfq\n\t"
		     "orl %1, (%%rsp)\n\t"
		     "popfq\n\t"
		     "sti\n\t"
		     "hlt\n"
		     "1:\tnop\n\t"
		     "nop\n\t"
		     "nop\n\t"
		     "cli"
		     : "=&r"(behind)
		     : "i"(RFLAGS_TF)
		     : "memory", "cc");
	check(steps == ARRAY_SIZE(step_rips), "%u single steps", steps);
	check(step_rips[0] == behind || step_rips[1] == behind,
	      "one of them behind the HLT: %ld %ld", (s64)(step_rips[0] - behind),
	      (s64)(step_rips[1] - behind));
	check(irq_count(VECTOR_TIMER) == 0, "before the timer's interrupt");
	wrmsr(X2APIC_INITIAL, 0);
}

void guest_main(void)
{
	guest_on_exception = on_exception;
	x2apic_enable();
	check_nmi_behind_a_step();
	check_nmis_in_an_nmi();
	check_step_over_hlt();
}
