/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_tree.c: the engine `tree`: both indexes as red-black trees ordered by content, after KSM.
 *
 * Why two trees: the content of a shared frame cannot change, so a search in the stable tree never goes wrong. A page that
 * waits is not write-protected, so its place may be wrong by the time somebody looks; a search may then miss it, which
 * costs a merge, and never finds a wrong one, because what it finds is compared again under guard. KSM throws the unstable
 * tree away with every pass; here a page that was written leaves it, because the dirty bit tells.
 *
 * Waiting pages have no node: their links are three page numbers in a table by page number, 12 bytes each, the colour in
 * the top bit of the parent's.
 *
 * TREE-1  Whatever the contents do meanwhile, the links stay a red-black tree: contents choose places, not shapes.
 */
#include <lib/error.h>
#include <lib/string.h>
#include "merge_private.h"

#define NIL	   0x7fffffffu
#define RED	   0x80000000u
#define LINKS_PAGE 341u /* links in a page */
#define DIRECTORY  (PAGE_SIZE / sizeof(void *))

enum side { LEFT, RIGHT };

struct link {
	u32 child[2];
	u32 parent; /* and RED */
};

/* links: a directory of directories of pages of links. */
struct tree_index {
	RB_HEAD(stable_tree, stable)
	stable;
	u32 root;
	u32 pages; /* of links that there are */
	struct link ***links;
};

static int by_content(struct stable *a, struct stable *b)
{
	merge_count(compares, 1);
	return memcmp(merge_content(a->mfn), merge_content(b->mfn), PAGE_SIZE);
}

RB_GENERATE_STATIC(stable_tree, stable, tree, by_content)

static struct tree_index *index_of(const struct merge_domain *domain)
{
	return domain->index;
}

static int tree_init(struct merge_domain *domain)
{
	struct tree_index *index;
	void *memory, *links;
	int err = page_alloc(0, &memory);

	if (err)
		return err;
	err = page_alloc(0, &links);
	if (err) {
		page_free(memory, 0);
		return err;
	}
	index = memory;
	RB_INIT(&index->stable);
	index->root = NIL;
	index->links = links;
	domain->index = index;
	return 0;
}

static void tree_fini(struct merge_domain *domain)
{
	struct tree_index *index = index_of(domain);

	for (u32 i = 0; i < DIRECTORY && index->links[i]; i++) {
		for (u32 j = 0; j < DIRECTORY && index->links[i][j]; j++)
			page_free(index->links[i][j], 0);
		page_free(index->links[i], 0);
	}
	page_free(index->links, 0);
	page_free(index, 0);
}

static int add_links(struct tree_index *index)
{
	struct link ***directory = &index->links[index->pages / DIRECTORY];
	void *memory;
	int err;

	if (index->pages / DIRECTORY >= DIRECTORY)
		return ERR_NO_MEMORY;
	if (!*directory) {
		err = page_alloc(0, &memory);
		if (err)
			return err;
		*directory = memory;
	}
	err = page_alloc(0, &memory);
	if (err)
		return err;
	(*directory)[index->pages % DIRECTORY] = memory;
	index->pages++;
	return 0;
}

static int tree_grow(struct merge_domain *domain, u32 pages)
{
	struct tree_index *index = index_of(domain);
	int err = 0;

	while (!err && (u64)index->pages * LINKS_PAGE < pages)
		err = add_links(index);
	return err;
}

static struct stable *tree_stable_find(struct merge_domain *domain, const struct merge_key *key)
{
	struct stable *head = RB_ROOT(&index_of(domain)->stable);

	while (head) {
		int order = memcmp(key->content, merge_content(head->mfn), PAGE_SIZE);

		merge_count(compares, 1);
		if (order == 0)
			return head;
		head = order < 0 ? RB_LEFT(head, tree) : RB_RIGHT(head, tree);
	}
	return NULL;
}

static void tree_stable_add(struct merge_domain *domain, struct stable *head,
			    const struct merge_key *key)
{
	(void)key;
	RB_INSERT(stable_tree, &index_of(domain)->stable, head);
}

static void tree_stable_remove(struct merge_domain *domain, struct stable *head)
{
	RB_REMOVE(stable_tree, &index_of(domain)->stable, head);
}

/* --- The tree of page numbers --------------------------------------------------------------------------------------- */

static struct link *at(const struct tree_index *index, u32 number)
{
	u32 page = number / LINKS_PAGE;

	return &index->links[page / DIRECTORY][page % DIRECTORY][number % LINKS_PAGE];
}

static u32 parent(const struct tree_index *t, u32 n)
{
	return at(t, n)->parent & ~RED;
}

static void set_parent(struct tree_index *t, u32 n, u32 to)
{
	at(t, n)->parent = (at(t, n)->parent & RED) | to;
}

static bool is_red(const struct tree_index *t, u32 n)
{
	return n != NIL && at(t, n)->parent & RED;
}

static void set_red(struct tree_index *t, u32 n, bool red)
{
	at(t, n)->parent = (at(t, n)->parent & ~RED) | (red ? RED : 0);
}

static u32 child(const struct tree_index *t, u32 n, enum side side)
{
	return at(t, n)->child[side];
}

static enum side side_of(const struct tree_index *t, u32 n)
{
	return child(t, parent(t, n), RIGHT) == n ? RIGHT : LEFT;
}

/* `with` takes the place of `n` below n's parent. */
static void replace(struct tree_index *t, u32 n, u32 with)
{
	u32 up = parent(t, n);

	if (up == NIL)
		t->root = with;
	else
		at(t, up)->child[side_of(t, n)] = with;
	if (with != NIL)
		set_parent(t, with, up);
}

