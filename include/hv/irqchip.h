/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irqchip.h: the source of a vCPU's interrupts, a table of operations.
 *
 * Two tables: the interrupt controllers and timers of the board (pc/pc.c), and interrupts by
 * hypercall for VMs without a board (core/hypercall_irq.c). All operations: owner of the vCPU.
 */
#ifndef SAMEPAGE_HV_IRQCHIP_H
#define SAMEPAGE_HV_IRQCHIP_H

#include <hv/vm.h>

/*
 * pending	an interrupt is pending that the vCPU would take now
 * take		acknowledges it and returns its vector; pending() was true
 * alarm	the host tick, `now` or later, at which a timer of the vCPU is due; TICK_NEVER: none
 * run_timers	does what is due
 * ticks_owed	periodic ticks are counted that the guest may compare with its TSC (TICK-5)
 * reset	INIT
 * get_priority, set_priority	CR8; false: #GP
 * devices	interrupts come from devices and timers too: a vCPU that halts with interrupts enabled can wake
 */
struct irqchip_ops {
	bool (*pending)(struct vcpu *vcpu);
	u8 (*take)(struct vcpu *vcpu);
	u64 (*alarm)(const struct vcpu *vcpu, u64 now);
	void (*run_timers)(struct vcpu *vcpu);
	bool (*ticks_owed)(const struct vcpu *vcpu);
	void (*reset)(struct vcpu *vcpu);
	u64 (*get_priority)(const struct vcpu *vcpu);
	bool (*set_priority)(struct vcpu *vcpu, u64 value);
	bool devices;
};

/*
 * Owner. The tick, `now` or later, at which a timer of the vCPU is due, but not before its timers
 * have rested (RUN-6); TICK_NEVER: none.
 */
static inline u64 vcpu_alarm(const struct vcpu *vcpu, u64 now)
{
	u64 alarm;

	if (vcpu->unwakeable)
		return TICK_NEVER;
	alarm = vcpu->vm->irqchip->alarm(vcpu, now);
	return MAX(alarm, vcpu->timers_rest);
}

/* Interrupts by hypercall: an edge of `vector`; a vector that is pending is not doubled. Any CPU. */
extern const struct irqchip_ops hypercall_irqchip;
void vcpu_raise_irq(struct vcpu *vcpu, u8 vector);

#endif
