/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary.c: the radix tree of primary PTEs. primary.h has the picture and the invariants.
 */
#include "mm/space/primary.h"
#include <lib/error.h>
#include "mm/frame/pool.h"

#define UNIFORM	   1ull
#define ENTRIES	   512
#define MAX_MARKED 2 /* 1 GiB: the largest leaf any format has */

/* In these the PTEs of a uniform block may always differ. */
#define NO_MATTER (PPTE_YOUNG | PPTE_PINNED | PPTE_PINS | PPTE_GENERATION)

static u64 *entry_page(u64 entry)
{
	return (u64 *)(uintptr_t)ALIGN_DOWN(entry, PAGE_SIZE);
}

static u64 *entry_at(u64 *page, struct gfn gfn, unsigned level)
{
	return &page[(gfn.raw >> (LEVEL_BITS * level)) & (ENTRIES - 1)];
}

int primary_init(struct primary *primary)
{
	void *root;
	int err = page_alloc(0, &root);

	if (err)
		return err;
	*primary = (struct primary){.root = root, .pages = 1, .no_matter = NO_MATTER};
	return 0;
}

static void free_below(u64 *page, unsigned level)
{
	for (unsigned i = 0; level && i < ENTRIES; i++)
		if (page[i])
			free_below(entry_page(page[i]), level - 1);
	page_free(page, 0);
}

void primary_fini(struct primary *primary)
{
	free_below(primary->root, PRIMARY_LEVELS - 1);
	*primary = (struct primary){0};
}

int primary_make(struct primary *primary, struct gfn gfn, ppte_t **slot)
{
	u64 *page = primary->root;

	for (unsigned level = PRIMARY_LEVELS - 1; level; level--) {
		u64 *entry = entry_at(page, gfn, level);

		if (!*entry) {
			void *fresh;
			int err = page_alloc(0, &fresh);

			if (err)
				return err;
			primary->pages++;
			ck_pr_fence_store(); /* pairs with the dependent loads of primary_find */
			ck_pr_store_64(entry, (uintptr_t)fresh);
		}
		page = entry_page(*entry);
	}
	*slot = entry_at(page, gfn, 0);
	return 0;
}

/* The directory entry of `level` above gfn; every page on the way exists. */
static u64 *directory_entry(const struct primary *primary, struct gfn gfn, unsigned level)
{
	u64 *page = primary->root;

	for (unsigned above = PRIMARY_LEVELS - 1; above > level; above--)
		page = entry_page(*entry_at(page, gfn, above));
	return entry_at(page, gfn, level);
}

void primary_unmark(struct primary *primary, struct gfn gfn)
{
	for (unsigned level = MAX_MARKED; level; level--) {
		u64 *entry = directory_entry(primary, gfn, level);

		if (*entry & UNIFORM) {
			ck_pr_store_64(entry, *entry & ~UNIFORM);
			primary->marks--;
		}
	}
}

static void mark(struct primary *primary, u64 *entry)
{
	primary->marks += !(*entry & UNIFORM);
	ck_pr_store_64(entry, *entry | UNIFORM);
}

ppte_t *primary_next(const struct primary *primary, struct gfn *gfn, struct gfn end)
{
	while (gfn->raw < end.raw) {
		u64 *page = primary->root;
		unsigned level = PRIMARY_LEVELS - 1;

		for (; level; level--) {
			u64 entry = ck_pr_load_64(entry_at(page, *gfn, level));

			if (!entry)
				break;
			page = entry_page(entry);
		}
		if (!level)
			return entry_at(page, *gfn, 0);
		gfn->raw = ALIGN_DOWN(gfn->raw, LEVEL_FRAMES(level)) + LEVEL_FRAMES(level);
	}
	return NULL;
}

ppte_t *primary_run(const struct primary *primary, struct gfn *gfn, struct gfn end, u64 *count)
{
	ppte_t *slot = primary_next(primary, gfn, end);

	*count = MIN(end.raw - gfn->raw, ENTRIES - gfn->raw % ENTRIES);
	return slot;
}

unsigned primary_uniform(const struct primary *primary, struct gfn gfn, unsigned max)
{
	if (!primary->marks)
		return 0;
	for (unsigned level = MIN(max, MAX_MARKED); level; level--)
		if (*directory_entry(primary, gfn, level) & UNIFORM)
			return level;
	return 0;
}

static bool like_first(const struct primary *primary, ppte_t first, ppte_t pte, u64 index)
{
	return ((pte ^ (first + (index << PAGE_SHIFT))) & ~primary->no_matter) == 0;
}

static bool leaf_uniform(const struct primary *primary, const u64 *leaf)
{
	if (ppte_state(leaf[0]) != PPTE_PRIVATE ||
	    !IS_ALIGNED(ppte_mfn(leaf[0]).raw, LEVEL_FRAMES(1)))
		return false;
	for (u64 i = 1; i < ENTRIES; i++)
		if (!like_first(primary, leaf[0], leaf[i], i))
			return false;
	return true;
}

/* All entries of a level-1 page UNIFORM, and the leaf pages one after another? */
static bool directory_uniform(const struct primary *primary, const u64 *page)
{
	ppte_t first;

	for (u64 i = 0; i < ENTRIES; i++)
		if (!(page[i] & UNIFORM))
			return false;
	first = entry_page(page[0])[0];
	if (!IS_ALIGNED(ppte_mfn(first).raw, LEVEL_FRAMES(2)))
		return false;
	for (u64 i = 1; i < ENTRIES; i++)
		if (!like_first(primary, first, entry_page(page[i])[0], i * ENTRIES))
			return false;
	return true;
}

void primary_mark_uniform(struct primary *primary, struct gfn gfn)
{
	u64 *entry = directory_entry(primary, gfn, 1);

	if (!leaf_uniform(primary, entry_page(*entry)))
		return;
	mark(primary, entry);
	entry = directory_entry(primary, gfn, 2);
	if (directory_uniform(primary, entry_page(*entry)))
		mark(primary, entry);
}

static void unmark_below(struct primary *primary, u64 *page, unsigned level)
{
	for (unsigned i = 0; primary->marks && i < ENTRIES; i++) {
		if (page[i] & UNIFORM) {
			ck_pr_store_64(&page[i], page[i] & ~UNIFORM);
			primary->marks--;
		}
		if (level > 1 && page[i])
			unmark_below(primary, entry_page(page[i]), level - 1);
	}
}

void primary_ignore_soft_dirty(struct primary *primary, bool ignore)
{
	bool ignored = primary->no_matter & PPTE_SOFT_DIRTY;

	primary->no_matter = NO_MATTER | (ignore ? PPTE_SOFT_DIRTY : 0);
	if (ignored && !ignore)
		unmark_below(primary, primary->root, PRIMARY_LEVELS - 1);
}
