/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c: areas, domains, and the scanner that walks over them. merge.h has the picture.
 *
 * Who may free what a scanner uses: a CPU counts itself as visiting before it takes a chunk from the cursor, under the
 * world's lock; an area is marked dead under that lock, so nobody enters it any more, and is freed when nobody visits.
 *
 * Locking: merge_world.lock, then a domain's lock, then what mm/cow.h takes. A visit holds neither.
 */
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/dirty_log.h>
#include <mm/frame.h>
#include "merge_private.h"
#include "race.h"

struct merge_world merge_world = {
	.lock = SPINLOCK_INIT(LOCK_MERGE_WORLD, "merge world"),
	.engine = &merge_engine_hash,
	.limits = {.cap = 256, .secure = false, .zero = true},
};

static struct pool areas = POOL_INITIALIZER(sizeof(struct merge_area), "merge areas");
static struct pool domains = POOL_INITIALIZER(sizeof(struct merge_domain), "merge domains");

const char *merge_reason_name(enum merge_reason reason)
{
	static const char *const names[MERGE_REASONS] = {
		[MERGE_NEW] = "new",
		[MERGE_ABSENT] = "absent",
		[MERGE_VOLATILE] = "volatile",
		[MERGE_WAITING] = "waiting",
		[MERGE_UNIQUE] = "unique",
		[MERGE_BUSY] = "busy",
		[MERGE_NO_MEMORY] = "no memory",
		[MERGE_SHARED] = "shared",
		[MERGE_ZERO] = "zero",
	};

	return (unsigned)reason < MERGE_REASONS ? names[reason] : "?";
}

const char *merge_engine_name(const struct merge_engine *engine)
{
	return engine->name;
}

const struct merge_engine *merge_engine_find(const char *name, size_t len)
{
	static const struct merge_engine *const engines[] = {&merge_engine_tree,
							     &merge_engine_hash};

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		if (strlen(engines[i]->name) == len && memcmp(engines[i]->name, name, len) == 0)
			return engines[i];
	}
	return NULL;
}

int merge_configure(const struct merge_engine *engine, const struct merge_limits *limits)
{
	int err = limits->cap < 2 ? ERR_INVALID : 0;

	spin_lock(&merge_world.lock);
	if (merge_world.count)
		err = ERR_BUSY;
	if (!err) {
		merge_world.engine = engine;
		merge_world.limits = *limits;
	}
	spin_unlock(&merge_world.lock);
	return err;
}

u32 merge_number(const struct merge_area *area, struct gfn gfn)
{
	return area->base + (u32)(gfn.raw - area->range.start.raw);
}

struct merge_area *merge_area_of(const struct merge_domain *domain, u32 number, struct gfn *gfn)
{
	for (unsigned i = 0; i < ck_pr_load_uint(&merge_world.count); i++) {
		struct merge_area *area = merge_world.area[i];

		if (area->domain != domain || number - area->base >= gfn_range_frames(area->range))
			continue;
		*gfn = gfn_add(area->range.start, number - area->base);
		return area;
	}
	panic("merge: page %u of domain %u is in no area", number, domain->number);
}

struct merge_page *merge_note(const struct merge_area *area, struct gfn gfn)
{
	u64 at = gfn.raw - area->range.start.raw;

	return &area->note[at / MERGE_NOTES][at % MERGE_NOTES];
}

/* --- Domains: under the world's lock ---------------------------------------------------------------------------------- */

static struct merge_domain *find_domain(u32 number)
{
	for (unsigned i = 0; i < merge_world.count; i++) {
		if (merge_world.area[i]->domain->number == number)
			return merge_world.area[i]->domain;
	}
	return NULL;
}

static int new_domain(u32 number, struct merge_domain **out)
{
	struct merge_domain *domain;
	void *memory;
	int err = pool_alloc(&domains, &memory);

	if (err)
		return err;
	domain = memory;
	*domain = (struct merge_domain){
		.number = number, .engine = merge_world.engine, .limits = merge_world.limits};
	spin_init(&domain->lock, LOCK_MERGE, "merge domain");
	err = domain->engine->init(domain);
	if (err)
		pool_free(&domains, domain);
	else
		*out = domain;
	return err;
}

static void drop_domain(struct merge_domain *domain)
{
	if (domain->areas)
		return;
	spin_lock(&domain->lock);
	stable_drop(domain);
	spin_unlock(&domain->lock);
	domain->engine->fini(domain);
	pool_free(&domains, domain);
}

