/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: enter, exit, handle, again.
 *
 *     run_cpu     choose a vCPU --------------------------------------+<--------------------+
 *                                                                     v                     |
 *     run_vcpu    load, and for one slice:    entry check ---> guest ---> handler --RESUME--+ (to the check,
 *                                                 |                          |              NEXT_INSN: one further)
 *                                                 |                          |
 *                                             a request                  RESCHEDULE ---> back to run_cpu
 *
 * Everything between the guest and the handler is paid at every exit, so it is this and no more:
 * the entry check is one load and two generations compared, and there is no lock.
 *
 * Invariants:
 * RUN-1  a request stored before a kick is seen before the guest runs its next instruction: either
 *        the entry check reads it, or the kick arrives as a pending interrupt and ends the guest at
 *        once.
 * RUN-2  between stage2_enter() and stage2_leave() no lock is taken (tlb.h).
 * RUN-3  the vCPU that is loaded on a CPU is in that CPU's queue; it is unloaded before it is let
 *        go.
 */
#include <hv/run.h>
#include <arch/cpu.h>
#include <hv/dirty.h>
#include <hv/exits.h>
#include <hv/lifetime.h>
#include <hv/merging.h>
#include <hv/progress.h>
#include <hv/sched.h>
#include <hv/terminal.h>
#include <hv/vcpu.h>
#include <lib/log.h>
#include <mm/tlb.h>

/* [c] The vCPU whose state is in the CPU now; it stays there until another one needs the CPU. */
static struct vcpu *loaded_on[ARCH_CPUS_MAX];

static void load(struct vcpu *vcpu)
{
	struct vcpu **loaded = &loaded_on[arch_cpu_id()];

	if (*loaded == vcpu)
		return;
	if (*loaded)
		virt->vcpu_put(&(*loaded)->arch);
	if (vcpu)
		virt->vcpu_load(&vcpu->arch);
	*loaded = vcpu;
}

/*
 * False: the vCPU may not go on now. All requests are taken at once, so each has to be carried out:
 * an event that came together with a reschedule is queued before the vCPU steps aside.
 */
static bool handle_requests(struct vcpu *vcpu)
{
	u32 requests = __atomic_exchange_n(&vcpu->requests, 0, __ATOMIC_SEQ_CST);

	if (requests & REQUEST_EVENT) {
		if (unlikely(vcpu->waits_for_sipi || vcpu_is_signalled(vcpu)) &&
		    !vcpu_follow_signals(vcpu))
			return false;
		vcpu_deliver_irqs(vcpu);
	}
	return !(requests & (REQUEST_STOP | REQUEST_RESCHEDULE));
}

/*
 * Until when the guest may run: its turn, its own timer, the timer of one that sleeps on this CPU.
 */
static u64 run_until(const struct vcpu *vcpu)
{
	return MIN(vcpu->slice_end, MIN(vcpu_alarm(vcpu), sched_alarm()));
}

/* What does not change while the vCPU is loaded is read once, before the loop. */
static void run_vcpu(struct vcpu *vcpu)
{
	const struct virt_ops *ops = virt;
	struct stage2 *stage2 = vcpu->vm->stage2;
	u64 start = arch_ticks(), deadline;
	enum exit_verdict verdict;
	struct hv_exit exit;

	load(vcpu);
	vcpu->slice_end = start + sched_slice();
	if (vcpu_alarm(vcpu) <= start)
		vcpu_recheck(vcpu); /* what fell due meanwhile comes before its next instruction */
	deadline = run_until(vcpu);
	for (;;) {
		arch_guest_enter();
		if (unlikely(__atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE))) {
			arch_guest_leave();
			if (!handle_requests(vcpu))
				break;
			deadline = run_until(vcpu);
			continue;
		}
		if (unlikely(stage2_enter(stage2)))
			ops->flush_stage2(&vcpu->arch);
		ops->run(&vcpu->arch, deadline, &exit);
		stage2_leave(stage2);
		arch_guest_leave();
		vcpu->exits[exit.reason]++;
		verdict = exit_handlers[exit.reason](vcpu, &exit);
		if (likely(verdict == EXIT_NEXT_INSN))
			ops->skip_insn(&vcpu->arch, &exit);
		else if (verdict == EXIT_RESCHEDULE)
			break;
	}
	dirty_drain(vcpu);
	sched_account(vcpu, arch_ticks() - start);
}

static void let_go_of_ended(void)
{
	struct vcpu *vcpu;

	while ((vcpu = sched_pick_ended())) {
		if (loaded_on[arch_cpu_id()] == vcpu)
			load(NULL);
		sched_remove(vcpu);
		vm_release_vcpu(vcpu);
	}
}

/* Sleepers whose timer is due are woken by their owner, which is this CPU. */
static void wake_sleepers(void)
{
	struct vcpu *vcpu;

	while ((vcpu = sched_pick_due(arch_ticks())))
		vcpu_notify(vcpu);
}

static void idle(void)
{
	u64 alarm;

	if (merging_step(true))
		return;
	alarm = MIN(MIN(sched_alarm(), merging_alarm()), MIN(terminal_alarm(), lifetime_alarm()));
	alarm = MIN(alarm, progress_alarm());
	if (alarm != TICK_NEVER)
		arch_alarm(alarm);
	arch_idle();
}

void run_cpu(void)
{
	while (vm_count_alive() > 0) {
		struct vcpu *vcpu;

		let_go_of_ended();
		wake_sleepers();
		terminal_poll();
		lifetime_poll();
		progress_poll();
		vcpu = sched_pick();
		if (vcpu) {
			run_vcpu(vcpu);
			(void)merging_step(false);
		} else if (vm_count_alive() > 0) {
			idle();
		}
	}
	load(NULL);
}
