/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.c: mergeable regions and their domains come and go while other CPUs scan.
 *
 *     remove                                       a visitor on another CPU
 *     ------                                       ------------------------
 *     dead = true
 *     quiesce                                      no visit is in a chunk of the region any more
 *     its pages leave the index
 *     quiesce                                      no visit holds one of them as a match any more
 *     break what is shared
 *     unlink, free
 *
 * Locking: merge_regions_lock around changes of the set. The tree of all regions is written under
 * merge_world.lock too, a domain's tree under the domain's lock too; either lock is enough to read.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/dirty_log.h>
#include <mm/frame.h>
#include "mm/merge/content_hash.h"

struct spinlock merge_regions_lock = SPINLOCK_INIT(LOCK_MERGE_REGIONS, "merge regions");

static struct pool regions = POOL_INITIALIZER(sizeof(struct merge_region), "merge regions");
static struct pool domains = POOL_INITIALIZER(sizeof(struct merge_domain), "merge domains");

static int compare_u64(u64 a, u64 b)
{
	return a < b ? -1 : a > b;
}

static int compare_space(const struct merge_region *a, const struct merge_region *b)
{
	int order = compare_u64(addrspace_id(a->as), addrspace_id(b->as));

	return order ? order : compare_u64(a->range.start.raw, b->range.start.raw);
}

static int compare_base(const struct merge_region *a, const struct merge_region *b)
{
	return compare_u64(a->base, b->base);
}

static int compare_number(const struct merge_domain *a, const struct merge_domain *b)
{
	return compare_u64(a->number, b->number);
}

RB_GENERATE(merge_spaces, merge_region, by_space, compare_space)
RB_GENERATE(merge_numbers, merge_region, by_number, compare_base)
RB_GENERATE(merge_domains, merge_domain, by_number, compare_number)

struct merge_region *merge_first_region(const struct addrspace *as)
{
	struct merge_region key = {.as = (struct addrspace *)as};
	struct merge_region *region = RB_NFIND(merge_spaces, &merge_world.regions, &key);

	return region && region->as == as ? region : NULL;
}

struct merge_region *merge_region_around(const struct addrspace *as, struct gfn gfn)
{
	struct merge_region *region = merge_first_region(as);

	while (region && region->as == as && !gfn_in_range(gfn, region->range))
		region = RB_NEXT(merge_spaces, , region);
	return region && region->as == as ? region : NULL;
}

/* --- Domains: under merge_regions_lock ----------------------------------------------------- */

struct merge_domain *merge_domain_find(u32 number)
{
	struct merge_domain key = {.number = number};

	if (IS_ENABLED(CONFIG_BREAK_MERGE_DOMAIN))
		return RB_ROOT(&merge_world.domains);
	return RB_FIND(merge_domains, &merge_world.domains, &key);
}

static int new_domain(u32 number, struct merge_domain **out)
{
	const struct merge_engine *engine = merge_world.engine;
	struct merge_domain *domain;
	void *memory;
	int err = pool_alloc(&domains, &memory);

	if (err)
		return err;
	content_hash_init();
	domain = memory;
	*domain = (struct merge_domain){
		.number = number,
		.engine = engine ? engine : merge_engine_default(),
		.limits = merge_world.limits,
		.regions = RB_INITIALIZER(),
		.swept = ~0ull,
	};
	spin_init(&domain->lock, LOCK_MERGE, "merge domain");
	err = domain->engine->init(domain);
	if (err) {
		pool_free(&domains, domain);
		return err;
	}
	RB_INSERT(merge_domains, &merge_world.domains, domain);
	*out = domain;
	return 0;
}

/* Frees a domain that has no region. */
static void put_domain(struct merge_domain *domain)
{
	if (!RB_EMPTY(&domain->regions))
		return;
	RB_REMOVE(merge_domains, &merge_world.domains, domain);
	spin_lock(&domain->lock);
	stable_release(domain);
	spin_unlock(&domain->lock);
	domain->engine->fini(domain);
	pool_free(&domains, domain);
}

/* The lowest gap in the domain's page numbers that is large enough. ERR_UNSUPPORTED: none is. */
static int find_base(struct merge_domain *domain, u64 pages, u32 *out)
{
	struct merge_region *region;
	u64 base = 0;

	RB_FOREACH (region, merge_numbers, &domain->regions) {
		if (region->base - base >= pages)
			break;
		base = region->base + gfn_range_frames(region->range);
	}
	if (base + pages > MERGE_PAGES_MAX)
		return ERR_UNSUPPORTED;
	*out = (u32)base;
	return 0;
}

