/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.c: the engine `tree`: both indexes as red-black trees ordered by content, after KSM.
 *
 * Why two trees: the content of a shared frame cannot change, so a search in the stable tree never
 * goes wrong. A page that waits is not write-protected, so its place may be wrong by the time
 * somebody looks; a search may then miss it, which costs a merge, and never finds a wrong one,
 * because what it finds is compared again under guard. KSM throws the unstable tree away with every
 * pass; here a page that was written leaves it, because the dirty bit tells.
 *
 * Waiting pages have no node. Their links are three page numbers and a colour in a table by page
 * number. There is an entry for each page, whether it waits or not, so its size is what counts
 * (MERGE-4): a number has 29 bits, the low 24 of it in three bytes and the high 5 beside those of
 * the others.
 *
 *     byte  0        3        6        9                11
 *           | left   | right  | parent | c ppppp rrrrr lllll |        c: red
 *
 *     index | head | page of links | page of links | ...              372 links fill 4092 bytes of a page
 *
 * TREE-1  Whatever the contents do meanwhile, the links stay a red-black tree: contents choose
 *         places, not shapes.
 */
#include <lib/error.h>
#include <lib/string.h>
#include "mm/merge/private.h"

enum way { LEFT, RIGHT, PARENT };

#define HIGH_BITS  5u
#define NIL	   MERGE_PAGES_MAX /* no page has this number */
#define RED	   0x8000u
#define LINKS_PAGE (PAGE_SIZE / sizeof(struct link)) /* links in a page */

struct link {
	u8 low[3][3]; /* by way, the lowest byte first */
	u16 high;     /* and RED */
} __packed;
_Static_assert(sizeof(struct link) == 11, "MERGE-4 counts on it");
_Static_assert(MERGE_PAGES_MAX == BIT(24 + HIGH_BITS) - 1, "a number, and none, fit a link");

/*
 * The head and the directory of the pages of links are one block of 2^order pages, which moves when
 * it grows.
 */
struct tree_index {
	RB_HEAD(stable_tree, stable)
	stable;
	u32 root;
	u32 pages; /* of links that there are */
	unsigned order;
	struct link *page[];
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
	void *memory;
	int err = page_alloc(0, &memory);

	if (err)
		return err;
	index = memory;
	RB_INIT(&index->stable);
	index->root = NIL;
	domain->index = index;
	return 0;
}

static void tree_fini(struct merge_domain *domain)
{
	struct tree_index *index = index_of(domain);

	for (u32 i = 0; i < index->pages; i++)
		page_free(index->page[i], 0);
	page_free(index, index->order);
}

/* How many pages of links a directory of that size has room for. */
static u32 room(unsigned order)
{
	return (u32)(((PAGE_SIZE << order) - sizeof(struct tree_index)) / sizeof(struct link *));
}

static int double_directory(struct merge_domain *domain)
{
	struct tree_index *old = index_of(domain), *larger;
	void *memory;
	int err = page_alloc(old->order + 1, &memory);

	if (err)
		return err;
	larger = memory;
	memcpy(larger, old, PAGE_SIZE << old->order);
	larger->order++;
	domain->index = larger;
	page_free(old, old->order);
	return 0;
}

static int add_links(struct merge_domain *domain)
{
	struct tree_index *index;
	void *memory;
	int err = 0;

	if (index_of(domain)->pages == room(index_of(domain)->order))
		err = double_directory(domain);
	if (!err)
		err = page_alloc(0, &memory);
	if (err)
		return err;
	index = index_of(domain);
	index->page[index->pages++] = memory;
	return 0;
}

static int tree_grow(struct merge_domain *domain, u32 pages)
{
	int err = 0;

	while (!err && (u64)index_of(domain)->pages * LINKS_PAGE < pages)
		err = add_links(domain);
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
	RB_INSERT(stable_tree, &index_of(domain)->stable, head);
}

static void tree_stable_remove(struct merge_domain *domain, struct stable *head)
{
	RB_REMOVE(stable_tree, &index_of(domain)->stable, head);
}

/*
 * --- The tree of page numbers
 * ---------------------------------------------------------------------------------------
 */

static struct link *at(const struct tree_index *t, u32 n)
{
	return &t->page[n / LINKS_PAGE][n % LINKS_PAGE];
}

static u32 follow(const struct tree_index *t, u32 n, enum way way)
{
	const struct link *link = at(t, n);
	const u8 *low = link->low[way];
	u32 high = link->high >> (HIGH_BITS * way) & (BIT(HIGH_BITS) - 1);

	return high << 24 | (u32)low[2] << 16 | (u32)low[1] << 8 | low[0];
}

static void point(struct tree_index *t, u32 n, enum way way, u32 to)
{
	struct link *link = at(t, n);
	u32 mask = (BIT(HIGH_BITS) - 1) << (HIGH_BITS * way);

	for (unsigned i = 0; i < 3; i++)
		link->low[way][i] = (u8)(to >> (8 * i));
	link->high = (u16)((link->high & ~mask) | to >> 24 << (HIGH_BITS * way));
}

