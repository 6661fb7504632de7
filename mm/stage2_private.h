/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage2_private.h: struct stage2 as mm/ itself sees it.
 */
#ifndef SAMEPAGE_MM_STAGE2_PRIVATE_H
#define SAMEPAGE_MM_STAGE2_PRIVATE_H

#include <arch/cpu.h>
#include <lib/lock.h>
#include <mm/invalidate.h>
#include <mm/stage2.h>
#include <mm/walk.h>
#include "space.h"

/* What happened to a stage 2, for the report. All [m]. */
struct stage2_counters {
	u64 faults[FAULT_OUTCOMES];
	u64 retries; /* passes repeated in the handler, mode `inplace` */
	u64 flushes, kicks;
};

/*
 * struct stage2: one secondary MMU in the CPU's format.
 *
 * as		[I] what it is derived from; its lock guards all that is marked m
 * generation	[a] raised by each flush; seen[c] [a] is the generation up to which CPU c has
 *forgotten (tlb.h) table	[m] the EPT or NPT memory	[I] where its tables come from log
 *[m] which invalidations ran or ended last doomed	[m] tables unlinked but perhaps still in a
 *CPU's caches; freed after the next flush, chained through their first word
 * stale	[m] PTEs were taken away since the last flush
 */
struct stage2 {
	struct addrspace *as;
	u64 generation;
	struct pgtable table;
	struct pgtable_memory memory;
	struct invalidate_log log;
	u64 *doomed;
	bool stale;
	struct stage2_counters counters;
	u64 seen[ARCH_CPUS_MAX];
};

/*
 * Makes `access` to gfn possible as the primary PTE allows. FAULT_MAPPED, FAULT_SPURIOUS,
 * FAULT_NO_MEMORY. LOCK_MMU, and invalidate_check() said CLEAN.
 */
enum fault_outcome stage2_install(struct stage2 *s2, struct gfn gfn, ppte_t pte, unsigned access);

#endif
