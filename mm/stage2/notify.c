/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c: a stage 2 as a subscriber of its address space.
 *
 * start drops the range, change updates leaves in place, and both move the invalidate sequence, so
 * that a fault that resolved before cannot install after. Whether change finds a leaf depends on
 * the policy: under `bracket` start has just dropped it (docs/mm/notifier.md).
 *
 * Invariants:
 * STAGE2-4  When a leaf, or its A or D, goes away, the primary is marked in the same step: with A,
 *           young; with D, soft-dirty. A and D of a large leaf count for all its pages.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <mm/tlb.h>
#include <lib/race.h>
#include <trace/trace.h>
#include "mm/stage2/private.h"

static u64 gpa_of(struct gfn gfn)
{
	return gfn_to_gpa(gfn).raw;
}

/* The range, grown to whole leaves at both ends, so that unmapping it splits nothing. */
static void grow_to_leaves(struct stage2 *s2, u64 *start, u64 *end)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, *start, &visit);
	*start = MIN(*start, visit.kind == VISIT_LEAF ? visit.address : *start);
	pgtable_lookup(&s2->table, *end - PAGE_SIZE, &visit);
	*end = MAX(*end, visit.kind == VISIT_LEAF ? visit.end : *end);
}

/*
 * Splits the large leaf around gfn, down to level 0. Its D counts for all its pages, which the
 * small leaves inherit: with PML the CPU lists no write to any of them. So all pages become
 * soft-dirty here. ERR_NO_MEMORY: the leaf is as it was.
 */
static int split_leaf(struct stage2 *s2, struct gfn gfn)
{
	struct pgtable_visit large, small;
	int err;

	spin_assert_held(&s2->as->lock);
	pgtable_lookup(&s2->table, gpa_of(gfn), &large);
	err = pgtable_split(&s2->table, gpa_of(gfn), 0);
	if (err)
		return err;
	s2->stale = true; /* a CPU that holds the large translation would set D in it */
	pgtable_lookup(&s2->table, gpa_of(gfn), &small);
	if (s2->as->dirty_mode != DIRTY_WRITE_PROTECT &&
	    (small.pte & s2->table.format->level[0].dirty))
		space_mark(s2->as, gpa_to_gfn((struct gpa){large.address}),
			   LEVEL_FRAMES(large.level), PPTE_SOFT_DIRTY);
	return 0;
}

/* Does the range cut the leaf around gfn? Then it is split, if there is memory for it. */
static void split_if_cut(struct stage2 *s2, struct gfn gfn, struct gfn_range range)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gpa_of(gfn), &visit);
	if (visit.kind == VISIT_LEAF && visit.level &&
	    (visit.address < gpa_of(range.start) || visit.end > gpa_of(range.end)))
		(void)split_leaf(s2, gfn);
}

/*
 * A stage 2 may map less than the primary allows, so without memory for a split the whole large
 * leaf is dropped.
 */
void stage2_drop(struct stage2 *s2, struct gfn_range range)
{
	u64 start = gpa_of(range.start), end = gpa_of(range.end);

	if (s2->as->dirty_mode != DIRTY_WRITE_PROTECT) {
		split_if_cut(s2, range.start, range);
		split_if_cut(s2, (struct gfn){range.end.raw - 1}, range);
	}
	if (!pgtable_unmap(&s2->table, start, end))
		return;
	grow_to_leaves(s2, &start, &end);
	CHECK(!pgtable_unmap(&s2->table, start, end));
}

/* Large leaves at and between the ends of the range become small ones. */
static void split_range(struct stage2 *s2, struct gfn_range range)
{
	u64 end = gpa_of(range.end);
	struct pgtable_visit visit;

	for (u64 at = gpa_of(range.start); at < end; at = visit.end) {
		pgtable_lookup(&s2->table, at, &visit);
		if (visit.kind != VISIT_LEAF || !visit.level)
			continue;
		if (split_leaf(s2, gpa_to_gfn((struct gpa){at})))
			stage2_drop(s2, (struct gfn_range){{visit.address >> PAGE_SHIFT},
							   {visit.end >> PAGE_SHIFT}});
	}
}

