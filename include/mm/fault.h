/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h: what to do when a guest's access was not allowed by its stage 2.
 */
#ifndef SAMEPAGE_MM_FAULT_H
#define SAMEPAGE_MM_FAULT_H

#include <arch/addr.h>
#include <lib/types.h>

struct stage2;

enum fault_outcome {
	FAULT_MAPPED,	 /* a translation was installed; enter again */
	FAULT_SPURIOUS,	 /* one that allows the access was there; enter again */
	FAULT_RACED,	 /* mode `reenter`: an invalidation of this gfn came between; enter again */
	FAULT_MMIO,	 /* no slot */
	FAULT_READ_ONLY, /* a write to a read-only page */
	FAULT_DENIED,	 /* forbidden by the view alone (stage2_view_restrict) */
	FAULT_NO_MEMORY, /* stop this vCPU; it may go on when memory is free again */
	FAULT_OUTCOMES
};

/* A guest's access that stage 2 did not allow. access: HV_READ | HV_WRITE | HV_EXEC. Takes
 * LOCK_MMU. */
enum fault_outcome fault_handle(struct stage2 *s2, struct gpa gpa,
				unsigned access) __no_stack_protector;

const char *fault_outcome_name(enum fault_outcome outcome);

#endif
