/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apic.c: the local APICs' surroundings: their MSRs and memory, and the messages between them.
 *
 * INIT and SIPI (SDM vol. 3A, 9.4): a vCPU that is OFF waits for a SIPI, which starts it in real
 * mode at vector * 4 KiB. One that was started before is reset by INIT and started again
 * (core/start.c), as Linux does to bring a CPU back. vCPU 0 ignores INIT with a message: it would
 * have to start at the reset vector, where there is no firmware.
 */
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/pc.h>
#include "hv/pc/private.h"
#include <hv/vcpu.h>
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_VM

enum apic_msr { MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0 };

static u64 guest_now(const struct vcpu *vcpu)
{
	return arch_ticks() + vcpu->arch.tsc_offset;
}

static void send_ipi_to(struct vcpu *target, const struct lapic_ipi *ipi)
{
	switch (ipi->delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		lapic_accept(target->lapic, ipi->vector, false);
		vcpu_notify(target);
		break;
	case LAPIC_NMI:
		vcpu_pend_nmi(target);
		vcpu_notify(target);
		break;
	case LAPIC_INIT:
		if (ipi->level_deassert)
			break;
		if (target->index == 0)
			log_debug("%s: INIT for vcpu 0: ignored", target->vm->config.name);
		else
			vcpu_signal_init(target);
		break;
	case LAPIC_SIPI:
		vcpu_signal_sipi(target, ipi->vector);
		break;
	default:
		break;
	}
}

static void send_ipi(struct vcpu *sender, const struct lapic_ipi *ipi)
{
	struct vm *vm = sender->vm;

	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		const struct lapic *lapic = vm->vcpu[i]->lapic;

		if (!lapic_matches(lapic, &ipi->to, sender->lapic) ||
		    (ipi->delivery == LAPIC_LOWEST && !lapic_accepts(lapic)))
			continue;
		send_ipi_to(vm->vcpu[i], ipi);
		if (ipi->delivery == LAPIC_LOWEST)
			break;
	}
}

/* A register write and its effect outside of the APIC. False: #GP. */
static bool apic_write_register(struct vcpu *vcpu, unsigned reg, u64 value)
{
	struct pc *pc = vcpu->vm->pc;
	struct lapic_action action;

	lapic_write(vcpu->lapic, reg, value, guest_now(vcpu), &action);
	if (reg == LAPIC_EOI)
		pc_tick_done(pc);
	switch (action.effect) {
	case LAPIC_SEND:
		send_ipi(vcpu, &action.ipi);
		break;
	case LAPIC_END_OF_INTERRUPT:
		spin_lock(&pc->lock);
		ioapic_end_of_interrupt(&pc->ioapic, action.vector);
		pc_unlock(pc);
		break;
	case LAPIC_GP:
		return false;
	case LAPIC_DONE:
		break;
	}
	vcpu_recheck(vcpu); /* a priority, a timer, a mask may have changed */
	return true;
}

bool pc_msr_read(struct vcpu *vcpu, u32 index, u64 *value)
{
	if (index == MSR_APIC_BASE) {
		*value = vcpu->lapic->base;
		return true;
	}
	if (index == MSR_TSC_DEADLINE) {
		*value = lapic_read_deadline(vcpu->lapic);
		return true;
	}
	if (index - LAPIC_X2APIC_MSR >= LAPIC_REGS || !lapic_is_x2apic(vcpu->lapic))
		return false;
	return lapic_read(vcpu->lapic, index - LAPIC_X2APIC_MSR, guest_now(vcpu), value);
}

bool pc_msr_write(struct vcpu *vcpu, u32 index, u64 value)
{
	if (index == MSR_TSC_DEADLINE) {
		lapic_write_deadline(vcpu->lapic, value);
		vcpu_recheck(vcpu);
		return true;
	}
	if (index == MSR_APIC_BASE)
		return lapic_write_base(vcpu->lapic, value);
	if (index - LAPIC_X2APIC_MSR >= LAPIC_REGS || !lapic_is_x2apic(vcpu->lapic))
		return false;
	return apic_write_register(vcpu, index - LAPIC_X2APIC_MSR, value);
}

static bool in_page(struct gpa gpa, u64 base)
{
	return gpa.raw - base < PAGE_SIZE;
}

static bool in_lapic(const struct vcpu *vcpu, struct gpa gpa)
{
	return in_page(gpa, LAPIC_BASE) && lapic_is_xapic(vcpu->lapic);
}

u32 pc_mmio_read(struct vcpu *vcpu, struct gpa gpa)
{
	struct pc *pc = vcpu->vm->pc;
	u32 value = ~0u;

	if (in_lapic(vcpu, gpa)) {
		value = lapic_read_xapic(vcpu->lapic, page_offset(gpa.raw) >> 4, guest_now(vcpu));
	} else if (in_page(gpa, IOAPIC_BASE)) {
		spin_lock(&pc->lock);
		value = ioapic_read(&pc->ioapic, (u32)page_offset(gpa.raw));
		pc_unlock(pc);
	} else {
		vcpu->lost_accesses++;
	}
	return value;
}

static void write_ioapic(struct pc *pc, struct gpa gpa, u32 value)
{
	spin_assert_held(&pc->lock);
	pc_run_pit(pc);
	ioapic_write(&pc->ioapic, (u32)page_offset(gpa.raw), value);
	pc_run_pit(pc);
}

bool pc_mmio_update(struct vcpu *vcpu, struct gpa gpa, device_update update, void *context)
{
	struct pc *pc = vcpu->vm->pc;
	u64 value;

	if (!in_page(gpa, IOAPIC_BASE) || gpa.raw % 4)
		return false;
	spin_lock(&pc->lock);
	value = ioapic_read(&pc->ioapic, (u32)page_offset(gpa.raw));
	if (update(context, &value))
		write_ioapic(pc, gpa, (u32)value);
	pc_unlock(pc);
	return true;
}

void pc_mmio_write(struct vcpu *vcpu, struct gpa gpa, u32 value)
{
	struct pc *pc = vcpu->vm->pc;

	if (in_lapic(vcpu, gpa)) {
		(void)apic_write_register(vcpu, page_offset(gpa.raw) >> 4, value);
	} else if (in_page(gpa, IOAPIC_BASE)) {
		spin_lock(&pc->lock);
		write_ioapic(pc, gpa, value);
		pc_unlock(pc);
	} else {
		vcpu->lost_accesses++;
	}
}