/* Gives the region numbers, for which the index has room, and a place in the domain's tree. */
static int join_domain(struct merge_region *region, struct merge_domain *domain)
{
	u64 pages = gfn_range_frames(region->range);
	u32 end;
	int err = find_base(domain, pages, &region->base);

	if (err)
		return err;
	end = MAX(domain->pages, region->base + (u32)pages);
	spin_lock(&domain->lock);
	err = domain->engine->grow(domain, end);
	if (!err) {
		domain->pages = end;
		region->domain = domain;
		RB_INSERT(merge_numbers, &domain->regions, region);
	}
	spin_unlock(&domain->lock);
	return err;
}

static void leave_domain(struct merge_region *region)
{
	struct merge_domain *domain = region->domain;

	spin_lock(&domain->lock);
	RB_REMOVE(merge_numbers, &domain->regions, region);
	spin_unlock(&domain->lock);
	put_domain(domain);
}

/* --- Regions ------------------------------------------------------------------------------- */

static u32 directory_entries(const struct merge_region *region)
{
	u64 pages = region->range.end.raw - region->origin.raw;

	return (u32)((pages + MERGE_PAGES_A_PAGE - 1) / MERGE_PAGES_A_PAGE);
}

/* Of the block that holds the directory of the metadata, then the chunks. */
static unsigned region_order(const struct merge_region *region)
{
	return page_order(directory_entries(region) * sizeof(void *) +
			  region->chunks * sizeof(struct merge_chunk));
}

u64 merge_region_bytes(const struct merge_region *region)
{
	u64 pages = BIT(region_order(region)) + ck_pr_load_32(&region->metadata_pages);

	return sizeof(*region) + pages * PAGE_SIZE;
}

static void free_region(struct merge_region *region)
{
	for (u32 i = 0; i < directory_entries(region); i++) {
		if (region->metadata[i])
			page_free(region->metadata[i], 0);
	}
	page_free(region->metadata, region_order(region));
	pool_free(&regions, region);
}

/* Each page is NEW, or EXCLUDED where the guest marks what is MERGEABLE. */
static void init_chunks(struct merge_region *region)
{
	region->chunk = (struct merge_chunk *)(region->metadata + directory_entries(region));
	for (u32 i = 0; i < region->chunks; i++) {
		u32 pages = (u32)gfn_range_frames(merge_chunk_range(region, i));

		region->chunk[i] = (struct merge_chunk){.unsettled = region->marked ? 0 : pages,
							.excluded = region->marked ? pages : 0};
	}
	region->by_reason[region->marked ? MERGE_EXCLUDED : MERGE_NEW] =
		gfn_range_frames(region->range);
}

static int new_region(struct addrspace *as, struct gfn_range range, bool marked,
		      struct merge_region **out)
{
	struct merge_region *region;
	void *memory;
	int err = pool_alloc(&regions, &memory);

	if (err)
		return err;
	region = memory;
	region->as = as;
	region->range = range;
	region->origin.raw = ALIGN_DOWN(range.start.raw, MERGE_CHUNK);
	region->marked = marked;
	region->chunks =
		(u32)((range.end.raw - region->origin.raw + MERGE_CHUNK - 1) / MERGE_CHUNK);
	err = page_alloc(region_order(region), &memory);
	if (err) {
		pool_free(&regions, region);
		return err;
	}
	region->metadata = memory;
	init_chunks(region);
	*out = region;
	return 0;
}

static bool overlaps(const struct addrspace *as, struct gfn_range range)
{
	struct merge_region *region = merge_first_region(as);

	for (; region && region->as == as; region = RB_NEXT(merge_spaces, , region)) {
		if (gfn_ranges_overlap(region->range, range))
			return true;
	}
	return false;
}

/* Shows the region to the scanner. */
static void link_region(struct merge_region *region)
{
	spin_lock(&merge_world.lock);
	RB_INSERT(merge_spaces, &merge_world.regions, region);
	if (!merge_world.cursor)
		merge_world.cursor = region;
	ck_pr_store_uint(&merge_world.count, merge_world.count + 1);
	ck_pr_store_64(&merge_world.quiet, 0);
	spin_unlock(&merge_world.lock);
}

/* The cursor goes to the end of the region before, so that the pass goes on with the next one. */
static void leave_cursor(const struct merge_region *region)
{
	struct merge_region *before = RB_PREV(merge_spaces, , (struct merge_region *)region);

	if (merge_world.cursor != region)
		return;
	merge_world.cursor =
		before ? before : RB_NEXT(merge_spaces, , (struct merge_region *)region);
	merge_world.cursor_chunk = before ? before->chunks : 0;
}

