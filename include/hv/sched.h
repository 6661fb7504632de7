/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.h: which vCPU a CPU runs next.
 *
 * Each CPU has a queue of the vCPUs it owns. The next one is the READY one that has had the CPU for
 * the least time so far, so that over any stretch the READY ones get equal shares, whatever they
 * do.
 *
 * Invariants:
 * SCHED-1  a vCPU is in one queue, that of vcpu->cpu, from sched_add() to sched_remove().
 * SCHED-2  a vCPU that was not READY for long is treated as if it had waited one slice, not all the
 * 	    time: it goes first, and cannot then hold the CPU for ever.
 * SCHED-3  a CPU whose queue has a READY vCPU does not sleep.
 */
#ifndef SAMEPAGE_HV_SCHED_H
#define SAMEPAGE_HV_SCHED_H

#include <hv/vm.h>

void sched_init(void);

/* From any CPU: hands the vCPU to the CPU vcpu->cpu. */
void sched_add(struct vcpu *vcpu);
/* On its own CPU. */
void sched_remove(struct vcpu *vcpu);

/*
 * On its own CPU: the next vCPU to run, or NULL. Then one whose VM is over, to be let go, or NULL.
 */
struct vcpu *sched_pick(void);
struct vcpu *sched_pick_ended(void);

/* On its own CPU: the vCPU is not picked until arch_ticks() is past `until`. */
void sched_rest(struct vcpu *vcpu, u64 until);

/*
 * On its own CPU: one that sleeps and whose timer is due by `now`, or NULL; when the next one is
 * due, ~0: none is.
 */
struct vcpu *sched_pick_due(u64 now);
u64 sched_alarm(void);

/* On its own CPU: the vCPU has run for `ticks`. */
void sched_account(struct vcpu *vcpu, u64 ticks);

/* The slice a vCPU gets when others wait, in ticks. */
u64 sched_slice(void);

/* From any CPU: how often `cpu` was given to a vCPU. */
u64 sched_turns(unsigned cpu);

/* From any CPU: a vCPU of `cpu` became READY; it may be due before the one that runs. */
void sched_woken(struct vcpu *vcpu);

#endif