/* Page numbers that no area of the domain has: the lowest gap that is large enough. */
static u32 find_base(const struct merge_domain *domain, u32 pages)
{
	u32 base = 0;

	for (unsigned i = 0; i < merge_world.count; i++) {
		const struct merge_area *area = merge_world.area[i];
		u32 end = area->base + (u32)gfn_range_frames(area->range);

		if (area->domain == domain && area->base < base + pages && base < end) {
			base = end;
			i = -1u; /* look at all of them again */
		}
	}
	return base;
}

/* --- Areas ------------------------------------------------------------------------------------------------------------ */

static unsigned order_for(u64 bytes)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static u32 note_pages(const struct merge_area *area)
{
	return (u32)((gfn_range_frames(area->range) + MERGE_NOTES - 1) / MERGE_NOTES);
}

static unsigned note_order(const struct merge_area *area)
{
	return order_for(note_pages(area) * sizeof(void *) +
			 area->chunks * sizeof(struct merge_chunk));
}

static struct gfn_range chunk_range(const struct merge_area *area, u32 chunk)
{
	struct gfn start = gfn_add(area->range.start, (u64)chunk * MERGE_CHUNK);

	return (struct gfn_range){start, {MIN(start.raw + MERGE_CHUNK, area->range.end.raw)}};
}

static void free_area(struct merge_area *area)
{
	for (u32 i = 0; i < note_pages(area); i++) {
		if (area->note[i])
			page_free(area->note[i], 0);
	}
	page_free(area->note, note_order(area));
	pool_free(&areas, area);
}

static int new_area(struct addrspace *as, struct gfn_range range, struct merge_area **out)
{
	struct merge_area *area;
	void *memory;
	int err = pool_alloc(&areas, &memory);

	if (err)
		return err;
	area = memory;
	area->as = as;
	area->range = range;
	area->chunks = (u32)((gfn_range_frames(range) + MERGE_CHUNK - 1) / MERGE_CHUNK);
	err = page_alloc(note_order(area), &memory);
	if (err) {
		pool_free(&areas, area);
		return err;
	}
	area->note = memory;
	area->chunk = (struct merge_chunk *)(area->note + note_pages(area));
	for (u32 i = 0; i < area->chunks; i++)
		area->chunk[i].unsettled = (u32)gfn_range_frames(chunk_range(area, i));
	*out = area;
	return 0;
}

static bool overlaps(const struct addrspace *as, struct gfn_range range)
{
	for (unsigned i = 0; i < merge_world.count; i++) {
		const struct merge_area *area = merge_world.area[i];

		if (area->as == as && gfn_ranges_overlap(area->range, range))
			return true;
	}
	return false;
}

/* Under the world's lock: gives the area its domain and its numbers, and shows it to the scanner. */
static int publish(struct merge_area *area, u32 number)
{
	struct merge_domain *domain = find_domain(number);
	u32 pages = (u32)gfn_range_frames(area->range);
	int err = 0;

	if (merge_world.count == MERGE_AREAS)
		return ERR_NO_MEMORY;
	if (overlaps(area->as, area->range))
		return ERR_EXISTS;
	if (!domain)
		err = new_domain(number, &domain);
	if (err)
		return err;
	area->domain = domain;
	area->base = find_base(domain, pages);
	spin_lock(&domain->lock);
	err = domain->engine->grow(domain, MAX(domain->pages, area->base + pages));
	if (!err)
		domain->pages = MAX(domain->pages, area->base + pages);
	spin_unlock(&domain->lock);
	if (err) {
		drop_domain(domain);
		return err;
	}
	domain->areas++;
	merge_world.area[merge_world.count] = area;
	ck_pr_store_uint(&merge_world.count, merge_world.count + 1);
	return 0;
}

int merge_add(struct addrspace *as, struct gfn_range range, u32 number)
{
	struct merge_area *area;
	int err = space_check(as, range);

	if (err)
		return err;
	err = new_area(as, range, &area);
	if (err)
		return err;
	spin_lock(&merge_world.lock);
	err = publish(area, number);
	spin_unlock(&merge_world.lock);
	if (err)
		free_area(area);
	else
		merge_count(&merge_world.stats.by_reason[MERGE_NEW], gfn_range_frames(range));
	return err ? err : dirty_log_start(as, range, DIRTY_BITS);
}

/* Takes the area from the list, once nobody visits; until then nobody can enter it. */
static void unpublish(struct merge_area *area)
{
	spin_lock(&merge_world.lock);
	area->dead = true;
	while (ck_pr_load_64(&merge_world.visiting)) {
		spin_unlock(&merge_world.lock);
		arch_cpu_relax();
		RACE_POINT("merge: waiting for visitors");
		spin_lock(&merge_world.lock);
	}
	for (unsigned i = 0; i < merge_world.count; i++) {
		if (merge_world.area[i] == area)
			merge_world.area[i] = merge_world.area[--merge_world.count];
	}
	merge_world.cursor = merge_world.cursor_chunk = 0;
	area->domain->areas--;
	drop_domain(area->domain);
	spin_unlock(&merge_world.lock);
}

