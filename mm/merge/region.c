/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.c: which memory is mergeable, and with whom: areas and domains come and go while others
 * scan.
 *
 *     remove                                       a visitor on another CPU
 *     ------                                       ------------------------
 *     dead = true
 *     quiesce                                      nobody is in a chunk of the area any more
 *     take its pages out of the index
 *     quiesce                                      nobody has one of them in hand as a twin any more
 *     break what is shared
 *     take it off the list; quiesce; free
 *
 * Locking: merge_areas_lock around changes of the list; merge_world.lock for the store itself, so
 * that whoever holds either sees a list that stands still.
 */
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/dirty_log.h>
#include <mm/frame.h>
#include "mm/merge/private.h"

struct spinlock merge_areas_lock = SPINLOCK_INIT(LOCK_MERGE_AREAS, "merge areas");

static struct pool areas = POOL_INITIALIZER(sizeof(struct merge_area), "merge areas");
static struct pool domains = POOL_INITIALIZER(sizeof(struct merge_domain), "merge domains");

void merge_quiesce(void)
{
	ck_pr_fence_memory(); /* pairs with the locked increment of begin_visit() */
	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
		u64 seen = ck_pr_load_64(&merge_world.visits[cpu]);

		while ((seen & 1) && ck_pr_load_64(&merge_world.visits[cpu]) == seen)
			arch_cpu_relax();
	}
	ck_pr_fence_acquire();
}

/*
 * --- Numbers and notes
 * ------------------------------------------------------------------------------------------------
 */

u32 merge_number(const struct merge_area *area, struct gfn gfn)
{
	return area->base + (u32)(gfn.raw - area->range.start.raw);
}

struct merge_area *merge_area_of(const struct merge_domain *domain, u32 number, struct gfn *gfn)
{
	for (unsigned i = 0; i < ck_pr_load_uint(&merge_world.top); i++) {
		struct merge_area *area = merge_area_at(i);

		if (!area || area->domain != domain ||
		    number - area->base >= gfn_range_frames(area->range))
			continue;
		*gfn = gfn_add(area->range.start, number - area->base);
		return area;
	}
	panic("merge: page %u of domain %u is in no area", number, domain->number);
}

static struct merge_page **note_at(const struct merge_area *area, struct gfn gfn)
{
	return &area->note[(gfn.raw - area->origin.raw) / MERGE_NOTES];
}

struct merge_page *merge_note(const struct merge_area *area, struct gfn gfn)
{
	return &(*note_at(area, gfn))[(gfn.raw - area->origin.raw) % MERGE_NOTES];
}

bool merge_has_note(const struct merge_area *area, struct gfn gfn)
{
	return ck_pr_load_ptr(note_at(area, gfn)) != NULL;
}

int merge_make_note(struct merge_area *area, u32 chunk)
{
	struct merge_page **place = note_at(area, merge_chunk_range(area, chunk).start);
	void *memory;
	int err;

	if (ck_pr_load_ptr(place))
		return 0;
	err = page_alloc(0, &memory);
	if (err)
		return err;
	for (u32 i = 0; area->marked && i < MERGE_NOTES; i++)
		((struct merge_page *)memory)[i].word = MERGE_EXCLUDED;
	ck_pr_fence_store();
	if (!ck_pr_cas_ptr(place, NULL, memory))
		page_free(memory, 0); /* the neighbour's visitor was faster */
	return 0;
}

struct gfn_range merge_chunk_range(const struct merge_area *area, u32 chunk)
{
	u64 start = area->origin.raw + (u64)chunk * MERGE_CHUNK;

	return (struct gfn_range){{MAX(start, area->range.start.raw)},
				  {MIN(start + MERGE_CHUNK, area->range.end.raw)}};
}

/*
 * --- Domains: under merge_areas_lock
 * ----------------------------------------------------------------------------------
 */

struct merge_domain *merge_domain_find(u32 number)
{
	for (unsigned i = 0; i < merge_world.top; i++) {
		struct merge_area *area = merge_area_at(i);

		if (area &&
		    (IS_ENABLED(CONFIG_BREAK_MERGE_DOMAIN) || area->domain->number == number))
			return area->domain;
	}
	return NULL;
}

struct merge_domain *merge_first_of_domain(unsigned i)
{
	struct merge_area *area = merge_area_at(i);

