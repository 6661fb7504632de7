/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.c: sleeping, and waking others.
 *
 * A CPU outside a guest that does not sleep needs no interrupt: it runs the entry check before it
 * enters or sleeps. percpu->asleep says when it needs one, and *percpu->inside while it is in a
 * guest. Store-buffering pattern: both sides store before they load.
 *
 *     CPU c                                  kicker
 *     -----                                  ------
 *     *inside = s2, or asleep = 1            store the request for c
 *                     (xchg: full barrier)   kicked = 1      (xchg: full barrier)
 *     check           (loads requests)       if *inside or asleep: send the IPI
 *     enter the guest, or sti; hlt
 *
 * Either c sees the request, or the kicker sees that it needs the IPI. Interrupts are off from the
 * check until the guest runs or STI's shadow covers the HLT, so an IPI that comes between stays
 * pending and ends either at once. A back end may request an NMI instead while its guest runs; it
 * then keeps an early one from being lost.
 */
#include <ck_pr.h>
#include <arch/cpu.h>
#include <asm/apic.h>
#include <asm/irq.h>
#include <asm/percpu.h>

#define RESTS_A_SECOND 20000

_Static_assert(offsetof(struct percpu, id) == PERCPU_ID &&
		       offsetof(struct percpu, inside) == PERCPU_INSIDE,
	       "<arch/inline.h> has both offsets");

void arch_idle(void)
{
	struct percpu *cpu = percpu();

	(void)ck_pr_fas_32(&cpu->asleep, 1);
	if (!ck_pr_load_32(&cpu->kicked))
		asm volatile("sti; hlt; cli" : : : "memory");
	ck_pr_store_32(&cpu->asleep, 0);
	/* A full barrier, too: the caller's next look comes after it, or a kick between the two
	 * would be lost. */
	(void)ck_pr_fas_32(&cpu->kicked, 0);
}

void arch_cpu_rest(void)
{
	apic_timer_arm(arch_ticks() + arch_ticks_per_second() / RESTS_A_SECOND);
	asm volatile("sti; hlt; cli" : : : "memory");
}

/* inside is NULL before the CPU's first guest. */
static bool in_guest(struct percpu *cpu)
{
	void **inside = ck_pr_load_ptr(&cpu->inside);

	return inside && ck_pr_load_ptr(inside);
}

void arch_cpu_kick(unsigned id)
{
	struct percpu *cpu = &percpu_area[id];
	bool guest;

	(void)ck_pr_fas_32(&cpu->kicked, 1);
	guest = in_guest(cpu);
	if (guest && cpu->guest_ipi == IPI_NMI)
		apic_send_nmi(cpu->apic_id);
	else if (guest || ck_pr_load_32(&cpu->asleep))
		apic_send(cpu->apic_id, VECTOR_KICK);
}