/* The page of notes that a chunk's are in. */
static struct merge_page **note_of(struct merge_area *area, u32 chunk)
{
	return &area->note[chunk / (MERGE_NOTES / MERGE_CHUNK)];
}

/* Forgets the pages of a chunk; with `unmerge` they become private first. */
static int clear_chunk(struct merge_area *area, u32 chunk, bool unmerge)
{
	struct gfn_range range = chunk_range(area, chunk);
	int err = 0;

	if (!*note_of(area, chunk))
		return 0;
	for (struct gfn gfn = range.start; !err && gfn.raw < range.end.raw; gfn.raw++) {
		ppte_t pte = primary_load(&area->as->primary, gfn);

		merge_forget_waiting(area, gfn);
		if (unmerge && (ppte_state(pte) == PPTE_SHARED || ppte_state(pte) == PPTE_ZERO))
			err = cow_break(area->as, gfn);
		merge_set_reason(area, gfn, MERGE_NEW);
	}
	return err;
}

static struct merge_area *find_area(struct addrspace *as, const struct gfn_range *range)
{
	struct merge_area *found = NULL;

	spin_lock(&merge_world.lock);
	for (unsigned i = 0; i < merge_world.count && !found; i++) {
		struct merge_area *area = merge_world.area[i];

		if (area->as == as && (!range || (area->range.start.raw == range->start.raw &&
						  area->range.end.raw == range->end.raw)))
			found = area;
	}
	if (found)
		found->dead = true;
	spin_unlock(&merge_world.lock);
	return found;
}

static void wait_for_visitors(void)
{
	while (ck_pr_load_64(&merge_world.visiting))
		arch_cpu_relax();
}

static int remove_area(struct merge_area *area, bool unmerge)
{
	int err = 0;

	wait_for_visitors();
	for (u32 chunk = 0; !err && chunk < area->chunks; chunk++)
		err = clear_chunk(area, chunk, unmerge);
	if (err) {
		area->dead = false;
		return err;
	}
	/* Now, not chunk by chunk: a removal that fails is begun again. */
	merge_count(&merge_world.stats.by_reason[MERGE_NEW], -gfn_range_frames(area->range));
	addrspace_settle(area->as);
	unpublish(area);
	free_area(area);
	return 0;
}

int merge_remove(struct addrspace *as, struct gfn_range range)
{
	struct merge_area *area = find_area(as, &range);

	return area ? remove_area(area, true) : ERR_NOT_FOUND;
}

void merge_remove_all(struct addrspace *as)
{
	struct merge_area *area;

	while ((area = find_area(as, NULL)))
		CHECK(remove_area(area, false) == 0);
}

/* --- The scanner ------------------------------------------------------------------------------------------------------ */

struct visit {
	struct merge_area *area;
	u32 chunk;
};

/* Area i's domain, if no area before it has the same; else NULL: so that each is dealt with once. */
static struct merge_domain *first_of_domain(unsigned i)
{
	struct merge_domain *domain = merge_world.area[i]->domain;

	for (unsigned j = 0; j < i; j++) {
		if (merge_world.area[j]->domain == domain)
			return NULL;
	}
	return domain;
}

static void end_of_pass(void)
{
	struct merge_stats sharing = {0};

	for (unsigned i = 0; i < merge_world.count; i++) {
		struct merge_domain *domain = first_of_domain(i);

		if (!domain)
			continue;
		spin_lock(&domain->lock);
		stable_prune(domain);
		stable_count_sharing(domain, &sharing);
		spin_unlock(&domain->lock);
	}
	sharing.pages_sharing += merge_world.stats.by_reason[MERGE_ZERO];
	merge_world.stats.best_pages = MAX(merge_world.stats.best_pages, sharing.pages_sharing);
	merge_count(&merge_world.stats.full_scans, 1);
}

/* Moves the cursor by a chunk; false at the end of a pass. A chunk that a slow visitor of the last pass is still in is
 * passed over: it is being looked at. */
static bool advance(struct visit *visit)
{
	while (merge_world.cursor < merge_world.count) {
		struct merge_area *area = merge_world.area[merge_world.cursor];

		if (!area->dead && merge_world.cursor_chunk < area->chunks) {
			*visit = (struct visit){area, merge_world.cursor_chunk++};
			if (ck_pr_cas_32(&area->chunk[visit->chunk].taken, 0, 1))
				return true;
			continue;
		}
		merge_world.cursor++;
		merge_world.cursor_chunk = 0;
	}
	merge_world.cursor = 0;
	return false;
}

