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
 * An unstable page has a node, in a table by page number. A page of it comes with the first node in
 * it:
 *
 *     directory | * | - | * |          *: a page of 102 nodes of 40 bytes
 *
 * TREE-1  Whatever the contents do meanwhile, the links stay a red-black tree: contents choose
 *         places, not shapes. So a search takes at most 2 log2(n + 1) compares.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <lib/string.h>

struct unstable {
	RB_ENTRY(unstable) link;
	u32 number;
};

#define NODES_A_PAGE (PAGE_SIZE / sizeof(struct unstable))

/* directory: 2^order pages of pointers to pages of nodes, NULL where no page was unstable yet. */
struct tree_index {
	RB_HEAD(stable_tree, stable)
	stable;
	RB_HEAD(unstable_tree, unstable)
	unstable;
	struct unstable **directory;
	unsigned order;
	u64 node_pages;
};

static int stable_compare(const struct stable *a, const struct stable *b)
{
	merge_count(compares, 1);
	return memcmp(merge_content(a->mfn), merge_content(b->mfn), PAGE_SIZE);
}

RB_GENERATE_STATIC(stable_tree, stable, tree, stable_compare)

/* Insertion is tree_unstable_add()'s, which has the content at hand; this order is not used. */
static int unstable_order(const struct unstable *a, const struct unstable *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

RB_GENERATE_STATIC(unstable_tree, unstable, link, unstable_order)

static struct tree_index *tree_of(const struct merge_domain *domain)
{
	return domain->index;
}

static u64 directory_entries(const struct tree_index *index)
{
	return (PAGE_SIZE << index->order) / sizeof(*index->directory);
}

static int tree_init(struct merge_domain *domain)
{
	struct tree_index *index;
	void *memory, *directory;
	int err = page_alloc(0, &memory);

	if (err)
		return err;
	err = page_alloc(0, &directory);
	if (err) {
		page_free(memory, 0);
		return err;
	}
	index = memory;
	index->directory = directory;
	domain->index = index;
	return 0;
}

static void tree_fini(struct merge_domain *domain)
{
	struct tree_index *index = tree_of(domain);

	for (u64 i = 0; i < directory_entries(index); i++)
		if (index->directory[i])
			page_free(index->directory[i], 0);
	page_free(index->directory, index->order);
	page_free(index, 0);
}

/* A larger directory takes over the entries of the old one. */
static int tree_grow(struct merge_domain *domain, u32 pages)
{
	struct tree_index *index = tree_of(domain);
	u64 bytes = (pages / NODES_A_PAGE + 1) * sizeof(*index->directory);
	unsigned order = page_order(bytes);
	void *larger;
	int err;

	if (order <= index->order)
		return 0;
	err = page_alloc(order, &larger);
	if (err)
		return err;
	memcpy(larger, index->directory, PAGE_SIZE << index->order);
	page_free(index->directory, index->order);
	index->directory = larger;
	index->order = order;
	return 0;
}

static struct stable *tree_stable_find(struct merge_domain *domain, const struct merge_key *key)
{
	struct stable *head = RB_ROOT(&tree_of(domain)->stable);

	while (head) {
		int order = memcmp(key->content, merge_content(head->mfn), PAGE_SIZE);

		merge_count(compares, 1);
		if (order == 0)
			return head;
		head = order < 0 ? RB_LEFT(head, tree) : RB_RIGHT(head, tree);
	}
	return NULL;
}

static void tree_stable_add(struct merge_domain *domain, struct stable *head)
{
	RB_INSERT(stable_tree, &tree_of(domain)->stable, head);
}

static void tree_stable_remove(struct merge_domain *domain, struct stable *head)
{
	RB_REMOVE(stable_tree, &tree_of(domain)->stable, head);
}

static u32 tree_unstable_find(struct merge_domain *domain, const struct merge_key *key)
{
	struct unstable *node = RB_ROOT(&tree_of(domain)->unstable);

	while (node) {
		int order = unstable_compare(domain, key, node->number);

		if (order == 0)
			return node->number;
		node = order < 0 ? RB_LEFT(node, link) : RB_RIGHT(node, link);
	}
	return MERGE_PAGE_NONE;
}

/* The node of a page number. ERR_NO_MEMORY: it has none. */
static int tree_node(struct tree_index *index, u32 number, struct unstable **node)
{
	struct unstable **page = &index->directory[number / NODES_A_PAGE];
	void *memory;
	int err = 0;

	if (!*page) {
		err = page_alloc(0, &memory);
		if (err)
			return err;
		*page = memory;
		index->node_pages++;
	}
	*node = &(*page)[number % NODES_A_PAGE];
	return 0;
}

static int tree_unstable_add(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct tree_index *index = tree_of(domain);
	struct unstable **place = &RB_ROOT(&index->unstable), *parent = NULL, *node;
	int err = tree_node(index, number, &node);

	if (err)
		return err;
	while (*place) {
		parent = *place;
		place = unstable_compare(domain, key, parent->number) < 0 ? &RB_LEFT(parent, link)
									  : &RB_RIGHT(parent, link);
	}
	node->number = number;
	RB_SET(node, parent, link);
	*place = node;
	unstable_tree_RB_INSERT_COLOR(&index->unstable, node);
	return 0;
}

static void tree_unstable_remove(struct merge_domain *domain, u32 number)
{
	struct tree_index *index = tree_of(domain);
	struct unstable *page = index->directory[number / NODES_A_PAGE];

	RB_REMOVE(unstable_tree, &index->unstable, &page[number % NODES_A_PAGE]);
}

static u64 tree_bytes(const struct merge_domain *domain)
{
	const struct tree_index *index = tree_of(domain);

	return (1 + BIT(index->order) + index->node_pages) * PAGE_SIZE;
}

const struct merge_engine merge_engine_tree = {
	.name = "tree",
	.init = tree_init,
	.fini = tree_fini,
	.grow = tree_grow,
	.stable_find = tree_stable_find,
	.stable_add = tree_stable_add,
	.stable_remove = tree_stable_remove,
	.unstable_find = tree_unstable_find,
	.unstable_add = tree_unstable_add,
	.unstable_remove = tree_unstable_remove,
	.bytes = tree_bytes,
};
