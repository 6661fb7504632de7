/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.c: the engine `tree`: both indexes as red-black trees ordered by content, as KSM has them.
 *
 * Why two trees: the content of a stable frame cannot change, so a search in the stable tree is
 * always right. An unstable page is not write-protected, so its place may be wrong by the time of a
 * search, which then misses it and costs a merge; it never finds a wrong one, because a match is
 * compared again under write protection. KSM throws the unstable tree away with every pass; here a
 * page that was written leaves it, because the dirty bit says so.
 *
 * Each tree has its links in a table by number, of a page or of a stable node. A page of it comes
 * with the first link in it:
 *
 *     directory | * | - | * |          *: a page of 102 links of 40 bytes
 *
 * TREE-1  Whatever the contents do meanwhile, the links stay a red-black tree: contents choose
 *         places, not shapes. So a search takes at most 2 log2(n + 1) compares.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <lib/string.h>

struct tree_link {
	RB_ENTRY(tree_link) entry;
	u32 number;
};

#define LINKS_A_PAGE (PAGE_SIZE / sizeof(struct tree_link))

/* As memcmp of the key's content and that of a number. */
typedef int tree_compare(const struct merge_domain *domain, const struct merge_key *key,
			 u32 number);

/* directory: 2^order pages of pointers to pages of links, NULL where there was no link yet. */
struct tree {
	RB_HEAD(tree_links, tree_link)
	root;
	tree_compare *compare;
	struct tree_link **directory;
	unsigned order;
	u64 pages;
};

struct tree_index {
	struct tree stable, unstable;
};

static int stable_compare(const struct merge_domain *domain, const struct merge_key *key,
			  u32 number)
{
	merge_count(compares, 1);
	return memcmp(key->content, merge_content(node_mfn(node_at(&domain->nodes, number))),
		      PAGE_SIZE);
}

