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
 *     install the leaf; unlock
 *
 * Why a sequence: resolving must not run under LOCK_MMU, and its result may be out of date when the
 * lock is taken. The sequence says whether it is.
 *
 * In mode `inplace` a write to a shared page mostly ends before the lock: the break has changed the
 * leaf in place, under LOCK_MMU, to one that allows every access. Another look would say so, unless
 * the page has changed again; then the guest faults again:
 *
 *     CPU 0: its guest writes               CPU 1
 *     -----------------------               -----
 *     break: the leaf names the copy, RWX
 *                                           changes the page: the leaf goes, or is read-only
 *     FAULT_SPURIOUS, nothing installed
 *     the guest writes: faults
 *
 * Invariants:
 * FAULT-1  What is installed was in the primary at one instant after the last invalidation of this
 *          gfn began.
 * FAULT-2  Running out of memory changes nothing that was visible.
 * FAULT-3  A fault tries SPACE_TRIES times at most. Then the guest faults again, and the run loop
 *          reads the clock first.
 * FAULT-4  Behind its own break a fault ends without a look at the leaf only if the break has
 *          changed the leaf of the fault's own stage 2 so.
 *
 * Locking: takes LOCK_MMU, and what space_resolve() takes.
 *
 * No frame on the way of a fault holds a buffer, so none has a canary.
 */
#include <mm/fault.h>
#include <arch/exit.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/race.h>
#include <trace/trace.h>
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

/* Beside the error codes: the fault's own break has given this stage 2 the leaf. */
#define LEAF_ALLOWS 1

