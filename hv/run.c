/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: the run loop of a CPU.
 *
 *     run_cpu     choose a vCPU --------------------------------------+<--------------------+
 *                                                                     v                     |
 *     run_vcpu    load, and for one slice:    entry check ---> guest ---> handler --RESUME--+ (to the check,
 *                                                 |                          |              NEXT_INSN: one further)
 *                                                 |                          |
 *                                     a request, the deadline            RESCHEDULE ---> back to run_cpu
 *
 * Every exit pays for the code between the guest and the handler, so it is this and no more: the
 * entry check is a read of the clock, one barrier, one load and two generations compared; no lock.
 *
 * Invariants:
 * RUN-1  a request stored before a kick is seen before the guest runs its next instruction: either
 *        the entry check reads it, or the kick arrives as a pending interrupt and ends the guest at
 *        once.
 * RUN-2  between stage2_enter() and stage2_leave() no lock is taken (tlb.h).
 * RUN-3  the vCPU that is loaded on a CPU is in that CPU's queue; it is unloaded before it is
 *        released.
 * RUN-4  a vCPU leaves its CPU at the first exit or request after slice_end: the clock is read at
 *        each pass of the loop, whatever the back end's timer does and however often the guest or
 *        its other vCPUs raise requests.
 * RUN-5  a wake-up of another vCPU ends a turn after a 64th of a slice at the earliest, so that
 *        guests that sleep for moments do not fill the CPU with switches.
 * RUN-6  a vCPU's timers run once in 20 us at most, so that one with a shorter period than it takes
 *        to run it leaves the guest the CPU.
 */
#include <hv/run.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/dirty.h>
#include <hv/exits.h>
#include <hv/irqchip.h>
#include <hv/jobs.h>
#include <hv/park.h>
#include <hv/pc.h>
#include <hv/sched.h>
#include <hv/vcpu.h>
#include <hv/vm_create.h>
#include <lib/boot_phase.h>
#include <lib/log.h>
#include <mm/tlb.h>
#include <trace/trace.h>

/* [c] The vCPU with its state in the CPU; it stays there until another one needs the CPU. */
static struct vcpu *loaded_on[ARCH_CPUS_MAX];

static void load(struct vcpu *vcpu)
{
	struct vcpu **loaded = &loaded_on[arch_cpu_id()];

	if (*loaded == vcpu)
		return;
	if (*loaded)
		virt->vcpu_put(&(*loaded)->arch);
	if (vcpu) {
		virt->vcpu_load(&vcpu->arch);
		boot_phase_end(BOOT_PHASE_GUEST, arch_ticks());
	}
	*loaded = vcpu;
}

/*
 * A piece of the devices' work, which counts as the vCPU's time. True: more is left, and the
 * requests are pending again: the vCPU comes here at its next pass, before it enters the guest or
 * follows a signal.
 */
static __cold bool run_devices(struct vcpu *vcpu, u32 *requests)
{
	bool starved, more = pci_run(&vcpu->vm->pc->pci, &starved);

	if (!starved)
		vcpu->wait[WAITER_DEVICES].place = 0;
	if (more)
		ck_pr_or_32(&vcpu->requests, *requests & ~(u32)REQUEST_RESCHEDULE);
	if (more && starved && exit_out_of_memory(vcpu, WAITER_DEVICES) == EXIT_RESCHEDULE)
		*requests |= REQUEST_RESCHEDULE;
	return more;
}

/*
 * False: the vCPU may not go on now. All requests are taken at once, so each has to be carried out:
 * an event that came together with a reschedule is queued before the vCPU leaves the CPU.
 */
static bool handle_requests(struct vcpu *vcpu)
{
	u32 requests = ck_pr_fas_32(&vcpu->requests, 0);

	if (unlikely(requests & REQUEST_DEVICES) && !(requests & REQUEST_STOP) &&
	    run_devices(vcpu, &requests))
		return !(requests & REQUEST_RESCHEDULE);
	if (requests & REQUEST_EVENT) {
		if (unlikely(vcpu->waits_for_sipi || vcpu_is_signalled(vcpu)) &&
		    !vcpu_follow_signals(vcpu))
			return false;
		vcpu_deliver_irqs(vcpu);
	}
	if (requests & REQUEST_PREEMPT)
		vcpu->slice_end = MIN(vcpu->slice_end, vcpu->keep_until); /* RUN-5 */
	return !(requests & (REQUEST_STOP | REQUEST_RESCHEDULE));
}

/*
 * The tick at which the guest must exit: the end of its turn, its own timer, or the timer of a vCPU
 * that sleeps on this CPU.
 */
static u64 run_until(const struct vcpu *vcpu)
{
	u64 now = arch_ticks();

	return MIN(vcpu->slice_end,
		   MIN(vcpu_alarm(vcpu, now), MAX(sched_alarm(now), vcpu->keep_until)));
}

/* The deadline has passed. True: for the turn; false: for a timer of the vCPU itself. */
static __cold bool turn_is_over(const struct vcpu *vcpu)
{
	u64 now = arch_ticks();

	return now >= vcpu->slice_end || (now >= vcpu->keep_until && sched_alarm(now) <= now);
}

static __cold enum exit_verdict time_handler(struct vcpu *vcpu, const struct hv_exit *exit)
{
	u64 start = arch_ticks(), ticks;
	enum exit_verdict verdict;

	exit_count_fold(&vcpu->exits[exit->reason]);
	verdict = exit_handlers[exit->reason](vcpu, exit);
	ticks = (arch_ticks() - start) | 1;
	vcpu->times.ticks[exit->reason] += ticks;
	vcpu->times.bucket[exit->reason][MIN(63 - __builtin_clzll(ticks), EXIT_BUCKETS - 1)]++;
	return verdict;
}

