/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c: the scanner, which walks over all mergeable areas. merge.h has the picture.
 *
 * Who may free what a scanner uses: a CPU begins a visit under the world's lock and makes its
 * number of visits odd. Who takes something away does so where no new visit finds it, and waits
 * until those that had begun have ended (merge_quiesce).
 *
 * Locking: merge_world.lock, then a domain's lock, then what mm/cow.h takes. A visit holds neither.
 */
#include <arch/cpu.h>
#include <lib/log.h>
#include <mm/dirty_log.h>
#include "mm/merge/private.h"

struct merge_world merge_world = {
	.lock = SPINLOCK_INIT(LOCK_MERGE_WORLD, "merge world"),
	.engine = IS_ENABLED(CONFIG_MERGE_ENGINE_TREE) ? &merge_engine_tree : &merge_engine_hash,
	.limits = {.cap = 256, .secure = false, .zero = true},
};

struct visit {
	struct merge_area *area;
	u32 chunk;
};

static void end_of_pass(void)
{
	struct merge_stats sharing = {0};

	for (unsigned i = 0; i < merge_world.top; i++) {
		const struct merge_area *area = merge_area_at(i);
		struct merge_domain *domain = merge_first_of_domain(i);

		if (area)
			sharing.pages_sharing += ck_pr_load_64(&area->by_reason[MERGE_ZERO]);
		if (!domain)
			continue;
		spin_lock(&domain->lock);
		stable_prune(domain);
		stable_count_sharing(domain, &sharing);
		spin_unlock(&domain->lock);
	}
	merge_world.best_pages = MAX(merge_world.best_pages, sharing.pages_sharing);
	ck_pr_store_64(&merge_world.passes, merge_world.passes + 1);
}

/*
 * Moves the cursor by a chunk; false at the end of a pass. A chunk that a slow visitor of the last
 * pass is still in is passed over: it is being looked at.
 */
static bool advance(struct visit *visit)
{
	while (merge_world.cursor < merge_world.top) {
		struct merge_area *area = merge_area_at(merge_world.cursor);

		if (area && !area->dead && merge_world.cursor_chunk < area->chunks) {
			*visit = (struct visit){area, merge_world.cursor_chunk++};
			if (ck_pr_cas_32(&area->chunk[visit->chunk].taken, 0, 1) ||
			    IS_ENABLED(CONFIG_BREAK_MERGE_TAKEN))
				return true;
			continue;
		}
		merge_world.cursor++;
		merge_world.cursor_chunk = 0;
	}
	merge_world.cursor = 0;
	return false;
}

/*
 * The next chunk, and we are visiting; false: there is none, or `wrapped` says that the pass has
 * ended meanwhile.
 */
static bool begin_visit(struct visit *visit, bool *wrapped)
{
	bool found;

	spin_lock(&merge_world.lock);
	found = advance(visit);
	if (!found && !*wrapped) {
		end_of_pass();
		*wrapped = true;
		found = advance(visit);
	}
	if (found)
		ck_pr_inc_64(&merge_world.visits[arch_cpu_id()]); /* pairs with merge_quiesce() */
	spin_unlock(&merge_world.lock);
	return found;
}

/* From here on the area may be freed. */
static void end_visit(const struct visit *visit)
{
	ck_pr_fence_release();
	ck_pr_store_32(&visit->area->chunk[visit->chunk].taken, 0);
	ck_pr_fence_release();
	ck_pr_inc_64(&merge_world.visits[arch_cpu_id()]);
}

static bool any(const u64 *bitmap)
{
	u64 all = 0;

	for (unsigned i = 0; i < MERGE_CHUNK / 64; i++)
		all |= bitmap[i];
	return all;
}

static void visit_handful(struct merge_area *area, struct merge_handful *next)
{
	merge_foresee(area, next);
	for (unsigned i = 0; i < next->count; i++)
		merge_visit(area, next->page[i].gfn, next->page[i].dirty);
	next->count = 0;
}

/* Visits those of the range that want it, a handful at a time. */
static void visit_pages(struct merge_area *area, struct gfn_range range, const u64 *dirty)
{
	const struct merge_page *page = merge_note(area, range.start);
	u64 count = gfn_range_frames(range);
	struct merge_handful next = {.count = 0};

	for (u64 i = 0; i < count; i++) {
		bool written = dirty[i / 64] & BIT(i % 64);

		if (!merge_wants_visit(&page[i], written))
			continue;
		next.page[next.count++] = (struct merge_next){
			.gfn = gfn_add(range.start, i),
			.dirty = written,
			.search = !written && page_reason(&page[i]) == MERGE_WAITING,
			.tag = page_hash(&page[i]),
		};
		if (next.count == MERGE_HANDFUL)
			visit_handful(area, &next);
	}
	visit_handful(area, &next);
}

static void visit_chunk(const struct visit *visit)
{
	struct merge_area *area = visit->area;
	struct merge_chunk *chunk = &area->chunk[visit->chunk];
	struct gfn_range range = merge_chunk_range(area, visit->chunk);
	u64 dirty[MERGE_CHUNK / 64] = {0};

	if (ck_pr_load_32(&chunk->excluded) == gfn_range_frames(range)) {
		merge_count(pages_skipped, gfn_range_frames(range));
		return;
	}
	if (merge_make_note(area, visit->chunk) || dirty_log_collect(area->as, range, dirty))
		return;
	merge_large_begin(area, visit->chunk);
	if (!any(dirty) && ck_pr_load_32(&chunk->unsettled) == 0 &&
	    !merge_large_wants_visit(area, visit->chunk)) {
		merge_count(pages_skipped, gfn_range_frames(range));
		return;
	}
	visit_pages(area, range, dirty);
	merge_large_end(area, visit->chunk);
	addrspace_settle(area->as);
}

u64 merge_scan(u64 budget)
{
	struct visit visit;
	bool wrapped = false;
	u64 done = 0;

	while (done < budget && begin_visit(&visit, &wrapped)) {
		visit_chunk(&visit);
		done += gfn_range_frames(merge_chunk_range(visit.area, visit.chunk));
		end_visit(&visit);
	}
	merge_count(pages_scanned, done);
	return done;
}

u64 merge_passes(void)
{
	return ck_pr_load_64(&merge_world.passes);
}

bool merge_is_active(void)
{
	return ck_pr_load_uint(&merge_world.count) > 0;
}
