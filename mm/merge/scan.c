/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c: the scanner, which visits all regions chunk by chunk. merge.h has the picture.
 *
 * A visit begins under merge_world.lock and is a reader of merge_world.visits: an updater unlinks a
 * region or marks it dead, and waits for the visits that have begun (merge_quiesce).
 *
 * Locking: merge_world.lock for the cursor. A visit holds no lock between its steps.
 */
#include "mm/merge/private.h"
#include <lib/log.h>
#include <mm/dirty_log.h>

_Static_assert(MERGE_CHUNK <= DIRTY_OPEN_MAX, "a collection is of a chunk");

struct merge_world merge_world = {
	.lock = SPINLOCK_INIT(LOCK_MERGE_WORLD, "merge world"),
	.limits = {.cap = 256, .secure = false, .zero = true},
};

struct visit {
	struct merge_region *region;
	u32 chunk;
};

/* Frames that merging saves now, and pages with a frame: a few loads for each region. */
static s64 frames_saved(u64 *owned)
{
	const struct addrspace *as = NULL;
	struct merge_region *region;
	s64 saved = 0;

	RB_FOREACH (region, merge_spaces, &merge_world.regions) {
		struct merge_domain *domain = region->domain;

		if (region->as != as) {
			saved += (s64)merge_shared_pages(region->as);
			*owned += merge_shared_pages(region->as) +
				  primary_count(&region->as->primary, PPTE_PRIVATE);
		}
		if (RB_MIN(merge_numbers, &domain->regions) == region)
			saved -= (s64)ck_pr_load_64(&domain->stable_count);
		as = region->as;
	}
	return saved;
}

static u64 pages_merged(u64 *read)
{
	u64 sum = 0;

	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
		sum += ck_pr_load_64(&merge_world.counters[cpu].merged) +
		       ck_pr_load_64(&merge_world.counters[cpu].zeroed);
		*read += ck_pr_load_64(&merge_world.counters[cpu].pages_read);
	}
	return sum;
}

static void count_quiet_passes(u64 shares)
{
	bool quiet = shares == merge_world.shares;

	merge_world.shares = shares;
	ck_pr_store_64(&merge_world.quiet, quiet ? merge_world.quiet + 1 : 0);
}

static void note_work(u64 owned, u64 read, s64 saved)
{
	merge_world.work = (struct merge_work){
		.pass = merge_world.passes + 1,
		.owned = owned,
		.read = read - merge_world.read,
		.saved = saved - merge_world.saved,
	};
	merge_world.read = read;
	merge_world.saved = saved;
}

static void end_of_pass(void)
{
	u64 owned = 0, read = 0;
	s64 saved = frames_saved(&owned);

	count_quiet_passes(pages_merged(&read));
	note_work(owned, read, saved);
	if (saved > (s64)merge_world.best_pages)
		ck_pr_store_64(&merge_world.best_pages, (u64)saved);
	ck_pr_store_64(&merge_world.passes, merge_world.passes + 1);
}

/*
 * Moves the cursor by a chunk; false at the end of a pass. A chunk that a slow visitor of the last
 * pass is still in is passed over.
 */
static bool advance(struct visit *visit)
{
	struct merge_region *region = merge_world.cursor;

	while (region) {
		while (!region->dead && merge_world.cursor_chunk < region->chunks) {
			*visit = (struct visit){region, merge_world.cursor_chunk++};
			merge_world.cursor = region;
			if (ck_pr_cas_32(&region->chunk[visit->chunk].taken, 0, 1) ||
			    IS_ENABLED(CONFIG_BREAK_MERGE_TAKEN))
				return true;
		}
		merge_world.cursor_chunk = 0;
		region = RB_NEXT(merge_spaces, , region);
	}
	merge_world.cursor = RB_MIN(merge_spaces, &merge_world.regions);
	return false;
}

/*
 * Enters the next chunk. False: there is none, or the pass has ended for the second time, which
 * `wrapped` counts.
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
		quiesce_enter(&merge_world.visits, arch_cpu_id());
	spin_unlock(&merge_world.lock);
	return found;
}

/* From here on the region may be freed. */
static void end_visit(const struct visit *visit)
{
	ck_pr_fence_release();
	ck_pr_store_32(&visit->region->chunk[visit->chunk].taken, 0);
	quiesce_leave(&merge_world.visits, arch_cpu_id());
}

static bool any_set(const u64 *bitmap)
{
	u64 all = 0;

	for (unsigned i = 0; i < MERGE_CHUNK / 64; i++)
		all |= bitmap[i];
	return all;
}