static bool is_red(const struct tree_index *t, u32 n)
{
	return n != NIL && at(t, n)->high & RED;
}

static void set_red(struct tree_index *t, u32 n, bool red)
{
	struct link *link = at(t, n);

	link->high = (u16)((link->high & ~RED) | (red ? RED : 0));
}

static u32 parent(const struct tree_index *t, u32 n)
{
	return follow(t, n, PARENT);
}

static void set_parent(struct tree_index *t, u32 n, u32 to)
{
	point(t, n, PARENT, to);
}

static enum way side_of(const struct tree_index *t, u32 n)
{
	return follow(t, parent(t, n), RIGHT) == n ? RIGHT : LEFT;
}

/* `with` takes the place of `n` below n's parent. */
static void replace(struct tree_index *t, u32 n, u32 with)
{
	u32 up = parent(t, n);

	if (up == NIL)
		t->root = with;
	else
		point(t, up, side_of(t, n), with);
	if (with != NIL)
		set_parent(t, with, up);
}

/* n goes down to `side`; its child on the other side comes up. */
static void rotate(struct tree_index *t, u32 n, enum way side)
{
	u32 up = follow(t, n, !side), inner = follow(t, up, side);

	replace(t, n, up);
	point(t, n, !side, inner);
	if (inner != NIL)
		set_parent(t, inner, n);
	point(t, up, side, n);
	set_parent(t, n, up);
}

static void fix_insertion(struct tree_index *t, u32 n)
{
	while (is_red(t, parent(t, n)) && parent(t, n) != NIL) {
		u32 p = parent(t, n), g = parent(t, p), uncle;
		enum way side = side_of(t, p);

		uncle = follow(t, g, !side);
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
		enum way side = follow(t, p, LEFT) == n ? LEFT : RIGHT;
		u32 s = follow(t, p, !side);

		if (is_red(t, s)) {
			set_red(t, s, false);
			set_red(t, p, true);
			rotate(t, p, side);
			s = follow(t, p, !side);
		}
		if (!is_red(t, follow(t, s, LEFT)) && !is_red(t, follow(t, s, RIGHT))) {
			set_red(t, s, true);
			n = p;
			p = parent(t, n);
			continue;
		}
		if (!is_red(t, follow(t, s, !side))) {
			set_red(t, follow(t, s, side), false);
			set_red(t, s, true);
			rotate(t, s, !side);
			s = follow(t, p, !side);
		}
		set_red(t, s, is_red(t, p));
		set_red(t, p, false);
		set_red(t, follow(t, s, !side), false);
		rotate(t, p, side);
		n = t->root;
	}
	if (n != NIL)
		set_red(t, n, false);
}

/* The successor takes the place and the colour of a node with two children. */
static void swap_with_successor(struct tree_index *t, u32 n)
{
	u32 s = follow(t, n, RIGHT), s_parent, s_right;
	bool s_red;

	while (follow(t, s, LEFT) != NIL)
		s = follow(t, s, LEFT);
	s_parent = parent(t, s);
	s_right = follow(t, s, RIGHT);
	s_red = is_red(t, s);

	replace(t, n, s);
	set_red(t, s, is_red(t, n));
	point(t, s, LEFT, follow(t, n, LEFT));
	set_parent(t, follow(t, n, LEFT), s);
	if (s_parent == n) {
		point(t, s, RIGHT, n);
		set_parent(t, n, s);
	} else {
		point(t, s, RIGHT, follow(t, n, RIGHT));
		set_parent(t, follow(t, n, RIGHT), s);
		point(t, s_parent, LEFT, n);
		set_parent(t, n, s_parent);
	}
	point(t, n, LEFT, NIL);
	point(t, n, RIGHT, s_right);
	if (s_right != NIL)
		set_parent(t, s_right, n);
	set_red(t, n, s_red);
}

static void tree_waiting_remove(struct merge_domain *domain, u32 number)
{
	struct tree_index *t = index_of(domain);
	u32 only, up;
	bool black;

	if (follow(t, number, LEFT) != NIL && follow(t, number, RIGHT) != NIL)
		swap_with_successor(t, number);
	only = follow(t, number, LEFT) != NIL ? follow(t, number, LEFT) : follow(t, number, RIGHT);
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
		n = follow(t, n, order < 0 ? LEFT : RIGHT);
	}
	return MERGE_PAGE_NONE;
}

static int tree_waiting_add(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct tree_index *t = index_of(domain);
	u32 n = t->root, up = NIL;
	enum way side = LEFT;

	while (n != NIL) {
		up = n;
		side = merge_waiting_compare(domain, key, n) < 0 ? LEFT : RIGHT;
		n = follow(t, n, side);
	}
	point(t, number, LEFT, NIL);
	point(t, number, RIGHT, NIL);
	set_parent(t, number, up);
	set_red(t, number, true);
	if (up == NIL)
		t->root = number;
	else
		point(t, up, side, number);
	fix_insertion(t, number);
	return 0;
}

static u64 tree_bytes(const struct merge_domain *domain)
{
	const struct tree_index *index = domain->index;

	return ((u64)index->pages + BIT(index->order)) * PAGE_SIZE;
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
