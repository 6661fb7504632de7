/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.c: the table of exit handlers and the short ones.
 *
 * Invariants:
 * EXIT-1  every reason has a handler, and every handler either moves the guest on (skips the
 *         instruction, raises an exception, makes the access possible), puts the vCPU to sleep, or
 *         ends the VM. So no guest can make hv spin on one exit without using up its own time
 *         slice.
 * EXIT-2  nothing a guest can do reaches CHECK() or panic().
 */
#include <hv/exits.h>
#include <arch/cpu.h>
#include <arch/regs.h>
#include <hv/cpuid.h>
#include <hv/dirty.h>
#include <hv/display.h>
#include <hv/hypercall.h>
#include <hv/insn_memo.h>
#include <hv/irqchip.h>
#include <hv/lapic.h>
#include <hv/mmio.h>
#include <hv/msr.h>
#include <hv/pio.h>
#include <hv/vga.h>
#include <hv/reclaiming.h>
#include <hv/sched.h>
#include <hv/task.h>
#include <hv/vcpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/fault.h>

#define LOG_THIS       LOG_VM
#define STARVING_TRIES 1000 /* a second */
#define TRAPPED_MAX    32   /* RDTSCs of handlers between a PAUSE and the RDTSC that follows it */

static enum exit_verdict refuse_gp(struct vcpu *vcpu)
{
	vcpu_raise_gp(vcpu);
	return EXIT_RESUME;
}

/* Host interrupts, kicks, the deadline: the entry check does the rest. */
static enum exit_verdict exit_interrupt(struct vcpu *vcpu, const struct hv_exit *exit)
{
	return EXIT_RESUME;
}

static __always_inline enum exit_verdict answer_cpuid(u64 *gpr, const struct arch_cpuid *value)
{
	gpr[GPR_RAX] = value->eax;
	gpr[GPR_RBX] = value->ebx;
	gpr[GPR_RCX] = value->ecx;
	gpr[GPR_RDX] = value->edx;
	return EXIT_NEXT_INSN;
}

/* An answer that depends on the subleaf, the vCPU or its mode. */
static __cold enum exit_verdict slow_cpuid(struct vcpu *vcpu)
{
	u64 *gpr = vcpu->arch.gpr;
	const struct cpuid_entry *entry =
		cpuid_find(vcpu->vm->cpuid, (u32)gpr[GPR_RAX], (u32)gpr[GPR_RCX]);
	struct cpuid_now now = {.vcpu = vcpu->index};
	struct arch_cpuid value;

	if (entry->fill == CPUID_FILL_FEATURES)
		now.cr4 = virt->cr4(&vcpu->arch);
	now.apic_off = vcpu->lapic && !lapic_is_enabled(vcpu->lapic);
	if (entry->fill == CPUID_FILL_XSAVE)
		now.xcr0 = arch_xcr0();
	value = cpuid_fill(entry, &now);
	return answer_cpuid(gpr, &value);
}

static enum exit_verdict exit_cpuid(struct vcpu *vcpu, const struct hv_exit *exit)
{
	u64 *gpr = vcpu->arch.gpr;
	u32 leaf = (u32)gpr[GPR_RAX];
	const struct cpuid_entry *entry = cpuid_first(vcpu->vm->cpuid, leaf);

	if (unlikely(entry->plain != leaf))
		return slow_cpuid(vcpu);
	return answer_cpuid(gpr, &entry->value);
}

static enum exit_verdict exit_msr_read(struct vcpu *vcpu, const struct hv_exit *exit)
{
	u64 *gpr = vcpu->arch.gpr;
	u64 value;

	if (!msr_read(vcpu, (u32)gpr[GPR_RCX], &value))
		return refuse_gp(vcpu);
	gpr[GPR_RAX] = (u32)value;
	gpr[GPR_RDX] = value >> 32;
	return EXIT_NEXT_INSN;
}

static enum exit_verdict exit_msr_write(struct vcpu *vcpu, const struct hv_exit *exit)
{
	const u64 *gpr = vcpu->arch.gpr;

	if (!msr_write(vcpu, (u32)gpr[GPR_RCX], gpr[GPR_RDX] << 32 | (u32)gpr[GPR_RAX]))
		return refuse_gp(vcpu);
	return EXIT_NEXT_INSN;
}

/*
 * An access without memory or device. Hardware would return all ones; without a board inject #GP(0)
 * so that a faulty test guest notices. A guest that cannot take the #GP gets #DF, then a triple
 * fault: the back end follows the manual's table of double faults.
 */
