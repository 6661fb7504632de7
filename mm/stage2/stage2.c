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
	s2->stale = false;
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
	s2->sub.want_drop = STAGE2_DROPS;
	s2->sub.want_change = STAGE2_CHANGES;
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

	pgtable_swap(&s2->table, visit->slot, visit->pte, leaf);
}

void stage2_lookup(struct stage2 *s2, struct gfn gfn, struct pgtable_visit *visit)
{
	if (s2->near && s2->near_block == gfn.raw >> LEVEL_BITS) {
		visit->slot = &s2->near[gfn.raw % PGTABLE_ENTRIES];
		visit->pte = ck_pr_load_64(visit->slot);
		visit->level = 0;
		visit->kind =
			pte_present(s2->table.format, visit->pte, 0) ? VISIT_LEAF : VISIT_ABSENT;
		return;
	}
	pgtable_lookup(&s2->table, gfn_to_gpa(gfn).raw, visit);
	if (!visit->level) {
		s2->near_block = gfn.raw >> LEVEL_BITS;
		s2->near = visit->slot - gfn.raw % PGTABLE_ENTRIES;
	}
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

enum fault_outcome stage2_install(struct stage2 *s2, const struct space_page *page, unsigned access)
{
	struct pgtable_visit visit;

	stage2_lookup(s2, page->gfn, &visit);
	if (visit.kind == VISIT_LEAF && leaf_allows(s2, &visit, access))
		return FAULT_SPURIOUS;
	return map(s2, page->gfn, page->pte, access, &visit);
}

bool stage2_establish(struct stage2 *s2, const struct pte_change *change)
{
	const struct pgtable_format *format = s2->table.format;
	struct pgtable_visit visit;

	/* A change does not say that a page is a device's, thus uncached: left to a fault. */
	if (ppte_state(primary_load(&s2->as->primary, change->gfn)) == PPTE_MMIO)
		return false;
	stage2_lookup(s2, change->gfn, &visit);
	if (visit.level || visit.kind != VISIT_ABSENT ||
	    !(change->rights & stage2_limit(s2, change->gfn)))
		return false;
	return pgtable_swap(&s2->table, visit.slot, visit.pte,
			    format->make_leaf(mfn_to_hpa(change->mfn), 0,
					      change->rights & stage2_limit(s2, change->gfn)));
}