/* Policy `event`: change brings the new PTEs. And an event that this view caused. */
static bool ignores(const struct subscription *sub, const struct notify_range *range)
{
	return (range->flags & NOTIFY_CHANGE_FOLLOWS) ||
	       (range->owner && range->owner == sub->owner);
}

/* May a CPU cache a leaf as dirty though stage2_take() has cleared D? Of a soft-dirty page only. */
static bool may_be_taken(struct stage2 *s2)
{
	return !stage2_flush_ended(s2, s2->taken);
}

/*
 * May a TLB hold the leaf writable? A CPU writes through a translation only if the walk that made
 * it found D set or set it. So while D is clear none does, but for translations from before D was
 * cleared: clearing it makes the stage 2 stale (clear_dirty, split_leaf, take_large), or the page
 * stays soft-dirty until the flush has ended (stage2_take). A CPU without D bits has the mode
 * DIRTY_WRITE_PROTECT.
 */
static bool cached_writable(struct stage2 *s2, struct gfn gfn, pte_t leaf)
{
	if (s2->as->dirty_mode == DIRTY_WRITE_PROTECT || (leaf & s2->table.format->level[0].dirty))
		return true;
	return (primary_load(&s2->as->primary, gfn) & PPTE_SOFT_DIRTY) && may_be_taken(s2);
}

/*
 * NOTIFY_LAZY of one gfn: its leaf goes, and a CPU may read by it until the next flush. False: it
 * may be cached as writable, or is large. (The right to write goes with a flush: retarget().) A CPU
 * that sets D after the look has it cached as writable, too: then the drop leaves s2 stale.
 */
static bool drop_lazily(struct stage2 *s2, const struct notify_range *range)
{
	bool stale = s2->stale, writable;
	u64 *doomed = s2->doomed;
	struct pgtable_visit visit;

	if (!(range->flags & NOTIFY_LAZY) || gfn_range_frames(range->range) != 1)
		return false;
	stage2_lookup(s2, range->range.start, &visit);
	if (visit.kind != VISIT_LEAF)
		return true;
	writable = s2->table.format->attr(visit.pte, visit.level) & PT_WRITE;
	if (visit.level || (writable && cached_writable(s2, range->range.start, visit.pte)))
		return false;
	stage2_drop(s2, range->range);
	if (writable && cached_writable(s2, range->range.start, s2->gone))
		return true;
	s2->stale =
		stale || s2->doomed != doomed; /* a walk by a table that went would fault again */
	s2->dropped = true;
	s2->counters.put_off++;
	return true;
}

/*
 * Before the frame or the content of a page may differ from what a CPU reads by a leaf that was
 * dropped lazily.
 */
static void flush_dropped(struct stage2 *s2)
{
	if (likely(!s2->dropped && !s2->dropping))
		return;
	s2->stale |= s2->dropped || !stage2_flush_ended(s2, s2->begun);
	s2->dropped = s2->dropping = false;
}

static int stage2_start(struct subscription *sub, const struct notify_range *range)
{
	struct stage2 *s2 = stage2_of(sub);

	if (ignores(sub, range))
		return 0;
	spin_lock(&s2->as->lock);
	invalidate_begin(&s2->log, range->range);
	stage2_set_cause(s2, range->event);
	if (range->event == EVENT_SPLIT)
		split_range(s2, range->range);
	else if (!drop_lazily(s2, range))
		stage2_drop(s2, range->range);
	s2->cause = 0;
	if (!(range->flags & NOTIFY_LAZY))
		flush_dropped(s2);
	stage2_flush_stale(s2);
	spin_unlock(&s2->as->lock);
	return 0;
}