/* No reader of the trees finds the region any more. */
static void unlink_region(struct merge_region *region)
{
	spin_lock(&merge_regions_lock);
	spin_lock(&merge_world.lock);
	leave_cursor(region);
	RB_REMOVE(merge_spaces, &merge_world.regions, region);
	ck_pr_store_uint(&merge_world.count, merge_world.count - 1);
	spin_unlock(&merge_world.lock);
	leave_domain(region);
	spin_unlock(&merge_regions_lock);
}

/* Gives the region its domain and its numbers, and shows it. */
static int publish_region(struct merge_region *region, u32 number)
{
	struct merge_domain *domain = merge_domain_find(number);
	int err = 0;

	if (overlaps(region->as, region->range))
		return ERR_EXISTS;
	if (!domain)
		err = new_domain(number, &domain);
	if (err)
		return err;
	err = join_domain(region, domain);
	if (err)
		put_domain(domain);
	else
		link_region(region);
	return err;
}

static int add_region(struct addrspace *as, struct gfn_range range, u32 number, bool marked)
{
	bool logged = as->dirty_on;
	struct merge_region *region;
	int err = space_check(as, range);

	if (!err && gfn_range_frames(range) > MERGE_PAGES_MAX)
		err = ERR_UNSUPPORTED;
	if (!err)
		err = new_region(as, range, marked, &region);
	if (err)
		return err;
	err = dirty_log_start(as, range, as->dirty_on ? as->dirty_mode : DIRTY_BITS);
	spin_lock(&merge_regions_lock);
	if (!err)
		err = publish_region(region, number);
	spin_unlock(&merge_regions_lock);
	if (err)
		free_region(region);
	if (err && !logged)
		dirty_log_stop(as);
	return err;
}

int merge_add(struct addrspace *as, struct gfn_range range, u32 domain)
{
	return add_region(as, range, domain, false);
}

int merge_add_marked(struct addrspace *as, struct gfn_range range, u32 domain)
{
	return add_region(as, range, domain, true);
}

/* Calls `visit` for each page that has metadata, until it fails. */
static int each_page(struct merge_region *region, int (*visit)(const struct merge_ref *))
{
	int err = 0;

	for (u32 chunk = 0; !err && chunk < region->chunks; chunk++) {
		struct gfn_range range = merge_chunk_range(region, chunk);
		struct merge_ref ref;

		if (!merge_has_metadata(region, range.start))
			continue;
		ref = merge_ref(region, range.start);
		for (; !err && ref.gfn.raw < range.end.raw; ref.gfn.raw++, ref.page++)
			err = visit(&ref);
	}
	return err;
}

/* Out of the index; should the region stay after all, the page is visited again. */
static int leave_index(const struct merge_ref *ref)
{
	unstable_remove(ref);
	merge_retry(ref);
	return 0;
}

int merge_unshare(const struct merge_ref *ref)
{
	struct addrspace *as = ref->region->as;
	struct space_page page = {.gfn = ref->gfn, .slot = primary_find(&as->primary, ref->gfn)};
	int err = 0;

	/* A page that keeps changing is being broken, or protected, by another CPU. */
	for (unsigned tries = 0; !err && page.slot && ppte_shared(ck_pr_load_64(page.slot));
	     tries++)
		err = tries < 8 ? space_break(as, &page) : ERR_BUSY;
	return err;
}

static struct merge_region *mark_dead(struct addrspace *as, const struct gfn_range *range)
{
	struct merge_region *region;

	spin_lock(&merge_world.lock);
	region = merge_first_region(as);
	for (; region && region->as == as; region = RB_NEXT(merge_spaces, , region)) {
		if (!region->dead && (!range || (region->range.start.raw == range->start.raw &&
						 region->range.end.raw == range->end.raw)))
			break;
	}
	region = region && region->as == as ? region : NULL;
	if (region)
		region->dead = true;
	spin_unlock(&merge_world.lock);
	return region;
}

static int remove_region(struct merge_region *region, bool unmerge)
{
	int err;

	merge_quiesce();
	(void)each_page(region, leave_index);
	merge_quiesce();
	err = unmerge ? each_page(region, merge_unshare) : 0;
	if (err) {
		region->dead = false;
		return err;
	}
	addrspace_settle(region->as);
	unlink_region(region);
	free_region(region);
	return 0;
}

int merge_remove(struct addrspace *as, struct gfn_range range)
{
	struct merge_region *region = mark_dead(as, &range);

	return region ? remove_region(region, true) : ERR_NOT_FOUND;
}

void merge_remove_all(struct addrspace *as)
{
	struct merge_region *region;

	while ((region = mark_dead(as, NULL)))
		CHECK(remove_region(region, false) == 0);
}
