/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage2.c: a secondary MMU: an EPT or NPT filled by faults.
 *
 * Invariants:
 * STAGE2-1  A leaf names the frame that the primary names, and allows at most what ppte_rights()
 *           says, at every instant outside a running invalidation of its gfn.
 * STAGE2-2  A table or frame that was reachable is freed only after a flush that began after it was
 *           unlinked.
 * STAGE2-3  A large leaf covers only gfns that are private, contiguous and alike in rights.
 */
#include <arch/exit.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>
#include <mm/tlb.h>
#include "mm/frame/pool.h"
#include "mm/stage2/private.h"

static struct pool stage2s = POOL_INITIALIZER(sizeof(struct stage2), "stage2s");

static int table_alloc(void *context, struct hpa *table)
{
	struct mfn mfn;
	int err = frame_alloc(0, FRAME_TABLE, FRAME_ZERO, &mfn);

	if (!err)
		*table = mfn_to_hpa(mfn);
	return err;
}

/* The table was never linked. */
static void table_cancel(void *context, struct hpa table)
{
	frame_free(hpa_to_mfn(table), 0);
}

/* A CPU may still walk it, so it is freed after the next flush. */
static void table_doom(void *context, struct hpa table)
{
	struct stage2 *s2 = context;
	u64 *page = arch_hpa_to_virt(table);

	s2->near = NULL;
	*page = (uintptr_t)s2->doomed;
	s2->doomed = page;
	s2->stale = true;
}

/* Leaves a cause where the leaf was, or where the table was that went with it. */
static void leave_cause(struct stage2 *s2, const struct pgtable_visit *leaf)
{
	struct pgtable_visit visit = *leaf;

	stage2_take_cause(leaf->pte);
	if (!leaf->slot) {
		if (leaf->address >> (PAGE_SHIFT + LEVEL_BITS) == s2->caused)
			return;
		s2->caused = leaf->address >> (PAGE_SHIFT + LEVEL_BITS);
		pgtable_lookup(&s2->table, leaf->address, &visit);
	}
	(void)pgtable_swap(&s2->table, visit.slot, 0, s2->cause);
}

/* A leaf left the table, `leaf->pte` as the CPU left it: its A and D go into the primary. */
static void leaf_dropped(void *context, const struct pgtable_visit *leaf)
{
	struct stage2 *s2 = context;
	const struct pgtable_level *level = &s2->table.format->level[leaf->level];
	u64 flags = (leaf->pte & level->accessed ? PPTE_YOUNG : 0) |
		    (leaf->pte & level->dirty ? PPTE_SOFT_DIRTY : 0);

	spin_assert_held(&s2->as->lock);
	if (flags)
		space_mark(s2->as, gpa_to_gfn((struct gpa){leaf->address}),
			   LEVEL_FRAMES(leaf->level), flags);
	if (s2->cause)
		leave_cause(s2, leaf);
	s2->gone = leaf->pte;
	s2->stale = true;
	s2->counters.drops++;
}

static void free_doomed(struct stage2 *s2)
{
	while (s2->doomed) {
		u64 *page = s2->doomed;

		s2->doomed = (u64 *)(uintptr_t)*page;
		frame_free(hpa_to_mfn(arch_virt_to_hpa(page)), 0);
	}
}

void stage2_flush_stale(struct stage2 *s2)
{
	if (!s2->stale)
		return;
	s2->stale = s2->moved = s2->dropped = s2->dropping = false;
	stage2_flush(s2);
	free_doomed(s2);
}

static void init(struct stage2 *s2, struct addrspace *as)
{
	s2->as = as;
	s2->tlb.generation =
		1; /* so that each CPU's first entry flushes what an earlier owner of the root left */
	s2->memory = (struct pgtable_memory){.alloc = table_alloc,
					     .free = table_doom,
					     .cancel = table_cancel,
					     .dropped = leaf_dropped,
					     .context = s2};
	s2->sub.ops = &stage2_ops;
	s2->sub.range.end.raw = GFN_END;
	s2->sub.invalidate_events = STAGE2_DROPS;
	s2->sub.change_events = STAGE2_CHANGES;
	s2->sub.owner = s2;
}

static void free_tables(struct stage2 *s2)
{
	pgtable_fini(&s2->table);
	free_doomed(s2);
	pool_free(&stage2s, s2);
}

int stage2_create(struct addrspace *as, const struct pgtable_format *format, struct stage2 **out)
{
	struct stage2 *s2;
	void *memory;
	int err = pool_alloc(&stage2s, &memory);

	if (err)
		return err;
	s2 = memory;
	init(s2, as);
	err = pgtable_init(&s2->table, format, &s2->memory);
	if (err) {
		pool_free(&stage2s, s2);
		return err;
	}
	err = notifier_subscribe(&as->notifier, &s2->sub);
	if (err) {
		free_tables(s2);
		return err;
	}
	*out = s2;
	return 0;
}

/* The A and D bits of its leaves go with it, so the primary takes them first. */
void stage2_destroy(struct stage2 *s2)
{
	const struct gfn_range all = {{0}, {GFN_END}};

	spin_lock(&s2->as->lock);
	stage2_drop(s2, all);
	spin_unlock(&s2->as->lock);
	CHECK(!notifier_unsubscribe(&s2->as->notifier, &s2->sub));
	free_tables(s2);
}

struct hpa stage2_root(const struct stage2 *s2)
{
	return s2->table.root;
}

void stage2_walk(struct stage2 *s2, struct gfn gfn, struct pgtable_visit *visit)
{
	pgtable_lookup(&s2->table, gfn_to_gpa(gfn).raw, visit);
	if (!visit->level) {
		s2->near_block = gfn.raw >> LEVEL_BITS;
		s2->near = visit->slot - gfn.raw % PGTABLE_ENTRIES;
	}
}

pte_t *stage2_find_small_slot(struct stage2 *s2, struct gfn gfn)
{
	struct pgtable_visit visit;

	stage2_walk(s2, gfn, &visit);
	return visit.level ? NULL : visit.slot;
}

bool stage2_establish(struct stage2 *s2, const struct pte_change *change, unsigned flags)
{
	const struct pgtable_format *format = s2->table.format;
	unsigned rights = change->rights & stage2_limit(s2, change->gfn);
	struct pgtable_visit visit;
	pte_t leaf;

	/* Another operation has dropped the page and does not drop it again. */
	if (invalidate_running(&s2->log, change->gfn) > !!(flags & CHANGE_STARTED))
		return false;
	/* A change does not say that a page is a device's, thus uncached: left to a fault. */
	if (ppte_state(primary_load(&s2->as->primary, change->gfn)) == PPTE_MMIO)
		return false;
	stage2_lookup(s2, change->gfn, &visit);
	if (visit.level || visit.kind != VISIT_ABSENT || !rights)
		return false;
	leaf = format->make_leaf(mfn_to_hpa(change->mfn), 0, rights);
	return pgtable_swap(&s2->table, visit.slot, visit.pte,
			    stage2_keep_cause(leaf, rights, visit.pte));
}