	for (unsigned j = 0; area && j < i; j++) {
		struct merge_area *other = merge_area_at(j);

		if (other && other->domain == area->domain)
			return NULL;
	}
	return area ? area->domain : NULL;
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

/*
 * Page numbers that no area of the domain has: the lowest gap that is large enough.
 * ERR_UNSUPPORTED: there is none.
 */
static int find_base(const struct merge_domain *domain, u64 pages, u32 *out)
{
	u64 base = 0;

	for (unsigned i = 0; i < merge_world.top; i++) {
		const struct merge_area *area = merge_area_at(i);

		if (!area || area->domain != domain || area->base >= base + pages ||
		    base >= area->base + gfn_range_frames(area->range))
			continue;
		base = area->base + gfn_range_frames(area->range);
		i = -1u; /* look at all of them again */
	}
	if (base + pages > MERGE_PAGES_MAX)
		return ERR_UNSUPPORTED;
	*out = (u32)base;
	return 0;
}

/*
 * --- Areas
 * ------------------------------------------------------------------------------------------------------------
 */

u32 merge_note_pages(const struct merge_area *area)
{
	return (u32)((area->range.end.raw - area->origin.raw + MERGE_NOTES - 1) / MERGE_NOTES);
}

static unsigned note_order(const struct merge_area *area)
{
	return page_order(merge_note_pages(area) * sizeof(void *) +
			  area->chunks * sizeof(struct merge_chunk));
}

/* What an area takes, whether its pages are merged or not. */
u64 merge_area_bytes(const struct merge_area *area)
{
	u64 bytes = sizeof(*area) + (PAGE_SIZE << note_order(area));

	for (u32 i = 0; i < merge_note_pages(area); i++)
		bytes += ck_pr_load_ptr(&area->note[i]) ? PAGE_SIZE : 0;
	return bytes;
}

static void free_area(struct merge_area *area)
{
	for (u32 i = 0; i < merge_note_pages(area); i++) {
		if (area->note[i])
			page_free(area->note[i], 0);
	}
	page_free(area->note, note_order(area));
	pool_free(&areas, area);
}

/* Each page is NEW, or EXCLUDED in an area whose guest is to mark what it wants merged. */
static void init_chunks(struct merge_area *area)
{
	area->chunk = (struct merge_chunk *)(area->note + merge_note_pages(area));
	for (u32 i = 0; i < area->chunks; i++) {
		u32 pages = (u32)gfn_range_frames(merge_chunk_range(area, i));

		area->chunk[i] = (struct merge_chunk){.unsettled = area->marked ? 0 : pages,
						      .excluded = area->marked ? pages : 0};
	}
	area->by_reason[area->marked ? MERGE_EXCLUDED : MERGE_NEW] = gfn_range_frames(area->range);
}

static int new_area(struct addrspace *as, struct gfn_range range, bool marked,
		    struct merge_area **out)
{
	struct merge_area *area;
	void *memory;
	int err = pool_alloc(&areas, &memory);

