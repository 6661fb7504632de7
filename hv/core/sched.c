/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.c: fair sharing of one CPU by accumulated run time.
 *
 *     runtime     A: 12 ms   B: 10 ms   C: halted, 3 ms         now = 10 ms (the least ever picked)
 *     pick        B, for a slice of 5 ms; then A; and when C wakes it enters at 10 - 5 = 5 ms: next
 */
#include <hv/sched.h>
#include <arch/cpu.h>
#include <hv/vcpu.h>
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

static bool vm_is_over(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->vm->state, __ATOMIC_ACQUIRE) == VM_STOPPING;
}

struct vcpu *sched_pick_ended(void)
{
	struct queue *queue = &queues[arch_cpu_id()];
	struct vcpu *vcpu;

	spin_lock(&queue->lock);
	for (vcpu = queue->first; vcpu && !vm_is_over(vcpu); vcpu = vcpu->next)
		;
	spin_unlock(&queue->lock);
	return vcpu;
}

/* SCHED-2. */
static void forget_long_wait(const struct queue *queue, struct vcpu *vcpu)
{
	u64 slice = sched_slice();

	if (vcpu->runtime + slice < queue->now)
		vcpu->runtime = queue->now - slice;
}

/* READY and not resting. */
static bool may_run(struct vcpu *vcpu)
{
	if (__atomic_load_n(&vcpu->state, __ATOMIC_ACQUIRE) != VCPU_READY)
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
}

struct vcpu *sched_pick(void)
{
	struct queue *queue = &queues[arch_cpu_id()];
	struct vcpu *best = NULL;

	spin_lock(&queue->lock);
	for (struct vcpu *vcpu = queue->first; vcpu; vcpu = vcpu->next) {
		if (!may_run(vcpu))
			continue;
		forget_long_wait(queue, vcpu);
		if (!best || vcpu->runtime < best->runtime)
			best = vcpu;
	}
	if (best) {
		queue->now = MAX(queue->now, best->runtime);
		best->slices++;
		__atomic_store_n(&queue->turns, queue->turns + 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&queue->current, best, __ATOMIC_RELAXED);
	spin_unlock(&queue->lock);
	return best;
}

static bool sleeps(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->state, __ATOMIC_ACQUIRE) == VCPU_HALTED;
}

struct vcpu *sched_pick_due(u64 now)
{
	struct queue *queue = &queues[arch_cpu_id()];
	struct vcpu *vcpu;

	spin_lock(&queue->lock);
	for (vcpu = queue->first; vcpu && !(sleeps(vcpu) && vcpu_alarm(vcpu) <= now);
	     vcpu = vcpu->next)
		;
	spin_unlock(&queue->lock);
	return vcpu;
}

u64 sched_alarm(void)
{
	struct queue *queue = &queues[arch_cpu_id()];
	u64 alarm = TICK_NEVER;

	spin_lock(&queue->lock);
	for (struct vcpu *vcpu = queue->first; vcpu; vcpu = vcpu->next) {
		if (sleeps(vcpu))
			alarm = MIN(alarm, vcpu_alarm(vcpu));
		else if (vcpu->rests_until)
			alarm = MIN(alarm, vcpu->rests_until);
	}
	spin_unlock(&queue->lock);
	return alarm;
}

void sched_account(struct vcpu *vcpu, u64 ticks)
{
	vcpu->runtime += ticks;
	vcpu->used += ticks;
}

void sched_woken(struct vcpu *vcpu)
{
	struct queue *queue = &queues[vcpu->cpu];

	spin_lock(&queue->lock);
	if (queue->current && queue->current != vcpu)
		__atomic_or_fetch(&queue->current->requests, REQUEST_RESCHEDULE, __ATOMIC_RELEASE);
	spin_unlock(&queue->lock);
	arch_cpu_kick(vcpu->cpu);
}

u64 sched_turns(unsigned cpu)
{
	return __atomic_load_n(&queues[cpu].turns, __ATOMIC_RELAXED);
}
