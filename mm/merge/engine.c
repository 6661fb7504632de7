/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c: the engines that there are, and a domain's change from one to another.
 *
 * The table is the only place that lists engines: the command line (merge=NAME), Kconfig's default
 * and a guest's MERGE_ENGINE find them here by name or by place.
 *
 * Stable nodes move to the new index: their contents cannot change. Unstable pages leave the index
 * and are looked up again in the next pass, so no search reads a content that may change meanwhile;
 * and none is lost, because a page that is neither indexed nor settled is visited.
 *
 *     switch                                        a scanner, or a guest's UNMERGEABLE
 *     ------                                        -----------------------------------
 *     domain->lock                                  finds the old engine, or waits for the lock
 *       new index (may fail: nothing has changed)
 *       unstable pages leave the index: CANDIDATE
 *       old index freed
 *       stable nodes into the new one
 *     unlock                                        finds the new engine; its page is in no index
 *
 * No visit has to end first: between two holds of the lock a visitor keeps nothing of an index,
 * only pages and frames that it holds.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <lib/string.h>

/* By the number that guests use (enum hypercall_engine). */
static const struct merge_engine *const engines[] = {&merge_engine_tree, &merge_engine_hash};

const struct merge_engine *merge_engine_at(u64 number)
{
	return number < ARRAY_SIZE(engines) ? engines[number] : NULL;
}

unsigned merge_engine_number(const struct merge_engine *engine)
{
	unsigned number = 0;

	while (engines[number] != engine)
		number++;
	return number;
}

const char *merge_engine_name(const struct merge_engine *engine)
{
	return engine->name;
}

const struct merge_engine *merge_engine_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		if (strlen(engines[i]->name) == len && memcmp(engines[i]->name, name, len) == 0)
			return engines[i];
	}
	return NULL;
}

const struct merge_engine *merge_engine_default(void)
{
	return merge_engine_find(CONFIG_MERGE_ENGINE, strlen(CONFIG_MERGE_ENGINE));
}

int merge_configure(const struct merge_engine *engine, const struct merge_limits *limits)
{
	int err = limits->cap < 2 ? ERR_INVALID : 0;

	spin_lock(&merge_regions_lock);
	if (merge_world.count)
		err = ERR_BUSY;
	if (!err) {
		merge_world.engine = engine;
		merge_world.limits = *limits;
	}
	spin_unlock(&merge_regions_lock);
	return err;
}

/* Room in the new index for all pages, and for the heads, which it does not have yet. */
static int prepare_index(struct merge_domain *domain, const struct merge_engine *engine)
{
	const struct stable_nodes nodes = domain->nodes;
	int err;

	domain->nodes = (struct stable_nodes){.directory = NULL};
	err = engine->grow(domain, domain->pages);
	domain->nodes = nodes;
	if (!engine->stable_prepare)
		return err;
	NODES_FOREACH_HEAD (head, &domain->nodes) {
		if (!err)
			err = engine->stable_prepare(domain, head);
	}
	return err;
}

/* An empty index of the engine with room for the domain, which keeps its old one and its nodes. */
static int new_index(struct merge_domain *domain, const struct merge_engine *engine, void **out)
{
	void *old = domain->index;
	int err = engine->init(domain);

	if (err)
		return err;
	err = prepare_index(domain, engine);
	if (err)
		engine->fini(domain);
	else
		*out = domain->index;
	domain->index = old;
	return err;
}

static void empty_chunk(struct merge_region *region, struct gfn_range range)
{
	struct merge_ref ref = merge_ref(region, range.start);

	for (; ref.gfn.raw < range.end.raw; ref.gfn.raw++, ref.page++)
		if (page_change(ref.page, PAGE_INDEXED, 0) & PAGE_INDEXED)
			merge_retry(&ref);
}

/* Its unstable pages are in no index any more. */
static void empty_region(struct merge_region *region)
{
	for (u32 chunk = 0; chunk < region->chunks; chunk++) {
		struct gfn_range range = merge_chunk_range(region, chunk);

		if (merge_has_metadata(region, range.start))
			empty_chunk(region, range);
	}
}

/* Cannot fail. */
static void move_to(struct merge_domain *domain, const struct merge_engine *engine, void *index)
{
	struct merge_region *region;

	RB_FOREACH (region, merge_numbers, &domain->regions)
		empty_region(region);
	domain->engine->fini(domain);
	domain->engine = engine;
	domain->index = index;
	NODES_FOREACH_HEAD (head, &domain->nodes)
		engine->stable_add(domain, head);
}

static int switch_domain(struct merge_domain *domain, const struct merge_engine *engine)
{
	void *index;
	int err = 0;

	spin_lock(&domain->lock);
	if (domain->engine != engine)
		err = new_index(domain, engine, &index);
	if (!err && domain->engine != engine)
		move_to(domain, engine, index);
	spin_unlock(&domain->lock);
	return err;
}

int merge_switch(u32 number, const struct merge_engine *engine)
{
	struct merge_domain *domain;
	int err = ERR_NOT_FOUND;

	spin_lock(&merge_regions_lock);
	domain = merge_domain_find(number);
	if (domain)
		err = switch_domain(domain, engine);
	spin_unlock(&merge_regions_lock);
	return err;
}
