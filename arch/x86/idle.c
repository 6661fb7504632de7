/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.c: sleeping, and waking others.
 *
 * A CPU outside a guest that does not sleep needs no interrupt: it runs the entry check before it
 * enters or sleeps. percpu->needs_ipi says when it needs one. Store-buffering pattern: both sides
 * store before they load.
 *
 *     CPU c                                  kicker
 *     -----                                  ------
 *     needs_ipi = 1   (xchg: full barrier)   store the request for c
 *     check           (loads requests)       kicked = 1      (xchg: full barrier)
 *     enter the guest, or sti; hlt           if needs_ipi: send the IPI
 *
 * Either c sees the request, or the kicker sees needs_ipi. Interrupts are off from the check until
 * the guest runs or STI's shadow covers the HLT, so an IPI that comes between stays pending and
 * ends either at once. A back end may request an NMI instead while its guest runs; it then keeps an
 * early one from being lost.
 */
#include <ck_pr.h>
#include <arch/cpu.h>
#include <asm/apic.h>
#include <asm/irq.h>
#include <asm/percpu.h>

#define RESTS_A_SECOND 20000

_Static_assert(offsetof(struct percpu, id) == PERCPU_ID &&
		       offsetof(struct percpu, needs_ipi) == PERCPU_NEEDS_IPI &&
		       offsetof(struct percpu, guest_ipi) == PERCPU_GUEST_IPI,
	       "<arch/inline.h> has three offsets");

void arch_idle(void)
{
	struct percpu *cpu = percpu();

	(void)ck_pr_fas_32(&cpu->needs_ipi, IPI_IRQ);
	if (!ck_pr_load_32(&cpu->kicked))
		asm volatile("sti; hlt; cli" : : : "memory");
	ck_pr_store_32(&cpu->needs_ipi, IPI_NONE);
	/* A full barrier, too: the caller's next look comes after it, or a kick between the two
	 * would be lost. */
	(void)ck_pr_fas_32(&cpu->kicked, 0);
}

void arch_cpu_rest(void)
{
	apic_timer_arm(arch_ticks() + arch_ticks_per_second() / RESTS_A_SECOND);
	asm volatile("sti; hlt; cli" : : : "memory");
}

void arch_cpu_kick(unsigned id)
{
	struct percpu *cpu = &percpu_area[id];

	(void)ck_pr_fas_32(&cpu->kicked, 1);
	switch (ck_pr_load_32(&cpu->needs_ipi)) {
	case IPI_IRQ:
		apic_send(cpu->apic_id, VECTOR_KICK);
		break;
	case IPI_NMI:
		apic_send_nmi(cpu->apic_id);
		break;
	}
}