static void stage2_end(struct subscription *sub, const struct notify_range *range)
{
	struct stage2 *s2 = stage2_of(sub);

	if (ignores(sub, range))
		return;
	spin_lock(&s2->as->lock);
	invalidate_end(&s2->log, range->range);
	spin_unlock(&s2->as->lock);
}

/* The leaf of exactly this gfn, split off a larger one. False: none, or no memory for the split. */
static bool find_small_leaf(struct stage2 *s2, struct gfn gfn, struct pgtable_visit *visit)
{
	stage2_lookup(s2, gfn, visit);
	if (visit->kind != VISIT_LEAF)
		return false;
	if (!visit->level)
		return true;
	if (split_leaf(s2, gfn)) {
		stage2_drop(s2, gfn_range(gfn, 1));
		return false;
	}
	stage2_lookup(s2, gfn, visit);
	return true;
}

/*
 * clean	event SOFT_DIRTY: D goes, the answer contains it
 * slot		leaves that have their new frame, and become writable when no CPU uses the old one
 */
struct upgrades {
	bool clean;
	unsigned count;
	pte_t *slot[NOTIFY_BATCH];
};

/*
 * Gives a leaf its new frame and rights; A stays what it is, and D unless `clean`. Another frame is
 * read-only first: until the flush, a CPU may still read the old one, so no CPU may write to the
 * new one (NOTIFIER-5 among the CPUs of one guest).
 */
static void retarget(struct stage2 *s2, const struct pgtable_visit *visit,
		     const struct pte_change *change, unsigned rights, struct upgrades *upgrades)
{
	const struct pgtable_format *format = s2->table.format;
	struct hpa to = mfn_to_hpa(change->mfn);
	bool moves = pte_addr(format, visit->pte, 0).raw != to.raw;
	pte_t old = visit->pte, value, cause;
	unsigned attr, lost, granted = rights;

	if (moves && (rights & PT_WRITE)) {
		upgrades->slot[upgrades->count++] = visit->slot;
		rights &= ~PT_WRITE;
	}
	cause = stage2_next_cause(s2, old, granted, moves || (old & format->level[0].write));
	for (;;) {
		attr = format->attr(old, 0) & ~(upgrades->clean ? PT_DIRTY : 0u);
		value = format->make_leaf(to, 0, (attr & ~PT_RWX) | rights);
		value |= cause;
		if (pgtable_swap(&s2->table, visit->slot, old, value))
			break;
		old = ck_pr_load_64(visit->slot); /* the CPU set A or D */
	}
	lost = attr & ~rights & PT_RWX;
	s2->moved |= moves;
	s2->stale |= (lost & ~PT_WRITE) || (lost && cached_writable(s2, change->gfn, old));
	s2->counters.changed++;
}

/* Takes bits from a leaf and gives it others; the CPU may set A and D meanwhile. */
static __always_inline void swap_leaf(struct stage2 *s2, pte_t *slot, pte_t without, pte_t with)
{
	pte_t old;

	do
		old = ck_pr_load_64(slot);
	while (!pgtable_swap(&s2->table, slot, old, (old & ~without) | with));
	RACE_POINT("stage2: leaf changed");
}

static void upgrade(struct stage2 *s2, const struct upgrades *upgrades)
{
	pte_t write = s2->table.format->level[0].write;

	for (unsigned i = 0; i < upgrades->count; i++)
		swap_leaf(s2, upgrades->slot[i], 0, write);
}

/* SOFT_DIRTY where the CPU notes writes: the right to write stays, D goes. */
static void clear_dirty(struct stage2 *s2, const struct pgtable_visit *visit)
{
	pte_t dirty = s2->table.format->level[0].dirty, old = visit->pte;

	while (!pgtable_swap(&s2->table, visit->slot, old, old & ~dirty))
		old = ck_pr_load_64(visit->slot);
	s2->stale |= (old & dirty) || may_be_taken(s2);
}

