/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merging.h: page merging as a job of the hypervisor: which VMs are merged, and when the scanner
 * runs.
 *
 * A VM is merged if its command line says merge=DOMAIN (merge=own: a domain of its own). The
 * scanner runs on idle CPUs, a chunk at a time, pass after pass, with a pause between two that
 * follows what they save, or merge_ms; and on busy CPUs, if no idle one scans, for merge_share
 * percent of their time.
 */
#ifndef SAMEPAGE_HV_MERGING_H
#define SAMEPAGE_HV_MERGING_H

#include <lib/types.h>

struct vm;

/*
 * Reads merge=ENGINE|off, merge_cap=N, merge_secure=yes|no, merge_ms=N, merge_share=N,
 * merge_split=N from the hypervisor's command line. Once, before any VM.
 */
void merging_init(void);

/* Makes all of the VM's memory mergeable, if its configuration says so; ends it. */
void merging_add(struct vm *vm);
void merging_remove(struct vm *vm);

/*
 * For the control channel; CPU 0.
 *
 * pace		milliseconds between two passes, at least; set_pace: up to MERGING_PACE_MAX, 0: the
 *		scanner's own
 * set_engine	of all domains; ERR_NOT_FOUND: no such engine; ERR_NO_MEMORY: some have the old one
 * set_secure	all regions are made anew, in this mode; the caller has unmerged their pages.
 *		ERR_BUSY: a VM that ends has a region still
 */
#define MERGING_PACE_MAX 60000u
bool merging_is_secure(void);
u64 merging_pace(void);
void merging_set_pace(u64 ms);
int merging_set_engine(const char *name) __must_check;
int merging_set_secure(bool secure) __must_check;

/* Ends the pause between passes that a quiet scanner takes. Any CPU. */
void merging_hurry(void);

/* Ticks that a CPU has scanned for. Any context. */
u64 merging_time(unsigned cpu);

/* The domain that the VM is in; 0: it is not merged. */
u32 merging_domain(const struct vm *vm);
bool merging_is_on(void);
/* Of VMs' domains; "off". */
const char *merging_engine_name(void);

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
