/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c: a guest's access that its stage 2 did not allow.
 *
 *     read the invalidate sequence -> resolve in the primary -> lock -> recheck the sequence for
 * this gfn ^                        (no lock; populates,              |                    | |
 * breaks sharing)                CLEAN: install       RACED
 *             +------------------ mode `inplace`: unlock, again ----------------------------+
 *                                 mode `reenter`: FAULT_RACED, the guest tries again
 *
 * Why the sequence and not one lock around all of it: resolving may allocate, zero, copy, and call
 * every subscriber; none of that may happen under LOCK_MMU. What was resolved may be old by the
 * time the lock is held; the sequence tells.
 *
 * Invariants:
 * FAULT-1  What is installed was in the primary at one instant after the last invalidation of this
 * gfn began. FAULT-2  Running out of memory changes nothing that was visible.
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

/* May a secondary allow `access` as the PTE is? */
static bool allows(ppte_t pte, unsigned access)
{
	return ppte_backed(pte) && (!(access & HV_WRITE) || (ppte_rights(pte) & PT_WRITE));
}

/* Does what a guest's access does to a page that does not allow it yet. */
static int bring_about(struct addrspace *as, struct gfn gfn, ppte_t *slot, ppte_t pte)
{
	if (ppte_state(pte) == PPTE_ABSENT)
		return space_back(as, gfn);
	if (ppte_state(pte) == PPTE_RECLAIMED)
		return space_restore(as, gfn, slot);
	if (ppte_shared(pte))
		return pte & PPTE_WRITE ? space_break(as, gfn, slot) : ERR_PERMISSION;
	return space_make_writable(as, gfn);
}

int space_resolve(struct addrspace *as, struct gfn gfn, unsigned access, ppte_t *pte,
		  const struct invalidate_log *again, u64 *word)
{
	ppte_t *slot;

	if (unlikely(!gfn_valid(gfn)))
		return ERR_RANGE;
	slot = primary_find(&as->primary, gfn);
	for (;;) {
		int err;

		*pte = slot ? ck_pr_load_64(slot) : 0;
		if (likely(allows(*pte, access)))
			return 0;
		err = bring_about(as, gfn, slot, *pte);
		if (err)
			return err;
		if (again)
			*word = invalidate_read(again);
		if (!slot)
			slot = primary_find(&as->primary, gfn);
	}
}

/*
 * One pass of the picture above. What the fault itself brought about, a break of sharing, moved the
 * sequence too. In mode `reenter` that counts as a race, as in KVM; in mode `inplace` the sequence
 * is read again behind it.
 */
static enum fault_outcome try_once(struct stage2 *s2, struct gfn gfn, unsigned access, bool inplace)
{
	u64 word = invalidate_read(&s2->log), first = word;
	enum fault_outcome outcome;
	ppte_t pte;
	int err;

	RACE_POINT("fault: sequence read");
	err = space_resolve(s2->as, gfn, access, &pte, inplace ? &s2->log : NULL, &word);
	if (unlikely(err))
		return outcome_of(err);
	RACE_POINT("fault: resolved");
	spin_lock(&s2->as->lock);
	s2->counters.retries += word != first;
	if (invalidate_check(&s2->log, word, gfn) == INVALIDATE_CLEAN)
		outcome = stage2_install(s2, gfn, pte, access);
	else
		outcome = FAULT_RACED;
	spin_unlock(&s2->as->lock);
	return outcome;
}

enum fault_outcome fault_handle(struct stage2 *s2, struct gpa gpa, unsigned access)
{
	bool inplace = ck_pr_load_32(&s2->as->retry) == RETRY_INPLACE;
	struct gfn gfn = gpa_to_gfn(gpa);
	enum fault_outcome outcome;

	while ((outcome = try_once(s2, gfn, access, inplace)) == FAULT_RACED && inplace) {
		ck_pr_inc_64(&s2->counters.retries);
		arch_cpu_relax();
	}
	ck_pr_inc_64(&s2->counters.faults[outcome]);
	return outcome;
}