static bool in_large_leaf(struct stage2 *s2, struct gfn gfn)
{
	struct pgtable_visit visit;

	stage2_lookup(s2, gfn, &visit);
	return visit.kind == VISIT_LEAF && visit.level;
}

static void change_one(struct stage2 *s2, const struct notify_change *all,
		       const struct pte_change *change, struct upgrades *upgrades)
{
	unsigned rights = change->rights & stage2_limit(s2, change->gfn);
	bool notes_writes = upgrades->clean && s2->as->dirty_mode != DIRTY_WRITE_PROTECT;
	struct pgtable_visit visit;

	if (notes_writes && s2->as->dirty_coarse && in_large_leaf(s2, change->gfn))
		return; /* its D went when it was gathered; what it says now belongs to the next answer */
	if (!find_small_leaf(s2, change->gfn, &visit)) {
		if ((all->flags & CHANGE_ESTABLISH) && stage2_establish(s2, change, all->flags))
			s2->counters.established++;
		else
			s2->counters.moot++;
	} else if (notes_writes) {
		clear_dirty(s2, &visit);
	} else if (rights) {
		retarget(s2, &visit, change, rights, upgrades);
	} else {
		stage2_drop(s2, gfn_range(change->gfn, 1));
	}
}

/* One note for each run of neighbouring gfns. */
static void note_runs(struct stage2 *s2, const struct notify_change *change)
{
	struct gfn_range run = gfn_range(change->changes[0].gfn, 1);

	for (unsigned i = 1; i < change->count; i++) {
		struct gfn gfn = change->changes[i].gfn;

		if (gfn.raw != run.end.raw) {
			invalidate_note(&s2->log, run);
			run.start = gfn;
		}
		run.end.raw = gfn.raw + 1;
	}
	invalidate_note(&s2->log, run);
}

/* Flushes at once or later; what earlier changes put off may wait on. */
static void end_change(struct stage2 *s2, const struct notify_change *change,
		       const struct upgrades *upgrades, bool moved_before)
{
	if (!(change->flags & CHANGE_LAZY) || upgrades->count) {
		s2->stale |= s2->moved;
		s2->moved = moved_before;
		stage2_flush_stale(s2);
		return;
	}
	s2->counters.put_off += s2->stale || s2->moved;
	s2->moved |= moved_before;
}

/*
 * A break of sharing, which is a fault of its own, changes one leaf. Here the steps of the general
 * change for a leaf of memory that no view limits and that becomes writable, where no flush is owed
 * to earlier changes: it differs by its frame and the right to write alone. False: nothing changed.
 */
static __always_inline bool move_leaf(struct stage2 *s2, const struct notify_change *all)
{
	const struct pgtable_level *level = &s2->table.format->level[0];
	const pte_t differs = level->leaf_address | level->write | STAGE2_CAUSE;
	const struct pte_change *change = all->changes;
	struct hpa to = mfn_to_hpa(change->mfn);
	pte_t *slot, leaf;

	if (all->count != 1 || change->rights != PT_RWX || s2->limit_count ||
	    all->range->event == EVENT_SOFT_DIRTY || s2->stale || s2->dropped || s2->dropping)
		return false;
	slot = stage2_small_slot(s2, change->gfn);
	leaf = slot ? ck_pr_load_64(slot) : 0;
	if (!pte_present(s2->table.format, leaf, 0) || (leaf & level->write) ||
	    (leaf & level->leaf_address) == to.raw)
		return false;
	invalidate_note(&s2->log, gfn_range(change->gfn, 1));
	stage2_take_cause(leaf);
	swap_leaf(s2, slot, differs, to.raw);
	s2->counters.changed++;
	DEBUG_CHECK(!s2->doomed);
	stage2_flush(s2);
	s2->moved = false;
	swap_leaf(s2, slot, 0, level->write);
	stage2_end_own_fault(s2);
	return true;
}