	if (err)
		return err;
	area = memory;
	area->as = as;
	area->range = range;
	area->origin.raw = ALIGN_DOWN(range.start.raw, MERGE_CHUNK);
	area->marked = marked;
	area->chunks = (u32)((range.end.raw - area->origin.raw + MERGE_CHUNK - 1) / MERGE_CHUNK);
	err = page_alloc(note_order(area), &memory);
	if (err) {
		pool_free(&areas, area);
		return err;
	}
	area->note = memory;
	init_chunks(area);
	*out = area;
	return 0;
}

static bool overlaps(const struct addrspace *as, struct gfn_range range)
{
	for (unsigned i = 0; i < merge_world.top; i++) {
		const struct merge_area *area = merge_area_at(i);

		if (area && area->as == as && gfn_ranges_overlap(area->range, range))
			return true;
	}
	return false;
}

/* Shows the area to the scanner, in the lowest place that is free. */
static void put_on_list(struct merge_area *area)
{
	unsigned place = 0;

	while (merge_area_at(place))
		place++;
	spin_lock(&merge_world.lock);
	ck_pr_store_ptr(&merge_world.area[place], area);
	ck_pr_store_uint(&merge_world.top, MAX(merge_world.top, place + 1));
	ck_pr_store_uint(&merge_world.count, merge_world.count + 1);
	spin_unlock(&merge_world.lock);
}

/* Numbers for the area's pages, and room in the index for them. */
static int give_numbers(struct merge_area *area, struct merge_domain *domain)
{
	u64 pages = gfn_range_frames(area->range);
	u32 end;
	int err = find_base(domain, pages, &area->base);

	if (err)
		return err;
	end = MAX(domain->pages, area->base + (u32)pages);
	spin_lock(&domain->lock);
	err = domain->engine->grow(domain, end);
	if (!err)
		domain->pages = end;
	spin_unlock(&domain->lock);
	return err;
}

/* Gives the area its domain and its numbers. */
static int publish(struct merge_area *area, u32 number)
{
	struct merge_domain *domain = merge_domain_find(number);
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
	err = give_numbers(area, domain);
	if (err) {
		drop_domain(domain);
		return err;
	}
	domain->areas++;
	put_on_list(area);
	return 0;
}

static int add(struct addrspace *as, struct gfn_range range, u32 number, bool marked)
{
	bool logged = as->dirty_on;
	struct merge_area *area;
	int err = space_check(as, range);

	if (!err && gfn_range_frames(range) > MERGE_PAGES_MAX)
		err = ERR_UNSUPPORTED;
	if (!err)
		err = new_area(as, range, marked, &area);
	if (err)
		return err;
	err = dirty_log_start(as, range, as->dirty_on ? as->dirty_mode : DIRTY_BITS);
	spin_lock(&merge_areas_lock);
	if (!err)
		err = publish(area, number);
	spin_unlock(&merge_areas_lock);
	if (err)
		free_area(area);
	if (err && !logged)
		dirty_log_stop(as);
	return err;
}

int merge_add(struct addrspace *as, struct gfn_range range, u32 domain)
{
	return add(as, range, domain, false);
}

int merge_add_marked(struct addrspace *as, struct gfn_range range, u32 domain)
{
	return add(as, range, domain, true);
}

static void take_off_list(struct merge_area *area)
{
	unsigned place = 0;

	while (merge_area_at(place) != area)
		place++;
	spin_lock(&merge_world.lock);
	ck_pr_store_ptr(&merge_world.area[place], NULL);
	while (merge_world.top && !merge_area_at(merge_world.top - 1))
		ck_pr_store_uint(&merge_world.top, merge_world.top - 1);
	if (merge_world.cursor == place)
		merge_world.cursor_chunk = 0;
	ck_pr_store_uint(&merge_world.count, merge_world.count - 1);
	spin_unlock(&merge_world.lock);
}

/* Nobody enters it any more, and none of its pages waits. */
static void unpublish(struct merge_area *area)
{
	spin_lock(&merge_areas_lock);
	take_off_list(area);
	merge_quiesce(); /* who walks over the list may still look at it */
	area->domain->areas--;
	drop_domain(area->domain);
	spin_unlock(&merge_areas_lock);
}

/* Calls `visit` for each page that was ever looked at, until it fails. */
static int each_page(struct merge_area *area, int (*visit)(struct merge_area *, struct gfn))
{
	int err = 0;

	for (u32 chunk = 0; !err && chunk < area->chunks; chunk++) {
		struct gfn_range range = merge_chunk_range(area, chunk);
		bool seen = merge_has_note(area, range.start);

		for (struct gfn gfn = range.start; seen && !err && gfn.raw < range.end.raw;
		     gfn.raw++)
			err = visit(area, gfn);
	}
	return err;
}

/* Out of the index; should the area stay after all, the page is looked at again. */
static int forget(struct merge_area *area, struct gfn gfn)
{
	merge_forget_waiting(area, gfn);
	(void)merge_change_reason(area, gfn, BIT(MERGE_UNIQUE) | BIT(MERGE_LARGE), MERGE_WAITING, 0,
				  0);
	return 0;
}

int merge_unshare(struct merge_area *area, struct gfn gfn)
{
	struct space_page page = {.gfn = gfn, .slot = primary_find(&area->as->primary, gfn)};
	int err = 0;

	/* A page that changes under our eyes is being broken, or protected, by somebody else. */
	for (unsigned tries = 0; !err && page.slot && ppte_shared(ck_pr_load_64(page.slot));
	     tries++)
		err = tries < 8 ? space_break(area->as, &page) : ERR_BUSY;
	return err;
}

static struct merge_area *mark_dead(struct addrspace *as, const struct gfn_range *range)
{
	struct merge_area *found = NULL;

	spin_lock(&merge_world.lock);
	for (unsigned i = 0; i < merge_world.top && !found; i++) {
		struct merge_area *area = merge_area_at(i);

		if (area && !area->dead && area->as == as &&
		    (!range || (area->range.start.raw == range->start.raw &&
				area->range.end.raw == range->end.raw)))
			found = area;
	}
	if (found)
		found->dead = true;
	spin_unlock(&merge_world.lock);
	return found;
}

static int remove_area(struct merge_area *area, bool unmerge)
{
	int err;

	merge_quiesce();
	(void)each_page(area, forget);
	merge_quiesce();
	err = unmerge ? each_page(area, merge_unshare) : 0;
	if (err) {
		area->dead = false;
		return err;
	}
	addrspace_settle(area->as);
	unpublish(area);
	free_area(area);
	return 0;
}

int merge_remove(struct addrspace *as, struct gfn_range range)
{
	struct merge_area *area = mark_dead(as, &range);

	return area ? remove_area(area, true) : ERR_NOT_FOUND;
}

void merge_remove_all(struct addrspace *as)
{
	struct merge_area *area;

	while ((area = mark_dead(as, NULL)))
		CHECK(remove_area(area, false) == 0);
}
