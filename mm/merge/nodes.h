/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.h: the stable nodes of a domain: twelve bytes each, in pages, named by numbers from 1 on.
 *
 *     directory   | * | - | * |            *: a page: its header and 340 nodes; -: none
 *
 * Why numbers: a pointer is eight bytes and a list of heads two of them. A link is 28 bits, the
 * heads are found by a walk over the pages, and a page that has no node left is freed.
 *
 * The first frame of each content is its head, which is in the engine's index; further frames of
 * the content are its chain (stable.c). A chain's first frame keeps the head's link for it, because
 * it needs no tag:
 *
 *                         frame    next                     word
 *     head                mfn      the engine's link        tag, 24 bits | CALL
 *     head of a chain     mfn      the chain's first        tag, 24 bits | CHAINED, CALL
 *     a chain's first     mfn      the chain's next, or 0   the head's engine link | FOLLOWER
 *     the others of it    mfn      the chain's next, or 0   FOLLOWER
 *     free                0        the page's next free
 *
 * Locking: the domain's lock for everything.
 */
#ifndef SAMEPAGE_MM_MERGE_NODES_H
#define SAMEPAGE_MM_MERGE_NODES_H

#include <arch/addr.h>
#include <lib/types.h>

struct stable {
	u32 frame; /* its number; a reference is held */
	u32 next;
	u32 word;
};
_Static_assert(sizeof(struct stable) == 12, "a stable node is 12 bytes");

#define STABLE_FOLLOWER	  1u
#define STABLE_CHAINED	  2u
#define STABLE_CALL	  4u /* unstable pages may have the content */
#define STABLE_LINK_SHIFT 4
#define STABLE_TAG_SHIFT  8
#define STABLE_FRAMES	  BIT(32) /* machine frames that a node can name: 16 TiB */

#define NODES_MAX    (BIT(28) - 1)
#define NODES_A_PAGE 340u

/*
 * next, previous	the pages with a free node, by place in the directory + 1
 * free			the last node freed, by place + 1; 0: none
 * carved		nodes behind it were never allocated
 */
struct node_page {
	u32 next, previous;
	u16 free, used, carved, unused;
	struct stable node[NODES_A_PAGE];
};
_Static_assert(sizeof(struct node_page) == PAGE_SIZE, "nodes fill a page");

/*
 * directory	2^order pages of it; NULL: there was no node yet
 * pages	pages of nodes that there are; places: entries in use, with NULL among them
 * gap		no entry below it is NULL
 * partial	the first page with a free node, by place + 1; 0: none
 */
struct stable_nodes {
	struct node_page **directory;
	unsigned order;
	u32 pages, places, gap, partial;
};

static inline struct stable *node_at(const struct stable_nodes *nodes, u32 number)
{
	struct node_page *page = nodes->directory[(number - 1) / NODES_A_PAGE];

	return &page->node[(number - 1) % NODES_A_PAGE];
}

static inline struct mfn node_mfn(const struct stable *node)
{
	return (struct mfn){node->frame};
}

static inline u32 node_tag(const struct stable *head)
{
	return head->word >> STABLE_TAG_SHIFT;
}

static inline bool node_is_head(const struct stable *node)
{
	return node->frame && !(node->word & STABLE_FOLLOWER);
}

/* The next frame of the same content; 0: there is none. */
static inline u32 node_next_frame(const struct stable *node)
{
	return node->word & (STABLE_CHAINED | STABLE_FOLLOWER) ? node->next : 0;
}

/* The engine's link of a head. */
static inline u32 node_link(const struct stable_nodes *nodes, const struct stable *head)
{
	if (head->word & STABLE_CHAINED)
		return node_at(nodes, head->next)->word >> STABLE_LINK_SHIFT;
	return head->next;
}

static inline void node_set_link(const struct stable_nodes *nodes, struct stable *head, u32 link)
{
	if (head->word & STABLE_CHAINED)
		node_at(nodes, head->next)->word = link << STABLE_LINK_SHIFT | STABLE_FOLLOWER;
	else
		head->next = link;
}

/* A head without a chain. ERR_NO_MEMORY; ERR_RANGE: the frame is beyond STABLE_FRAMES. */
int node_new(struct stable_nodes *nodes, u32 tag, struct mfn mfn, u32 *out) __must_check;
/* The node is in no chain and has none. */
void node_free(struct stable_nodes *nodes, u32 number);

/* The node behind the head's `previous`, the head itself or one of its chain, is `number`. */
void node_chain_add(struct stable_nodes *nodes, u32 head, u32 number);
void node_chain_remove(struct stable_nodes *nodes, u32 head, u32 previous, u32 number);

/*
 * The first head at `number` or behind it; 0: there is none. It takes a step for each node between
 * and for each page that is missing; when `steps` are used up the result is where to go on.
 */
u32 node_walk(const struct stable_nodes *nodes, u32 number, u32 *steps);

static inline u32 node_next_head(const struct stable_nodes *nodes, u32 number)
{
	u32 steps = ~0u;

	return node_walk(nodes, number, &steps);
}

/* Memory. */
u64 nodes_bytes(const struct stable_nodes *nodes);
/* No node is left. */
void nodes_fini(struct stable_nodes *nodes);

/* For each head; the body may free it. */
#define NODES_FOREACH_HEAD(number, nodes)                          \
	for (u32 number = node_next_head((nodes), 1); number != 0; \
	     number = node_next_head((nodes), number + 1))

#endif
