/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.h: the run queue of each CPU.
 *
 * Each CPU has a queue of the vCPUs it owns. The next vCPU is the READY one with the least run time
 * so far, so that over any stretch the READY ones get equal shares, whatever they do.
 *
 * Invariants:
 * SCHED-1  a vCPU is in one queue, that of vcpu->cpu, from sched_add() to sched_remove().
 * SCHED-2  a vCPU that was not READY for long has a credit of one slice, not of all that time: it
 *          goes first, and cannot then hold the CPU for ever.
 * SCHED-3  a CPU with a READY vCPU in its queue does not sleep.
 * SCHED-4  a turn is charged with two slices at most. It ends after one (RUN-4); where the clock
 *          says more, the CPU was not there, and the vCPU does not wait for the others to make up
 *          for that.
 */
#ifndef SAMEPAGE_HV_SCHED_H
#define SAMEPAGE_HV_SCHED_H

#include <hv/vm.h>

void sched_init(void);

/* Any CPU: adds the vCPU to the queue of vcpu->cpu. */
void sched_add(struct vcpu *vcpu);
/* Owner. */
void sched_remove(struct vcpu *vcpu);

/*
 * This CPU's queue: the next vCPU to run, or NULL. Then one of a stopping VM, to be released, or
 * NULL.
 */
struct vcpu *sched_pick(void);
struct vcpu *sched_pick_ended(void);

/* Owner: the vCPU is not picked until arch_ticks() is past `until`. */
void sched_rest(struct vcpu *vcpu, u64 until);

/*
 * This CPU's queue: a halted vCPU with a timer due by `now`, or NULL; and the tick at which the
 * next one is due or ends its rest, TICK_NEVER.
 */
struct vcpu *sched_pick_due(u64 now);
u64 sched_alarm(u64 now);

/* Owner: the vCPU has run for `ticks`. */
void sched_account(struct vcpu *vcpu, u64 ticks);

/* The slice of a vCPU while others are READY, in ticks. */
u64 sched_slice(void);

/* Any CPU: how many turns `cpu` has given to vCPUs. */
u64 sched_turns(unsigned cpu);

/* Any CPU: a vCPU of `cpu` became READY; it may be due before the one that runs. */
void sched_woken(struct vcpu *vcpu);

/* Any CPU: a vCPU's VM is paused no more. */
void sched_resumed(struct vcpu *vcpu);

#endif