static void visit_batch(struct merge_batch *batch)
{
	u32 all = (u32)BIT(batch->count) - 1, over = all ? merge_prefetch(batch) : 0;

	for (u32 left = all & ~over; left; left &= left - 1) {
		merge_visit(&batch->page[__builtin_ctz(left)]);
	}
	batch->count = batch->searches = 0;
}

/* A page and its metadata; its place in the batch is for the caller to fill in. */
static struct merge_next *batch_add(struct merge_batch *batch, u32 word, bool dirty)
{
	bool search = !dirty && (word & PAGE_REASON) == MERGE_CANDIDATE;

	batch->tag[batch->count] = word >> PAGE_HASH_SHIFT;
	batch->searches |= (u32)search << batch->count;
	return &batch->page[batch->count++];
}

/*
 * Visits the pages of the range that need it, a batch at a time. One that was written and is not in
 * the answer yet is left for the visit at which it is.
 */
static void visit_pages(struct merge_region *region, struct gfn_range range,
			const struct dirty_answer *answer)
{
	struct merge_ref ref = merge_ref(region, range.start);
	const ppte_t *slot = merge_slot(&ref);
	struct merge_batch batch;
	u64 count = gfn_range_frames(range);

	batch.count = batch.searches = 0;
	for (u64 i = 0; i < count; i++, ref.gfn.raw++, ref.page++) {
		bool written = answer->written[i / 64] & BIT(i % 64);
		bool open = answer->open[i / 64] & BIT(i % 64);
		u32 word = page_word(ref.page);
		struct merge_next *next;

		if ((open && !written) || !merge_wants_visit(word, written) || !merge_is_due(word))
			continue;
		next = batch_add(&batch, word, written);
		next->ref = ref;
		next->slot = slot ? slot + i : NULL;
		next->dirty = written;
		next->open = open;
		next->ahead = NULL;
		if (batch.count == MERGE_BATCH)
			visit_batch(&batch);
	}
	visit_batch(&batch);
}

/* As many steps as pages, so that a pass goes round all frames. */
static void sweep_domain(struct merge_domain *domain)
{
	if (ck_pr_load_64(&domain->swept) == merge_passes())
		return;
	spin_lock(&domain->lock);
	stable_sweep(domain, MERGE_CHUNK);
	spin_unlock(&domain->lock);
}

static void visit_chunk(const struct visit *visit)
{
	struct merge_region *region = visit->region;
	struct merge_chunk *chunk = &region->chunk[visit->chunk];
	struct gfn_range range = merge_chunk_range(region, visit->chunk);
	struct dirty_answer answer;

	if (ck_pr_load_32(&chunk->excluded) == gfn_range_frames(range)) {
		merge_count(pages_skipped, gfn_range_frames(range));
		return;
	}
	if (merge_make_metadata(region, visit->chunk) ||
	    dirty_log_collect_open(region->as, range, &answer, &chunk->flush))
		return;
	merge_large_begin(region, visit->chunk);
	if (!any_set(answer.written) && ck_pr_load_32(&chunk->unsettled) == 0 &&
	    !merge_large_wants_visit(region, visit->chunk)) {
		merge_count(pages_skipped, gfn_range_frames(range));
		return;
	}
	merge_tally_begin(chunk);
	visit_pages(region, range, &answer);
	merge_large_end(region, visit->chunk);
	merge_tally_end(region);
}

/*
 * Metadata, nodes, lists of users and split tables may come from the reserve: merging gives back
 * more than it takes, and refills it first.
 */
static void visit_with_reserve(const struct visit *visit)
{
	frame_reserve_use(true);
	visit_chunk(visit);
	addrspace_try_settle(visit->region->as);
	sweep_domain(visit->region->domain);
	frame_reserve_use(false);
	frame_reserve_fill();
}

u64 merge_scan(u64 budget)
{
	struct visit visit;
	bool wrapped = false;
	u64 done = 0;

	while (done < budget && begin_visit(&visit, &wrapped)) {
		visit_with_reserve(&visit);
		done += gfn_range_frames(merge_chunk_range(visit.region, visit.chunk));
		end_visit(&visit);
	}
	merge_count(pages_scanned, done);
	return done;
}

u64 merge_passes(void)
{
	return ck_pr_load_64(&merge_world.passes);
}

u64 merge_quiet_passes(void)
{
	return ck_pr_load_64(&merge_world.quiet);
}

void merge_work(struct merge_work *out)
{
	spin_lock(&merge_world.lock);
	*out = merge_world.work;
	spin_unlock(&merge_world.lock);
}

bool merge_is_active(void)
{
	return ck_pr_load_uint(&merge_world.count) > 0;
}