/* Insertion is tree_add()'s, which has the content at hand; this order is not used. */
static int link_order(const struct tree_link *a, const struct tree_link *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

RB_GENERATE_STATIC(tree_links, tree_link, entry, link_order)

static struct tree_index *tree_of(const struct merge_domain *domain)
{
	return domain->index;
}

/* --- The links of a tree --------------------------------------------------------------------- */

static u64 tree_entries(const struct tree *tree)
{
	return (PAGE_SIZE << tree->order) / sizeof(*tree->directory);
}

static int tree_begin(struct tree *tree, tree_compare *compare)
{
	void *directory;
	int err = page_alloc(0, &directory);

	if (!err)
		*tree = (struct tree){.compare = compare, .directory = directory};
	return err;
}

static void tree_end(struct tree *tree)
{
	for (u64 i = 0; i < tree_entries(tree); i++)
		if (tree->directory[i])
			page_free(tree->directory[i], 0);
	page_free(tree->directory, tree->order);
}

/* Room for numbers below `count`: a larger directory takes over the entries of the old one. */
static int tree_extend(struct tree *tree, u32 count)
{
	u64 bytes = (count / LINKS_A_PAGE + 1) * sizeof(*tree->directory);
	unsigned order = page_order(bytes);
	void *larger;
	int err;

	if (order <= tree->order)
		return 0;
	err = page_alloc(order, &larger);
	if (err)
		return err;
	memcpy(larger, tree->directory, PAGE_SIZE << tree->order);
	page_free(tree->directory, tree->order);
	tree->directory = larger;
	tree->order = order;
	return 0;
}

/* The page of the number's link is there. ERR_NO_MEMORY: it is not. */
static int tree_prepare(struct tree *tree, u32 number)
{
	struct tree_link **page = &tree->directory[number / LINKS_A_PAGE];
	void *memory;
	int err;

	if (*page)
		return 0;
	err = page_alloc(0, &memory);
	if (err)
		return err;
	*page = memory;
	tree->pages++;
	return 0;
}

static struct tree_link *tree_link_of(const struct tree *tree, u32 number)
{
	return &tree->directory[number / LINKS_A_PAGE][number % LINKS_A_PAGE];
}

static u32 tree_find(const struct merge_domain *domain, const struct tree *tree,
		     const struct merge_key *key, u32 none)
{
	const struct tree_link *link = RB_ROOT(&tree->root);

	while (link) {
		int order = tree->compare(domain, key, link->number);

		if (order == 0)
			return link->number;
		link = order < 0 ? RB_LEFT(link, entry) : RB_RIGHT(link, entry);
	}
	return none;
}

/* tree_prepare() has returned 0 for the number. */
static void tree_add(const struct merge_domain *domain, struct tree *tree,
		     const struct merge_key *key, u32 number)
{
	struct tree_link **place = &RB_ROOT(&tree->root), *parent = NULL;
	struct tree_link *link = tree_link_of(tree, number);

	while (*place) {
		parent = *place;
		place = tree->compare(domain, key, parent->number) < 0 ? &RB_LEFT(parent, entry)
								       : &RB_RIGHT(parent, entry);
	}
	link->number = number;
	RB_SET(link, parent, entry);
	*place = link;
	tree_links_RB_INSERT_COLOR(&tree->root, link);
}

static void tree_remove(struct tree *tree, u32 number)
{
	RB_REMOVE(tree_links, &tree->root, tree_link_of(tree, number));
}

static u64 tree_pages(const struct tree *tree)
{
	return BIT(tree->order) + tree->pages;
}

/* --- The engine ------------------------------------------------------------------------------ */

static int tree_init(struct merge_domain *domain)
{
	struct tree_index *index;
	void *memory;
	int err = page_alloc(0, &memory);

	if (err)
		return err;
	index = memory;
	err = tree_begin(&index->stable, stable_compare);
	if (err) {
		page_free(index, 0);
		return err;
	}
	err = tree_begin(&index->unstable, unstable_compare);
	if (err) {
		tree_end(&index->stable);
		page_free(index, 0);
		return err;
	}
	domain->index = index;
	return 0;
}

static void tree_fini(struct merge_domain *domain)
{
	struct tree_index *index = tree_of(domain);

	tree_end(&index->stable);
	tree_end(&index->unstable);
	page_free(index, 0);
}

static int tree_grow(struct merge_domain *domain, u32 pages)
{
	return tree_extend(&tree_of(domain)->unstable, pages);
}

static u32 tree_stable_find(struct merge_domain *domain, const struct merge_key *key)
{
	return tree_find(domain, &tree_of(domain)->stable, key, 0);
}

static int tree_stable_prepare(struct merge_domain *domain, u32 head)
{
	struct tree *tree = &tree_of(domain)->stable;
	int err = tree_extend(tree, head + 1);

	return err ? err : tree_prepare(tree, head);
}

static void tree_stable_add(struct merge_domain *domain, u32 head)
{
	const struct merge_key key = {
		.content = merge_content(node_mfn(node_at(&domain->nodes, head)))};

	tree_add(domain, &tree_of(domain)->stable, &key, head);
}

static void tree_stable_remove(struct merge_domain *domain, u32 head)
{
	tree_remove(&tree_of(domain)->stable, head);
}

static u32 tree_unstable_find(struct merge_domain *domain, const struct merge_key *key)
{
	return tree_find(domain, &tree_of(domain)->unstable, key, MERGE_PAGE_NONE);
}

static int tree_unstable_add(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct tree *tree = &tree_of(domain)->unstable;
	int err = tree_prepare(tree, number);

	if (!err)
		tree_add(domain, tree, key, number);
	return err;
}

static void tree_unstable_remove(struct merge_domain *domain, u32 number)
{
	tree_remove(&tree_of(domain)->unstable, number);
}

static u64 tree_bytes(const struct merge_domain *domain)
{
	const struct tree_index *index = tree_of(domain);

	return (1 + tree_pages(&index->stable) + tree_pages(&index->unstable)) * PAGE_SIZE;
}

const struct merge_engine merge_engine_tree = {
	.name = "tree",
	.init = tree_init,
	.fini = tree_fini,
	.grow = tree_grow,
	.stable_find = tree_stable_find,
	.stable_prepare = tree_stable_prepare,
	.stable_add = tree_stable_add,
	.stable_remove = tree_stable_remove,
	.unstable_find = tree_unstable_find,
	.unstable_add = tree_unstable_add,
	.unstable_remove = tree_unstable_remove,
	.bytes = tree_bytes,
};