/* n goes down to `side`; its child on the other side comes up. */
static void rotate(struct tree_index *t, u32 n, enum side side)
{
	u32 up = child(t, n, !side), inner = child(t, up, side);

	replace(t, n, up);
	at(t, n)->child[!side] = inner;
	if (inner != NIL)
		set_parent(t, inner, n);
	at(t, up)->child[side] = n;
	set_parent(t, n, up);
}

static void fix_insertion(struct tree_index *t, u32 n)
{
	while (is_red(t, parent(t, n)) && parent(t, n) != NIL) {
		u32 p = parent(t, n), g = parent(t, p), uncle;
		enum side side = side_of(t, p);

		uncle = child(t, g, !side);
		if (is_red(t, uncle)) {
			set_red(t, p, false);
			set_red(t, uncle, false);
			set_red(t, g, true);
			n = g;
			continue;
		}
		if (side_of(t, n) != side) {
			rotate(t, p, side);
			p = n;
		}
		set_red(t, p, false);
		set_red(t, g, true);
		rotate(t, g, !side);
		break;
	}
	set_red(t, t->root, false);
}

/* The subtree at `n`, below `p`, is one black short. */
static void fix_removal(struct tree_index *t, u32 n, u32 p)
{
	while (n != t->root && !is_red(t, n)) {
		enum side side = child(t, p, LEFT) == n ? LEFT : RIGHT;
		u32 s = child(t, p, !side);

		if (is_red(t, s)) {
			set_red(t, s, false);
			set_red(t, p, true);
			rotate(t, p, side);
			s = child(t, p, !side);
		}
		if (!is_red(t, child(t, s, LEFT)) && !is_red(t, child(t, s, RIGHT))) {
			set_red(t, s, true);
			n = p;
			p = parent(t, n);
			continue;
		}
		if (!is_red(t, child(t, s, !side))) {
			set_red(t, child(t, s, side), false);
			set_red(t, s, true);
			rotate(t, s, !side);
			s = child(t, p, !side);
		}
		set_red(t, s, is_red(t, p));
		set_red(t, p, false);
		set_red(t, child(t, s, !side), false);
		rotate(t, p, side);
		n = t->root;
	}
	if (n != NIL)
		set_red(t, n, false);
}

/* The successor takes the place and the colour of a node with two children. */
static void swap_with_successor(struct tree_index *t, u32 n)
{
	u32 s = child(t, n, RIGHT), s_parent, s_right;
	bool s_red;

	while (child(t, s, LEFT) != NIL)
		s = child(t, s, LEFT);
	s_parent = parent(t, s);
	s_right = child(t, s, RIGHT);
	s_red = is_red(t, s);

	replace(t, n, s);
	set_red(t, s, is_red(t, n));
	at(t, s)->child[LEFT] = child(t, n, LEFT);
	set_parent(t, child(t, n, LEFT), s);
	if (s_parent == n) {
		at(t, s)->child[RIGHT] = n;
		set_parent(t, n, s);
	} else {
		at(t, s)->child[RIGHT] = child(t, n, RIGHT);
		set_parent(t, child(t, n, RIGHT), s);
		at(t, s_parent)->child[LEFT] = n;
		set_parent(t, n, s_parent);
	}
	at(t, n)->child[LEFT] = NIL;
	at(t, n)->child[RIGHT] = s_right;
	if (s_right != NIL)
		set_parent(t, s_right, n);
	set_red(t, n, s_red);
}

static void tree_waiting_remove(struct merge_domain *domain, u32 number)
{
	struct tree_index *t = index_of(domain);
	u32 only, up;
	bool black;

	if (child(t, number, LEFT) != NIL && child(t, number, RIGHT) != NIL)
		swap_with_successor(t, number);
	only = child(t, number, LEFT) != NIL ? child(t, number, LEFT) : child(t, number, RIGHT);
	up = parent(t, number);
	black = !is_red(t, number);
	replace(t, number, only);
	if (black && t->root != NIL)
		fix_removal(t, only, up);
}

static u32 tree_waiting_find(struct merge_domain *domain, const struct merge_key *key)
{
	struct tree_index *t = index_of(domain);
	u32 n = t->root;

	while (n != NIL) {
		int order = merge_waiting_compare(domain, key, n);

		if (order == 0)
			return n;
		n = child(t, n, order < 0 ? LEFT : RIGHT);
	}
	return MERGE_PAGE_NONE;
}

static int tree_waiting_add(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct tree_index *t = index_of(domain);
	u32 n = t->root, up = NIL;
	enum side side = LEFT;

	while (n != NIL) {
		up = n;
		side = merge_waiting_compare(domain, key, n) < 0 ? LEFT : RIGHT;
		n = child(t, n, side);
	}
	*at(t, number) = (struct link){{NIL, NIL}, up | RED};
	if (up == NIL)
		t->root = number;
	else
		at(t, up)->child[side] = number;
	fix_insertion(t, number);
	return 0;
}

static u64 tree_bytes(const struct merge_domain *domain)
{
	const struct tree_index *index = domain->index;

	return ((u64)index->pages + index->pages / DIRECTORY + 2) * PAGE_SIZE;
}

const struct merge_engine merge_engine_tree = {
	.name = "tree",
	.init = tree_init,
	.fini = tree_fini,
	.grow = tree_grow,
	.stable_find = tree_stable_find,
	.stable_add = tree_stable_add,
	.stable_remove = tree_stable_remove,
	.waiting_find = tree_waiting_find,
	.waiting_add = tree_waiting_add,
	.waiting_remove = tree_waiting_remove,
	.bytes = tree_bytes,
};
