/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c: which engine a domain has: Kconfig's, the command line's, or another from now on.
 *
 * What is shared stays shared: its nodes are put into the new index, by a content that cannot
 * change. What waits leaves the index and is read again by the next pass, which puts it into the
 * new one: so nothing is looked up in memory that may change at that moment, and no page is lost,
 * for a page that is not in the index and not settled is looked at.
 *
 *     switch                                        a scanner, or a guest that excludes a page
 *     ------                                        ----------------------------------------
 *     domain->lock                                  finds the old engine, or waits for the lock
 *       new index (may fail: nothing has changed)
 *       waiting pages leave the index: WAITING
 *       old index freed
 *       shared nodes into the new one
 *     unlock                                        finds the new engine; its page is in no index
 *
 * So no visit has to end first: between two holds of the lock a visitor keeps nothing of an index
 * in hand, only pages and frames that it holds.
 */
#include <lib/error.h>
#include <lib/string.h>
#include "mm/merge/private.h"

static const struct merge_engine *const engines[] = {&merge_engine_tree, &merge_engine_hash};

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
	return IS_ENABLED(CONFIG_MERGE_ENGINE_TREE) ? &merge_engine_tree : &merge_engine_hash;
}

int merge_configure(const struct merge_engine *engine, const struct merge_limits *limits)
{
	int err = limits->cap < 2 ? ERR_INVALID : 0;

	spin_lock(&merge_areas_lock);
	if (merge_world.count)
		err = ERR_BUSY;
	if (!err) {
		merge_world.engine = engine;
		merge_world.limits = *limits;
	}
	spin_unlock(&merge_areas_lock);
	return err;
}

/*
 * An empty index of the engine, large enough for the domain; the domain has its old one, and its
 * nodes, in any case.
 */
static int new_index(struct merge_domain *domain, const struct merge_engine *engine, void **out)
{
	struct stable *heads = domain->heads;
	void *old = domain->index;
	int err;

	domain->heads = NULL;
	err = engine->init(domain);
	if (!err) {
		err = engine->grow(domain, domain->pages);
		if (err)
			engine->fini(domain);
		else
			*out = domain->index;
	}
	domain->index = old;
	domain->heads = heads;
	return err;
}

/* A page that waited is looked at again, and meanwhile is in no index. */
static void stop_waiting(struct merge_area *area, struct gfn gfn)
{
	if (page_change(merge_note(area, gfn), PAGE_INDEXED, 0) & PAGE_INDEXED)
		(void)merge_change_reason(area, gfn, BIT(MERGE_UNIQUE) | BIT(MERGE_LARGE),
					  MERGE_WAITING, 0, 0);
}

static void empty_area(struct merge_area *area)
{
	for (u32 chunk = 0; chunk < area->chunks; chunk++) {
		struct gfn_range range = merge_chunk_range(area, chunk);

		if (!merge_has_note(area, range.start))
			continue;
		for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++)
			stop_waiting(area, gfn);
	}
}

/* Cannot fail. */
static void move_to(struct merge_domain *domain, const struct merge_engine *engine, void *index)
{
	for (unsigned i = 0; i < merge_world.top; i++) {
		struct merge_area *area = merge_area_at(i);

		if (area && area->domain == domain)
			empty_area(area);
	}
	domain->engine->fini(domain);
	domain->engine = engine;
	domain->index = index;
	for (struct stable *head = domain->heads; head; head = head->next) {
		const struct merge_key key = {head->tag, merge_content(head->mfn)};

		engine->stable_add(domain, head, &key);
	}
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

	spin_lock(&merge_areas_lock);
	domain = merge_domain_find(number);
	if (domain)
		err = switch_domain(domain, engine);
	spin_unlock(&merge_areas_lock);
	return err;
}