static __noinline void change_all(struct stage2 *s2, const struct notify_change *change)
{
	bool moved_before = s2->moved;
	struct upgrades upgrades;

	s2->moved = false;
	upgrades.clean = change->range->event == EVENT_SOFT_DIRTY;
	upgrades.count = 0;
	note_runs(s2, change);
	if (!(change->range->flags & NOTIFY_LAZY)) {
		flush_dropped(s2);
		stage2_flush_stale(s2);
	}
	stage2_set_cause(s2, change->range->event);
	for (unsigned i = 0; i < change->count; i++)
		change_one(s2, change, &change->changes[i], &upgrades);
	s2->cause = 0;
	end_change(s2, change, &upgrades, moved_before);
	upgrade(s2, &upgrades);
}

/* No frame here holds a buffer. */
static __no_stack_protector void stage2_change(struct subscription *sub,
					       const struct notify_change *change)
{
	struct stage2 *s2 = stage2_of(sub);

	if (!move_leaf(s2, change))
		change_all(s2, change);
}

/* start=companion: change is enough, nothing is done around it. */
static int stage2_change_start(struct subscription *sub, const struct notify_range *range)
{
	return 0;
}

static void stage2_change_end(struct subscription *sub, const struct notify_range *range)
{
}

static void stage2_sync(struct subscription *sub)
{
	struct stage2 *s2 = stage2_of(sub);

	flush_dropped(s2);
	s2->stale |= s2->moved || !stage2_flush_ended(s2, s2->begun);
	s2->counters.synced += s2->stale;
	stage2_flush_stale(s2);
}

static void stage2_sync_begin(struct subscription *sub)
{
	struct stage2 *s2 = stage2_of(sub);

	if (s2->moved || s2->dropped) {
		s2->begun = stage2_flush_begin(s2);
		TRACE(flush, s2->as->id, .generation = s2->begun, .waited = 0, .kicks = 0);
	}
	s2->dropping |= s2->dropped;
	s2->moved = s2->dropped = false;
}

static bool stage2_sync_ended(struct subscription *sub)
{
	struct stage2 *s2 = stage2_of(sub);

	return stage2_flush_ended(s2, s2->begun);
}

/* A large leaf's A counts for all its pages, of which the range may be one: all become young. */
static int mark_young(struct pgtable *table, const struct pgtable_visit *leaf, void *argument)
{
	struct stage2 *s2 = argument;

	(void)table;
	spin_assert_held(&s2->as->lock);
	if (leaf->level)
		space_mark(s2->as, gpa_to_gfn((struct gpa){leaf->address}),
			   LEVEL_FRAMES(leaf->level), PPTE_YOUNG);
	return 0;
}

/* As in Linux, clearing A flushes nothing: an access by a cached translation is not seen. */
static bool stage2_young(struct subscription *sub, struct gfn_range range, bool clear)
{
	struct stage2 *s2 = stage2_of(sub);
	u64 start = gpa_of(range.start), end = gpa_of(range.end);
	bool young = pgtable_any(&s2->table, start, end, PT_ACCESSED);

	if (young && clear)
		CHECK(!pgtable_harvest(&s2->table, start, end, PT_ACCESSED, mark_young, s2));
	return young;
}

const struct subscriber_ops stage2_ops = {
	.name = "stage2",
	.start = stage2_start,
	.end = stage2_end,
	.change = stage2_change,
	.change_start = stage2_change_start,
	.change_end = stage2_change_end,
	.sync = stage2_sync,
	.sync_begin = stage2_sync_begin,
	.sync_ended = stage2_sync_ended,
	.young = stage2_young,
	.dirty = stage2_dirty,
	.take = stage2_take,
	.take_ended = stage2_take_ended,
	.take_hurry = stage2_take_hurry,
	.holds = stage2_holds,
	.audit = stage2_audit,
};