static void trace_exit(const struct vcpu *vcpu, const struct hv_exit *exit)
{
	TRACE(exit, addrspace_id(vcpu->vm->memory), .raw = exit->raw.reason,
	      .vcpu = (u16)vcpu->index, .reason = (u8)exit->reason);
}

/*
 * Enters the guest once and handles its exit. False: the vCPU leaves the CPU. traced: a constant,
 * so that an exit that is not traced has no branch for it.
 */
static __always_inline bool enter_guest(struct vcpu *vcpu, const struct virt_ops *ops,
					const struct stage2_gate *gate, u64 deadline, bool traced)
{
	enum hv_exit_reason reason;
	enum exit_verdict verdict;
	struct hv_exit exit;

	if (unlikely(stage2_is_behind(gate)))
		ops->flush_stage2(&vcpu->arch);
	if (traced)
		TRACE(entry, addrspace_id(vcpu->vm->memory), .vcpu = (u16)vcpu->index);
	ops->run(&vcpu->arch, deadline, &exit);
	stage2_leave(gate);
	if (traced)
		trace_exit(vcpu, &exit);
	reason = exit.reason;
	if (unlikely(exit_count_step(&vcpu->exits[reason])))
		verdict = time_handler(vcpu, &exit);
	else
		verdict = exit_handlers[reason](vcpu, &exit);
	if (likely(verdict == EXIT_NEXT_INSN))
		ops->skip_insn(&vcpu->arch, &exit);
	return verdict != EXIT_RESCHEDULE;
}

/* RUN-4: no way around the loop avoids the clock. */
static __always_inline void run_loop(struct vcpu *vcpu, bool traced)
{
	const struct stage2_gate gate = stage2_gate(vcpu->stage2);
	const struct virt_ops *ops = virt;
	u64 deadline = run_until(vcpu);

	for (;;) {
		if (unlikely(arch_ticks_reached(&deadline))) {
			if (turn_is_over(vcpu))
				return;
			vcpu_recheck(vcpu);
		}
		stage2_enter(&gate);
		if (unlikely(arch_word_is_set(&vcpu->requests))) {
			stage2_leave(&gate);
			if (!handle_requests(vcpu))
				return;
			deadline = run_until(vcpu);
		} else if (!enter_guest(vcpu, ops, &gate, deadline, traced)) {
			return;
		}
	}
}

static __cold void run_traced_turn(struct vcpu *vcpu)
{
	run_loop(vcpu, true);
}

/* Whether entries and exits are traced is decided once a turn. */
static void run_turn(struct vcpu *vcpu)
{
	if (TRACE_ON(exit))
		run_traced_turn(vcpu);
	else
		run_loop(vcpu, false);
}

#define SHORTEST_TURN 64 /* of a slice, where another vCPU wakes meanwhile: RUN-5 */

static void run_vcpu(struct vcpu *vcpu)
{
	unsigned space = addrspace_id(vcpu->vm->memory);
	u64 start = arch_ticks();

	load(vcpu);
	trace_context(space, vcpu->index);
	TRACE(sched_in, space, .vcpu = (u16)vcpu->index);
	vcpu->slice_end = MIN(start + sched_slice(), jobs_turn_end());
	vcpu->keep_until = start + sched_slice() / SHORTEST_TURN;
	run_turn(vcpu);
	dirty_drain(vcpu);
	TRACE(sched_out, space, .used = arch_ticks() - start, .vcpu = (u16)vcpu->index);
	trace_context(0, 0);
	sched_account(vcpu, arch_ticks() - start);
}

/* The vCPUs of stopping VMs on this CPU are unloaded and released; DEAD VMs are destroyed. */
static void release_stopping(void)
{
	struct vcpu *vcpu;
	struct vm *vm;

	while ((vcpu = sched_pick_ended())) {
		if (loaded_on[arch_cpu_id()] == vcpu)
			load(NULL);
		sched_remove(vcpu);
		vm_release_vcpu(vcpu);
	}
	while ((vm = vm_take_dead()))
		vm_destroy(vm);
}

/* A halted vCPU is woken by its owner, this CPU, when its timer is due. */
static void wake_sleepers(void)
{
	struct vcpu *vcpu;

	while ((vcpu = sched_pick_due(arch_ticks())))
		vcpu_notify(vcpu);
}

static void sleep(void)
{
	u64 alarm = MIN(sched_alarm(arch_ticks()), jobs_due());

	if (alarm != TICK_NEVER)
		arch_alarm(alarm);
	arch_idle();
}

/* A vCPU's registers, for the control channel. */
static void look_at_vcpu(void)
{
	struct vcpu *vcpu = vcpu_look_request();

	if (likely(!vcpu))
		return;
	load(vcpu);
	vcpu_look_take(vcpu);
}

void run_cpu(void)
{
	while (vm_count_alive() > 0) {
		struct vcpu *vcpu;

		park_here();
		release_stopping();
		look_at_vcpu();
		wake_sleepers();
		vcpu = sched_pick();
		if (vcpu)
			run_vcpu(vcpu);
		if (!jobs_run(!vcpu) && !vcpu && vm_count_alive() > 0)
			sleep();
	}
	load(NULL);
}