/* The next chunk, and we are visiting; false: there is none, or `wrapped` says that the pass has ended meanwhile. */
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
		ck_pr_inc_64(&merge_world.visiting);
	spin_unlock(&merge_world.lock);
	return found;
}

static int make_note(struct merge_area *area, u32 chunk)
{
	struct merge_page **place = note_of(area, chunk);
	void *note;
	int err;

	if (ck_pr_load_ptr(place))
		return 0;
	err = page_alloc(0, &note);
	if (!err && !ck_pr_cas_ptr(place, NULL, note))
		page_free(note, 0); /* the neighbour's visitor was faster */
	return err;
}

static bool any(const u64 *bitmap)
{
	u64 all = 0;

	for (unsigned i = 0; i < MERGE_CHUNK / 64; i++)
		all |= bitmap[i];
	return all;
}

static void visit_chunk(const struct visit *visit)
{
	struct merge_area *area = visit->area;
	struct gfn_range range = chunk_range(area, visit->chunk);
	u64 dirty[MERGE_CHUNK / 64] = {0};

	if (make_note(area, visit->chunk) || dirty_log_collect(area->as, range, dirty))
		return;
	if (!any(dirty) && ck_pr_load_32(&area->chunk[visit->chunk].unsettled) == 0) {
		merge_count(&merge_world.stats.pages_skipped, gfn_range_frames(range));
		return;
	}
	for (u64 i = 0; i < gfn_range_frames(range); i++)
		merge_visit(area, gfn_add(range.start, i), dirty[i / 64] & BIT(i % 64));
	addrspace_settle(area->as);
}

u64 merge_scan(u64 budget)
{
	struct visit visit;
	bool wrapped = false;
	u64 done = 0;

	while (done < budget && begin_visit(&visit, &wrapped)) {
		visit_chunk(&visit);
		ck_pr_fence_release();
		ck_pr_store_32(&visit.area->chunk[visit.chunk].taken, 0);
		done += gfn_range_frames(chunk_range(visit.area, visit.chunk));
		ck_pr_fence_release();
		ck_pr_dec_64(&merge_world.visiting); /* from here on the area may be freed */
	}
	merge_count(&merge_world.stats.pages_scanned, done);
	return done;
}

u64 merge_passes(void)
{
	return ck_pr_load_64(&merge_world.stats.full_scans);
}

bool merge_is_active(void)
{
	return ck_pr_load_uint(&merge_world.count) > 0;
}

/* --- Accounting ------------------------------------------------------------------------------------------------------- */

enum merge_reason merge_reason(struct addrspace *as, struct gfn gfn)
{
	enum merge_reason reason = MERGE_NEW;

	spin_lock(&merge_world.lock);
	for (unsigned i = 0; i < merge_world.count; i++) {
		struct merge_area *area = merge_world.area[i];

		if (area->as == as && gfn_in_range(gfn, area->range) &&
		    area->note[(gfn.raw - area->range.start.raw) / MERGE_NOTES])
			reason = page_reason(merge_note(area, gfn));
	}
	spin_unlock(&merge_world.lock);
	return reason;
}

/* What an area and its share of the index take, whether its pages are merged or not. */
static u64 area_bytes(const struct merge_area *area)
{
	u64 bytes = PAGE_SIZE << note_order(area);

	for (u32 i = 0; i < note_pages(area); i++)
		bytes += area->note[i] ? PAGE_SIZE : 0;
	return bytes;
}

static void add_domain(const struct merge_domain *domain, struct merge_stats *out)
{
	stable_count_sharing(domain, out);
	out->metadata_bytes += stable_bytes(domain) + domain->engine->bytes(domain);
	out->metadata_unmerged_bytes += domain->engine->bytes(domain);
}

void merge_stats(struct merge_stats *out)
{
	spin_lock(&merge_world.lock);
	*out = merge_world.stats;
	for (unsigned i = 0; i < merge_world.count; i++) {
		const struct merge_area *area = merge_world.area[i];

		if (first_of_domain(i))
			add_domain(area->domain, out);
		out->metadata_bytes += area_bytes(area);
		out->metadata_unmerged_bytes += area_bytes(area);
	}
	spin_unlock(&merge_world.lock);
	out->pages_unshared = out->by_reason[MERGE_UNIQUE];
	out->pages_volatile = out->by_reason[MERGE_VOLATILE];
	out->zero_pages = out->by_reason[MERGE_ZERO];
	out->general_profit = (s64)((out->pages_sharing + out->zero_pages) * PAGE_SIZE) -
			      (s64)out->metadata_bytes;
}
