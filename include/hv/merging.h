/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merging.h: page merging as an activity of the hypervisor: which VMs take part, and when the
 * scanner runs.
 *
 * A VM takes part if its command line says merge=DOMAIN (merge=own: with nobody else). The scanner
 * runs on idle CPUs, a chunk at a time, pass after pass with merge_ms between two; and on busy
 * CPUs, if no idle one does it, for merge_share percent of their time.
 */
#ifndef SAMEPAGE_HV_MERGING_H
#define SAMEPAGE_HV_MERGING_H

#include <lib/types.h>

struct vm;

/* The hypervisor's command line: merge=hash|tree|off, merge_cap=N, merge_secure=yes|no, merge_ms=N,
 * merge_share=N, merge_split=N. Once, before any VM. */
void merging_init(void);

/*
 * All of the VM's memory is mergeable from now on, if its configuration wants it; and no more,
 * before it is taken apart.
 */
void merging_add(struct vm *vm);
void merging_remove(struct vm *vm);

/* The domain that the VM is in; 0: it is not merged. */
u32 merging_domain(const struct vm *vm);
bool merging_is_on(void);

/*
 * Owner of a CPU, no vCPU running on it, no lock. Looks at a chunk if it is time; true when the CPU
 * should not sleep yet.
 */
bool merging_step(bool idle);
/* The tick at which it is time again, ~0 for never. */
u64 merging_alarm(void);

/* What came of it, for the summary. */
void merging_summary(void);

#endif
