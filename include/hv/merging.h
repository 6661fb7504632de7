/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merging.h: page merging as a job of the hypervisor: which VMs are merged, and when the scanner
 * runs.
 *
 * A VM is merged if its command line says merge=DOMAIN (merge=own: a domain of its own). The
 * scanner runs on idle CPUs, a chunk at a time, pass after pass with merge_ms between two; and on
 * busy CPUs, if no idle one scans, for merge_share percent of their time.
 */
#ifndef SAMEPAGE_HV_MERGING_H
#define SAMEPAGE_HV_MERGING_H

#include <lib/types.h>

struct vm;

/*
 * Reads merge=ENGINE|off, merge_cap=N, merge_secure=yes|no, merge_ms=N, merge_share=N and
 * merge_split=N from the hypervisor's command line. Once, before any VM.
 */
void merging_init(void);

/* Makes all of the VM's memory mergeable, if its configuration says so; ends it. */
void merging_add(struct vm *vm);
void merging_remove(struct vm *vm);

/* The domain that the VM is in; 0: it is not merged. */
u32 merging_domain(const struct vm *vm);
bool merging_is_on(void);

/*
 * Visits a chunk if one is due; true when the CPU should not sleep yet. Owner of a CPU, no vCPU
 * running on it, no lock.
 */
bool merging_step(bool idle);
/* The tick at which the next one is due, ~0 for never. */
u64 merging_alarm(void);

/* Logs the totals. */
void merging_summary(void);

#endif