static enum exit_verdict access_to_nowhere(struct vcpu *vcpu, const struct hv_exit *exit)
{
	if (vcpu->vm->pc && exit->stage2.delivery)
		return exit_unhandled(vcpu, exit, "the delivery of an event reached a device");
	if (vcpu->vm->pc && exit->stage2.table_walk)
		return exit_unhandled(vcpu, exit, "its page tables lie in a device or in ROM");
	if (vcpu->vm->pc)
		return mmio_access(vcpu, exit);
	log_trace("%s: access %x to %lx, where there is nothing", vcpu->vm->config.name,
		  exit->stage2.access, exit->stage2.gpa.raw);
	vcpu->lost_accesses++;
	return refuse_gp(vcpu);
}

/*
 * Cold pages make room, if there are any. Else the vCPU rests and tries again, as another VM's end
 * or a merge may have made room; a VM that starves is over.
 */
__cold enum exit_verdict exit_out_of_memory(struct vcpu *vcpu, enum frame_waiter waiter)
{
	u64 now = arch_ticks();

	if (reclaiming_make_room())
		return EXIT_RESUME;
	if (vcpu_starves(vcpu, waiter, now))
		vm_stop(vcpu->vm, VM_END_NO_MEMORY, 0);
	sched_rest(vcpu, now + arch_ticks_per_second() / STARVING_TRIES);
	return EXIT_RESCHEDULE;
}

/* Nothing was mapped. */
static __noinline enum exit_verdict refuse_fault(struct vcpu *vcpu, const struct hv_exit *exit,
						 enum fault_outcome outcome)
{
	switch (outcome) {
	case FAULT_DENIED:
		return refuse_gp(vcpu);
	case FAULT_NO_MEMORY:
		return exit_out_of_memory(vcpu, WAITER_INSN);
	default:
		return access_to_nowhere(vcpu, exit);
	}
}

static __noinline enum exit_verdict handle_fault(struct vcpu *vcpu, const struct hv_exit *exit)
{
	u64 gpa = exit->stage2.gpa.raw;
	enum fault_outcome outcome;

	vcpu->arch.armed = 0;
	outcome = fault_handle(vcpu->stage2, exit->stage2.gpa, exit->stage2.access);
	if (unlikely(outcome > FAULT_RACED))
		return refuse_fault(vcpu, exit, outcome);
	if (unlikely(gpa - VGA_TEXT_START < VGA_TEXT_END - VGA_TEXT_START))
		display_note_access(vcpu->vm);
	return EXIT_RESUME;
}

/* A remembered access is carried out without a look at stage 2, which maps nothing there. */
static __noinline enum exit_verdict access_apic(struct vcpu *vcpu, const struct hv_exit *exit)
{
	if (likely(insn_memo_move(vcpu, exit)))
		return EXIT_RESUME;
	return handle_fault(vcpu, exit);
}

static enum exit_verdict exit_stage2(struct vcpu *vcpu, const struct hv_exit *exit)
{
	if (exit->stage2.gpa.raw - LAPIC_BASE < PAGE_SIZE)
		return access_apic(vcpu, exit);
	return handle_fault(vcpu, exit);
}

static enum exit_verdict exit_stage2_broken(struct vcpu *vcpu, const struct hv_exit *exit)
{
	return exit_unhandled(vcpu, exit, "its second-level tables are damaged");
}

static enum exit_verdict exit_hlt(struct vcpu *vcpu, const struct hv_exit *exit)
{
	virt->skip_insn(&vcpu->arch, exit);
	vcpu_halt(vcpu);
	return EXIT_RESCHEDULE;
}

/*
 * Between STI and HLT an interrupt may not be taken; so the HLT is carried out, which looks for
 * one.
 */
static enum exit_verdict exit_shadow(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct hv_exit known = *exit;

	virt->complete_exit(&vcpu->arch, &known);
	return known.reason == HV_EXIT_HLT ? exit_hlt(vcpu, &known) : EXIT_RESUME;
}

/* Timers due by `now` are delivered before the guest's next instruction. */
static bool look_at_timers(struct vcpu *vcpu, u64 now)
{
	if (vcpu_alarm(vcpu, now) > now)
		return false;
	vcpu_recheck(vcpu);
	return true;
}

/*
 * A spin loop: on another vCPU, and then the vCPU leaves the CPU; or, with TRAP_PAUSE (TICK-5), on
 * ticks: then its next RDTSC exits, too, if it would take an interrupt.
 */