static enum fault_outcome outcome_of(int err)
{
	switch (err) {
	case LEAF_ALLOWS:
		return FAULT_SPURIOUS;
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

static unsigned access_rights(unsigned access)
{
	return (access & HV_READ ? PT_READ : 0) | (access & HV_WRITE ? PT_WRITE : 0) |
	       (access & HV_EXEC ? PT_EXEC : 0);
}

/* With D bits or PML a clean page is writable: the CPU records the write. */
static unsigned stage2_rights(const struct stage2 *s2, struct gfn gfn, ppte_t pte)
{
	if (s2->as->dirty_mode != DIRTY_WRITE_PROTECT)
		pte |= PPTE_SOFT_DIRTY;
	return ppte_rights(pte) & stage2_limit(s2, gfn);
}

/* The attributes of a leaf: A is set because an access is about to happen, D if it is a write. */
static unsigned leaf_attr(struct stage2 *s2, struct gfn gfn, ppte_t pte, unsigned access)
{
	unsigned attr = stage2_rights(s2, gfn, pte) | PT_ACCESSED;

	if (ppte_state(pte) == PPTE_MMIO)
		attr |= PT_UNCACHED;
	return access & HV_WRITE ? attr | PT_DIRTY : attr;
}

/* The block of `level` around gfn, through the walker, which makes the tables that are missing. */
static int map_block(struct stage2 *s2, struct gfn gfn, ppte_t pte, unsigned attr, unsigned level)
{
	u64 inside = gfn.raw & (LEVEL_FRAMES(level) - 1);
	u64 start = (gfn.raw - inside) << PAGE_SHIFT;
	struct hpa to = mfn_to_hpa((struct mfn){ppte_mfn(pte).raw - inside});

	return pgtable_map(&s2->table, start, start + LEVEL_SIZE(level), to, attr, level);
}

/* The common case: the table is there, its slot empty. The CPU does not touch an absent entry. */
static void fill_slot(struct stage2 *s2, const struct pgtable_visit *visit, ppte_t pte,
		      unsigned attr)
{
	pte_t leaf = s2->table.format->make_leaf(mfn_to_hpa(ppte_mfn(pte)), 0, attr);

	pgtable_swap(&s2->table, visit->slot, visit->pte,
		     stage2_keep_cause(leaf, attr, visit->pte));
}

/*
 * Maps what is not mapped, or not so: with the largest leaf that fits where no table of a lower
 * level is in the way.
 */
static enum fault_outcome map(struct stage2 *s2, struct gfn gfn, ppte_t pte, unsigned access,
			      const struct pgtable_visit *visit)
{
	unsigned attr = leaf_attr(s2, gfn, pte, access), level;

	if (unlikely(access_rights(access) & ~attr))
		return FAULT_DENIED;
	if (visit->kind == VISIT_ABSENT && !visit->level) {
		fill_slot(s2, visit, pte, attr);
		return FAULT_MAPPED;
	}
	level = MIN(visit->level, s2->table.format->max_leaf_level);
	level = primary_uniform(&s2->as->primary, gfn, level);
	level = stage2_view_level(s2, gfn, level);
	return map_block(s2, gfn, pte, attr, level) ? FAULT_NO_MEMORY : FAULT_MAPPED;
}

/* Without limits a leaf can always be read, so one bit is enough but for instruction fetches. */
static bool leaf_allows(const struct stage2 *s2, const struct pgtable_visit *visit, unsigned access)
{
	const struct pgtable_format *format = s2->table.format;

	if ((access & HV_EXEC) || s2->limit_count)
		return !(access_rights(access) & ~format->attr(visit->pte, visit->level));
	return !(access & HV_WRITE) || (visit->pte & format->level[visit->level].write);
}

/* stepped: resolving has changed the page, and so perhaps an entry. */
static enum fault_outcome install(struct stage2 *s2, const struct space_page *page, unsigned access,
				  bool stepped)
{
	enum fault_outcome outcome = FAULT_SPURIOUS;
	struct pgtable_visit visit;

	stage2_lookup(s2, page->gfn, &visit);
	if (visit.kind != VISIT_LEAF || !leaf_allows(s2, &visit, access))
		outcome = map(s2, page->gfn, page->pte, access, &visit);
	if (stepped)
		stage2_count_step(s2, outcome == FAULT_MAPPED ? visit.pte : 0, true);
	else if (outcome == FAULT_MAPPED)
		stage2_count_entry(s2, visit.pte);
	TRACE(fault_install, s2->as->id, .gfn = page->gfn.raw, .pte = page->pte,
	      .access = (u8)access, .outcome = (u8)outcome);
	return outcome;
}

/* A write to a shared page. LEAF_ALLOWS: nothing is left to do (FAULT-4). */
static int break_sharing(struct stage2 *s2, struct space_page *page)
{
	struct stage2 **breaks = &stage2_inside[arch_cpu_id()].breaks;
	bool moved;
	int err;

	*breaks = s2;
	err = space_break(s2->as, page);
	moved = !*breaks;
	*breaks = NULL;
	if (unlikely(err))
		return err;
	page->was = page->pte;
	return moved ? LEAF_ALLOWS : 0;
}

/* The page does not allow the access. In mode `inplace` a break goes the short way, see above. */
static int resolve_more(struct stage2 *s2, struct space_page *page, unsigned access, bool inplace,
			u64 *word)
{
	int err;

	if (inplace && ppte_shared(page->pte) && (page->pte & PPTE_WRITE)) {
		err = break_sharing(s2, page);
		if (err)
			return err;
		*word = invalidate_read(&s2->log);
	}
	return space_resolve(s2->as, page, access, inplace ? &s2->log : NULL, word);
}

/* READ_AS_WRITE: a page that may not be written is resolved for the access alone. */
static int resolve(struct stage2 *s2, struct space_page *page, unsigned access, bool inplace,
		   u64 *word)
{
	unsigned more = access | ck_pr_load_32(&s2->as->fault_access);
	int err = 0;

	if (unlikely(!gfn_valid(page->gfn) || !space_look(s2->as, page, more)))
		err = resolve_more(s2, page, more, inplace, word);
	if (unlikely(err == ERR_PERMISSION) && more != access)
		err = space_resolve(s2->as, page, access, inplace ? &s2->log : NULL, word);
	TRACE(fault_resolve, s2->as->id, .gfn = page->gfn.raw,
	      .pte = err == LEAF_ALLOWS ? ck_pr_load_64(page->slot) : page->pte,
	      .access = (u8)access, .error = (s8)MIN(err, 0));
	return err;
}

/*
 * One pass of the picture above. A step of resolving, such as a break of sharing, moves the
 * sequence too. In mode `reenter` that counts as a race, as in KVM; in mode `inplace`
 * space_resolve() reads the sequence again after each step.
 */
static __no_stack_protector enum fault_outcome fault_try(struct stage2 *s2, struct space_page *page,
							 unsigned access, bool inplace)
{
	u64 word = invalidate_read(&s2->log), first = word;
	enum fault_outcome outcome = FAULT_RACED;
	int err;

	RACE_POINT("fault: sequence read");
	err = resolve(s2, page, access, inplace, &word);
	if (unlikely(err))
		return outcome_of(err);
	RACE_POINT("fault: resolved");
	spin_lock(&s2->as->lock);
	if (invalidate_check(&s2->log, word, page->gfn) == INVALIDATE_CLEAN)
		outcome = install(s2, page, access, word != first);
	else
		stage2_count_step(s2, 0, word != first);
	spin_unlock(&s2->as->lock);
	return outcome;
}

/* After a race: may it be tried once more? */
static __cold bool fault_again(struct stage2 *s2, const struct space_page *page, unsigned tries)
{
	if (tries >= SPACE_TRIES)
		return false;
	ck_pr_inc_64(&s2->counters.retries);
	TRACE(fault_retry, s2->as->id, .gfn = page->gfn.raw, .tries = tries);
	arch_cpu_relax();
	return true;
}

enum fault_outcome fault_handle(struct stage2 *s2, struct gpa gpa, unsigned access)
{
	bool inplace = ck_pr_load_32(&s2->as->retry) == RETRY_INPLACE;
	struct space_page page = {.gfn = gpa_to_gfn(gpa)};
	enum fault_outcome outcome;
	unsigned tries = 0;

	stage2_inside[arch_cpu_id()].taken = 0;
	do
		outcome = fault_try(s2, &page, access, inplace);
	while (unlikely(outcome == FAULT_RACED) && inplace && fault_again(s2, &page, ++tries));
	if (unlikely(ppte_shared(page.was)))
		space_break_ahead(s2->as, page.gfn);
	else if (ck_pr_load_32(&s2->as->touch.most) > 1 && !page.was && outcome == FAULT_MAPPED)
		stage2_map_ahead(s2, page.gfn);
	ck_pr_inc_64(&s2->counters.faults[outcome]);
	TRACE(fault, s2->as->id, .gfn = page.gfn.raw, .access = (u8)access, .outcome = (u8)outcome);
	return outcome;
}
