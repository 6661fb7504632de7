/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.c: fair shares of one CPU by accumulated run time.
 *
 *     runtime     A: 12 ms   B: 10 ms   C: halted, 3 ms         now = 10 ms (the least ever picked)
 *     pick        B, for a slice of 5 ms; then A; and when C wakes it enters at 10 - 5 = 5 ms: next
 */
#include <hv/sched.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/irqchip.h>
#include <lib/log.h>

/* lock: rank LOCK_SCHED. first, now: under it. current: [a], for sched_woken() on other CPUs. */
struct queue {
	struct spinlock lock;
	struct vcpu *first;
	u64 now; /* run time of the vCPU that was picked last */
	struct vcpu *current;
	u64 turns; /* [a] times the CPU was given to a vCPU */
} __aligned(64);

static struct queue queues[ARCH_CPUS_MAX];

void sched_init(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++)
		spin_init(&queues[i].lock, LOCK_SCHED, "run queue");
}

u64 sched_slice(void)
{
	return arch_ticks_per_second() * CONFIG_TIMESLICE_US / 1000000;
}

void sched_add(struct vcpu *vcpu)
{
	struct queue *queue = &queues[vcpu->cpu];

	spin_lock(&queue->lock);
	vcpu->next = queue->first;
	vcpu->runtime = queue->now;
	vcpu->ready_since = arch_ticks();
	queue->first = vcpu;
	spin_unlock(&queue->lock);
	arch_cpu_kick(vcpu->cpu);
}

void sched_remove(struct vcpu *vcpu)
{
	struct queue *queue = &queues[vcpu->cpu];
	struct vcpu **at;

	spin_lock(&queue->lock);
	for (at = &queue->first; *at != vcpu; at = &(*at)->next)
		CHECK(*at);
	*at = vcpu->next;
	if (queue->current == vcpu)
		queue->current = NULL;
	spin_unlock(&queue->lock);
}

static bool vm_is_stopping(const struct vcpu *vcpu)
{
	return ck_pr_load_uint(&vcpu->vm->state) == VM_STOPPING;
}

struct vcpu *sched_pick_ended(void)
{
	struct queue *queue = &queues[arch_cpu_id()];
	struct vcpu *vcpu;

	spin_lock(&queue->lock);
	for (vcpu = queue->first; vcpu && !vm_is_stopping(vcpu); vcpu = vcpu->next)
		;
	spin_unlock(&queue->lock);
	return vcpu;
}

/* SCHED-2. */
static void limit_credit(const struct queue *queue, struct vcpu *vcpu)
{
	u64 slice = sched_slice();

	if (vcpu->runtime + slice < queue->now)
		vcpu->runtime = queue->now - slice;
}

/* READY, not resting, its VM not paused. */
static bool vcpu_may_run(struct vcpu *vcpu)
{
	if (ck_pr_load_32(&vcpu->state) != VCPU_READY || ck_pr_load_32(&vcpu->vm->paused))
		return false;
	if (likely(vcpu->rests_until == 0))
		return true;
	if (arch_ticks() < vcpu->rests_until)
		return false;
	vcpu->rests_until = 0;
	return true;
}

void sched_rest(struct vcpu *vcpu, u64 until)
{
	vcpu->rests_until = until;
	vcpu->ready_since = until;
}

/* The time since it was ready belonged to others. */
static void count_stolen(struct vcpu *vcpu)
{
	u64 now = arch_ticks();

	if (now > vcpu->ready_since)
		ck_pr_store_64(&vcpu->stolen, vcpu->stolen + now - vcpu->ready_since);
}

struct vcpu *sched_pick(void)
{
	struct queue *queue = &queues[arch_cpu_id()];
	struct vcpu *best = NULL;

	spin_lock(&queue->lock);
	for (struct vcpu *vcpu = queue->first; vcpu; vcpu = vcpu->next) {
		if (!vcpu_may_run(vcpu))
			continue;
		limit_credit(queue, vcpu);
		if (!best || vcpu->runtime < best->runtime)
			best = vcpu;
	}
	if (best) {
		queue->now = MAX(queue->now, best->runtime);
		best->slices++;
		ck_pr_and_32(&best->requests, ~(u32)REQUEST_PREEMPT); /* all were looked at now */
		count_stolen(best);
		ck_pr_store_64(&queue->turns, queue->turns + 1);
	}
	ck_pr_store_ptr(&queue->current, best);
	spin_unlock(&queue->lock);
	return best;
}

static bool vcpu_is_halted(const struct vcpu *vcpu)
{
	return ck_pr_load_32(&vcpu->state) == VCPU_HALTED;
}

struct vcpu *sched_pick_due(u64 now)
{
	struct queue *queue = &queues[arch_cpu_id()];
	struct vcpu *vcpu;

	spin_lock(&queue->lock);
	for (vcpu = queue->first; vcpu && !(vcpu_is_halted(vcpu) && vcpu_alarm(vcpu, now) <= now);
	     vcpu = vcpu->next)
		;
	spin_unlock(&queue->lock);
	return vcpu;
}

u64 sched_alarm(u64 now)
{
	struct queue *queue = &queues[arch_cpu_id()];
	u64 alarm = TICK_NEVER;

	spin_lock(&queue->lock);
	for (struct vcpu *vcpu = queue->first; vcpu; vcpu = vcpu->next) {
		if (vcpu_is_halted(vcpu))
			alarm = MIN(alarm, vcpu_alarm(vcpu, now));
		else if (vcpu->rests_until && !ck_pr_load_32(&vcpu->vm->paused))
			alarm = MIN(alarm, vcpu->rests_until);
	}
	spin_unlock(&queue->lock);
	return alarm;
}

void sched_account(struct vcpu *vcpu, u64 ticks)
{
	vcpu->runtime += MIN(ticks, 2 * sched_slice()); /* SCHED-4 */
	vcpu->used += ticks;
	if (vcpu->ready_since < arch_ticks())
		vcpu->ready_since = arch_ticks();
}

void sched_woken(struct vcpu *vcpu)
{
	struct queue *queue = &queues[vcpu->cpu];

	spin_lock(&queue->lock);
	vcpu->ready_since = arch_ticks();
	if (queue->current && queue->current != vcpu)
		ck_pr_or_32(&queue->current->requests, REQUEST_PREEMPT);
	spin_unlock(&queue->lock);
	arch_cpu_kick(vcpu->cpu);
}

void sched_resumed(struct vcpu *vcpu)
{
	struct queue *queue = &queues[vcpu->cpu];

	spin_lock(&queue->lock);
	vcpu->ready_since = arch_ticks();
	spin_unlock(&queue->lock);
	arch_cpu_kick(vcpu->cpu);
}

u64 sched_turns(unsigned cpu)
{
	return ck_pr_load_64(&queues[cpu].turns);
}
