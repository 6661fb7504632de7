/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall_irq.c: interrupts of a VM without a board: a bit for each vector, set by a hypercall.
 *
 * The task priority is a register without effect.
 */
#include <hv/irqchip.h>
#include <ck_pr.h>
#include <hv/vcpu.h>

void vcpu_raise_irq(struct vcpu *vcpu, u8 vector)
{
	ck_pr_or_64(&vcpu->pending_irqs[vector / 64], BIT(vector % 64));
	vcpu_notify(vcpu);
}

/* The highest vector goes first, as in a local APIC (SDM vol. 3A, 11.8.3). -1: none. */
static int irqchip_highest(const struct vcpu *vcpu)
{
	for (int i = VCPU_VECTORS / 64 - 1; i >= 0; i--) {
		u64 word = ck_pr_load_64(&vcpu->pending_irqs[i]);

		if (word)
			return i * 64 + 63 - __builtin_clzll(word);
	}
	return -1;
}

static bool irqchip_pending(struct vcpu *vcpu)
{
	return irqchip_highest(vcpu) >= 0;
}

static u8 irqchip_take(struct vcpu *vcpu)
{
	int vector = irqchip_highest(vcpu);

	ck_pr_and_64(&vcpu->pending_irqs[vector / 64], ~BIT(vector % 64));
	return (u8)vector;
}

static u64 irqchip_no_alarm(const struct vcpu *vcpu, u64 now)
{
	return TICK_NEVER;
}

static void irqchip_do_nothing(struct vcpu *vcpu)
{
}

static bool irqchip_no_ticks(const struct vcpu *vcpu)
{
	return false;
}

static u64 irqchip_get_priority(const struct vcpu *vcpu)
{
	return vcpu->priority;
}

static bool irqchip_set_priority(struct vcpu *vcpu, u64 value)
{
	if (value > 15)
		return false;
	vcpu->priority = value;
	return true;
}

const struct irqchip_ops hypercall_irqchip = {
	.pending = irqchip_pending,
	.take = irqchip_take,
	.alarm = irqchip_no_alarm,
	.run_timers = irqchip_do_nothing,
	.ticks_owed = irqchip_no_ticks,
	.reset = irqchip_do_nothing,
	.get_priority = irqchip_get_priority,
	.set_priority = irqchip_set_priority,
};
