/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c: a guest's access that its stage 2 did not allow.
 *
 *     read the invalidate sequence <---------------------------+-------------------+
 *       |                                                      |                   |
 *     space_resolve(): does the primary PTE allow the access?  |                   |
 *       |    no: back, restore, break sharing, lift write      |                   |
 *       |        protection; read the PTE again                |                   |
 *       |        (allocates, copies, notifies: no lock held)   |                   |
 *       | yes                                                  |                   |
 *     LOCK_MMU                                                 |                   |
 *       |                                                      |                   |
 *     invalidate_check(): did an invalidation of this gfn      |                   |
 *       |                 begin or end since the read?         |                   |
 *       | CLEAN            | RACED                             |                   |
 *       |                  +-- mode `inplace`: unlock, retry --+                   |
 *       |                  +-- mode `reenter`: FAULT_RACED, the guest faults again +
 *     stage2_install(); unlock
 *
 * Why a sequence: resolving must not run under LOCK_MMU, and its result may be out of date when the
 * lock is taken. The sequence says whether it is.
 *
 * Invariants:
 * FAULT-1  What is installed was in the primary at one instant after the last invalidation of this
 *          gfn began.
 * FAULT-2  Running out of memory changes nothing that was visible.
 * FAULT-3  A fault tries SPACE_TRIES times at most. Then the guest faults again, and the run loop
 *          reads the clock first.
 *
 * Locking: takes LOCK_MMU, and what space_resolve() takes.
 */
#include <mm/fault.h>
#include <arch/exit.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/race.h>
#include "mm/stage2/private.h"

const char *fault_outcome_name(enum fault_outcome outcome)
{
	static const char *const names[] = {
		[FAULT_MAPPED] = "mapped",	 [FAULT_SPURIOUS] = "spurious",
		[FAULT_RACED] = "raced",	 [FAULT_MMIO] = "mmio",
		[FAULT_READ_ONLY] = "read-only", [FAULT_DENIED] = "denied",
		[FAULT_NO_MEMORY] = "no memory",
	};

	return (unsigned)outcome < ARRAY_SIZE(names) ? names[outcome] : "?";
}

static enum fault_outcome outcome_of(int err)
{
	switch (err) {
	case ERR_RANGE:
		return FAULT_MMIO;
	case ERR_PERMISSION:
		return FAULT_READ_ONLY;
	case ERR_BUSY:
		return FAULT_RACED;
	default:
		return FAULT_NO_MEMORY;
	}
}

/*
 * One pass of the picture above. A step of resolving, such as a break of sharing, moves the
 * sequence too. In mode `reenter` that counts as a race, as in KVM; in mode `inplace`
 * space_resolve() reads the sequence again after each step.
 */
static enum fault_outcome fault_try(struct stage2 *s2, struct space_page *page, unsigned access,
				    bool inplace)
{
	u64 word = invalidate_read(&s2->log), first = word;
	enum fault_outcome outcome;
	int err;

	RACE_POINT("fault: sequence read");
	err = space_resolve(s2->as, page, access, inplace ? &s2->log : NULL, &word);
	if (unlikely(err))
		return outcome_of(err);
	RACE_POINT("fault: resolved");
	spin_lock(&s2->as->lock);
	s2->counters.retries += word != first;
	if (invalidate_check(&s2->log, word, page->gfn) == INVALIDATE_CLEAN)
		outcome = stage2_install(s2, page, access);
	else
		outcome = FAULT_RACED;
	spin_unlock(&s2->as->lock);
	return outcome;
}

enum fault_outcome fault_handle(struct stage2 *s2, struct gpa gpa, unsigned access)
{
	bool inplace = ck_pr_load_32(&s2->as->retry) == RETRY_INPLACE;
	struct space_page page = {.gfn = gpa_to_gfn(gpa)};
	enum fault_outcome outcome = fault_try(s2, &page, access, inplace);

	for (unsigned tries = 1; outcome == FAULT_RACED && inplace && tries < SPACE_TRIES;
	     tries++) {
		ck_pr_inc_64(&s2->counters.retries);
		arch_cpu_relax();
		outcome = fault_try(s2, &page, access, inplace);
	}
	ck_pr_inc_64(&s2->counters.faults[outcome]);
	return outcome;
}