static enum exit_verdict exit_pause(struct vcpu *vcpu, const struct hv_exit *exit)
{
	virt->skip_insn(&vcpu->arch, exit);
	if (!(vcpu->traps & TRAP_PAUSE))
		return EXIT_RESCHEDULE;
	if (virt->can_inject(&vcpu->arch, GUEST_EVENT_IRQ))
		vcpu_trap(vcpu, TRAP_PAUSE | TRAP_TSC);
	vcpu->trapped = 0;
	(void)look_at_timers(vcpu, arch_ticks());
	return EXIT_RESUME;
}

/*
 * Timers that are due are delivered first, then this instruction executes again: no time is read
 * before the interrupts that were due by then. A handler that runs between keeps the trap for the
 * interrupted loop; TRAPPED_MAX times at most, as a loop with interrupts off may calibrate.
 */
static enum exit_verdict exit_tsc(struct vcpu *vcpu, const struct hv_exit *exit)
{
	u64 *gpr = vcpu->arch.gpr;
	struct hv_exit known = *exit;
	u64 now = arch_ticks(), value = now + vcpu->arch.tsc_offset;

	if (look_at_timers(vcpu, now))
		return EXIT_RESUME;
	if (virt->can_inject(&vcpu->arch, GUEST_EVENT_IRQ) || ++vcpu->trapped >= TRAPPED_MAX)
		vcpu_trap(vcpu, vcpu->traps & ~TRAP_TSC);
	virt->complete_exit(&vcpu->arch, &known);
	gpr[GPR_RAX] = (u32)value;
	gpr[GPR_RDX] = value >> 32;
	return EXIT_NEXT_INSN;
}

/*
 * CR8 is the task priority of the local APIC. A VM without a board has none to hold back; there CR8
 * is a register and no more. A system that changes it often pays an exit each time, and every other
 * exit is spared the look at it.
 */
static enum exit_verdict task_priority(struct vcpu *vcpu, const struct hv_exit_cr *cr)
{
	if (!cr->write)
		vcpu->arch.gpr[cr->gpr] = vcpu->vm->irqchip->get_priority(vcpu);
	else if (!vcpu->vm->irqchip->set_priority(vcpu, vcpu->arch.gpr[cr->gpr]))
		return refuse_gp(vcpu);
	else
		vcpu_recheck(vcpu);
	return EXIT_NEXT_INSN;
}

/* The operand of a MOV to CR: 32 bits outside of 64-bit code (SDM vol. 2B, MOV). */
static u64 cr_operand(struct vcpu *vcpu, const struct hv_exit_cr *cr)
{
	u64 value = cr->has_value ? cr->value : vcpu->arch.gpr[cr->gpr];
	struct guest_state state;

	if (likely(!(value >> 32)))
		return value;
	virt->get_state(&vcpu->arch, &state);
	return state.efer & EFER_LMA && state.seg[SEG_CS].attr & SEG_ATTR_L ? value : (u32)value;
}

static enum exit_verdict write_cr(struct vcpu *vcpu, const struct hv_exit_cr *cr)
{
	u64 value = cr_operand(vcpu, cr);

	if (virt->write_cr(&vcpu->arch, cr->cr, value) != 0)
		return refuse_gp(vcpu);
	return EXIT_NEXT_INSN;
}

/* Of reads only CR8's exits; another one is code that changed meanwhile. */
static enum exit_verdict exit_cr(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct hv_exit known = *exit;
	const struct hv_exit_cr *cr = &known.cr;
	enum exit_verdict verdict;
	struct guest_state state;

	if (virt->complete_exit)
		virt->complete_exit(&vcpu->arch, &known);
	if (cr->gpr == GPR_RSP)
		virt->get_state(&vcpu->arch, &state); /* RSP is not with the others (virt.h) */
	verdict = cr->cr == 8 ? task_priority(vcpu, cr)
		  : cr->write ? write_cr(vcpu, cr)
			      : refuse_gp(vcpu);
	if (cr->gpr == GPR_RSP && !cr->write && virt->set_state(&vcpu->arch, &state) != 0)
		return refuse_gp(vcpu);
	return verdict;
}

/* The back end carries the MOV out. */
static enum exit_verdict exit_dr(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct hv_exit known = *exit;

	virt->complete_exit(&vcpu->arch, &known);
	return known.reason == HV_EXIT_DR ? EXIT_NEXT_INSN : refuse_gp(vcpu);
}

static enum exit_verdict exit_xsetbv(struct vcpu *vcpu, const struct hv_exit *exit)
{
	const u64 *gpr = vcpu->arch.gpr;
	u64 value = gpr[GPR_RDX] << 32 | (u32)gpr[GPR_RAX];

	if (value & ~CPUID_XCR0 || virt->cpl(&vcpu->arch) != 0 ||
	    arch_xsetbv(&vcpu->arch, (u32)gpr[GPR_RCX], value) != 0)
		return refuse_gp(vcpu);
	return EXIT_NEXT_INSN;
}

/* Guest memory is coherent without it: there is no device that does not snoop. */
static enum exit_verdict exit_cache(struct vcpu *vcpu, const struct hv_exit *exit)
{
	return EXIT_NEXT_INSN;
}

static enum exit_verdict exit_virt_insn(struct vcpu *vcpu, const struct hv_exit *exit)
{
	vcpu_raise_ud(vcpu);
	return EXIT_RESUME;
}

/* None is intercepted; one that exits goes to the guest unchanged. */
static enum exit_verdict exit_exception(struct vcpu *vcpu, const struct hv_exit *exit)
{
	vcpu_raise(vcpu, exit->exception.vector, exit->exception.has_error_code,
		   exit->exception.error_code, exit->exception.address);
	return EXIT_RESUME;
}

static enum exit_verdict exit_irq_window(struct vcpu *vcpu, const struct hv_exit *exit)
{
	virt->set_irq_window(&vcpu->arch, false);
	vcpu_deliver_irqs(vcpu);
	return EXIT_RESUME;
}

static enum exit_verdict exit_nmi_window(struct vcpu *vcpu, const struct hv_exit *exit)
{
	virt->set_nmi_window(&vcpu->arch, false);
	vcpu_deliver_irqs(vcpu);
	return EXIT_RESUME;
}

static enum exit_verdict exit_pml_full(struct vcpu *vcpu, const struct hv_exit *exit)
{
	dirty_drain(vcpu);
	return EXIT_RESUME;
}

static enum exit_verdict exit_shutdown(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct guest_state state;

	virt->get_state(&vcpu->arch, &state);
	log_info("%s: triple fault at %lx", vcpu->vm->config.name, state.rip);
	vm_stop(vcpu->vm, VM_END_TRIPLE_FAULT, 0);
	return EXIT_RESCHEDULE;
}

static enum exit_verdict exit_entry_failed(struct vcpu *vcpu, const struct hv_exit *exit)
{
	log_error("%s: the CPU refused the guest's state (reason %lx, info %lx %lx)",
		  vcpu->vm->config.name, exit->raw.reason, exit->raw.info1, exit->raw.info2);
	vcpu_dump(vcpu);
	vm_stop(vcpu->vm, VM_END_ENTRY_FAILED, 0);
	return EXIT_RESCHEDULE;
}

static enum exit_verdict exit_unknown(struct vcpu *vcpu, const struct hv_exit *exit)
{
	return exit_unhandled(vcpu, exit, "it did what is not handled");
}

const exit_handler exit_handlers[HV_EXIT_REASONS] = {
	[HV_EXIT_INTERRUPT] = exit_interrupt,
	[HV_EXIT_TIMESLICE] = exit_interrupt,
	[HV_EXIT_SHADOW] = exit_shadow,
	[HV_EXIT_CPUID] = exit_cpuid,
	[HV_EXIT_HYPERCALL] = exit_hypercall,
	[HV_EXIT_PIO] = exit_pio,
	[HV_EXIT_MSR_READ] = exit_msr_read,
	[HV_EXIT_MSR_WRITE] = exit_msr_write,
	[HV_EXIT_STAGE2] = exit_stage2,
	[HV_EXIT_STAGE2_BROKEN] = exit_stage2_broken,
	[HV_EXIT_HLT] = exit_hlt,
	[HV_EXIT_PAUSE] = exit_pause,
	[HV_EXIT_TSC] = exit_tsc,
	[HV_EXIT_CR] = exit_cr,
	[HV_EXIT_DR] = exit_dr,
	[HV_EXIT_XSETBV] = exit_xsetbv,
	[HV_EXIT_TASK_SWITCH] = exit_task_switch,
	[HV_EXIT_CACHE] = exit_cache,
	[HV_EXIT_VIRT_INSN] = exit_virt_insn,
	[HV_EXIT_EXCEPTION] = exit_exception,
	[HV_EXIT_IRQ_WINDOW] = exit_irq_window,
	[HV_EXIT_NMI_WINDOW] = exit_nmi_window,
	[HV_EXIT_PML_FULL] = exit_pml_full,
	[HV_EXIT_SHUTDOWN] = exit_shutdown,
	[HV_EXIT_INIT_SIPI] = exit_unknown,
	[HV_EXIT_ENTRY_FAILED] = exit_entry_failed,
	[HV_EXIT_UNKNOWN] = exit_unknown,
};
_Static_assert(ARRAY_SIZE(exit_handlers) == HV_EXIT_REASONS, "EXIT-1");
