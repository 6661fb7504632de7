/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.c: stable nodes by number: pages of them, and chains. nodes.h has the picture.
 */
#include "mm/merge/nodes.h"
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include "mm/frame/pool.h"

static u64 nodes_room(const struct stable_nodes *nodes)
{
	return nodes->directory ? (PAGE_SIZE << nodes->order) / sizeof(*nodes->directory) : 0;
}

/* --- Pages --------------------------------------------------------------------------------- */

static void partial_add(struct stable_nodes *nodes, u32 place)
{
	struct node_page *page = nodes->directory[place];

	page->previous = 0;
	page->next = nodes->partial;
	if (page->next)
		nodes->directory[page->next - 1]->previous = place + 1;
	nodes->partial = place + 1;
}

static void partial_remove(struct stable_nodes *nodes, u32 place)
{
	struct node_page *page = nodes->directory[place];

	if (page->next)
		nodes->directory[page->next - 1]->previous = page->previous;
	if (page->previous)
		nodes->directory[page->previous - 1]->next = page->next;
	else
		nodes->partial = page->next;
}

/* Twice the directory, or the first page of it. */
static int nodes_grow(struct stable_nodes *nodes)
{
	unsigned order = nodes->directory ? nodes->order + 1 : 0;
	void *larger;
	int err = page_alloc(order, &larger);

	if (err)
		return err;
	if (nodes->directory) {
		memcpy(larger, nodes->directory, PAGE_SIZE << nodes->order);
		page_free(nodes->directory, nodes->order);
	}
	nodes->directory = larger;
	nodes->order = order;
	return 0;
}

static int nodes_add_page(struct stable_nodes *nodes)
{
	u32 place = nodes->gap;
	void *memory;
	int err = 0;

	while (place < nodes->places && nodes->directory[place])
		place++;
	if ((place + 1) * NODES_A_PAGE > NODES_MAX)
		return ERR_NO_MEMORY;
	if (place == nodes_room(nodes))
		err = nodes_grow(nodes);
	if (!err)
		err = page_alloc(0, &memory);
	if (err)
		return err;
	nodes->directory[place] = memory;
	nodes->gap = place + 1;
	nodes->places = MAX(nodes->places, place + 1);
	nodes->pages++;
	partial_add(nodes, place);
	return 0;
}

static void nodes_remove_page(struct stable_nodes *nodes, u32 place)
{
	partial_remove(nodes, place);
	page_free(nodes->directory[place], 0);
	nodes->directory[place] = NULL;
	nodes->gap = MIN(nodes->gap, place);
	nodes->pages--;
}

/* --- Nodes --------------------------------------------------------------------------------- */

int node_new(struct stable_nodes *nodes, u32 tag, struct mfn mfn, u32 *out)
{
	struct node_page *page;
	u32 place, at;
	int err = 0;

	if (mfn.raw >= STABLE_FRAMES)
		return ERR_RANGE;
	if (!nodes->partial)
		err = nodes_add_page(nodes);
	if (err)
		return err;
	place = nodes->partial - 1;
	page = nodes->directory[place];
	if (page->free) {
		at = page->free - 1u;
		page->free = (u16)page->node[at].next;
	} else {
		at = page->carved++;
	}
	page->node[at] = (struct stable){(u32)mfn.raw, 0, tag << STABLE_TAG_SHIFT};
	if (++page->used == NODES_A_PAGE)
		partial_remove(nodes, place);
	*out = place * NODES_A_PAGE + at + 1;
	return 0;
}

void node_free(struct stable_nodes *nodes, u32 number)
{
	u32 place = (number - 1) / NODES_A_PAGE, at = (number - 1) % NODES_A_PAGE;
	struct node_page *page = nodes->directory[place];

	if (page->used == NODES_A_PAGE)
		partial_add(nodes, place);
	page->node[at] = (struct stable){0, page->free, 0};
	page->free = (u16)(at + 1);
	if (--page->used == 0)
		nodes_remove_page(nodes, place);
}

/* --- Chains -------------------------------------------------------------------------------- */

void node_chain_add(struct stable_nodes *nodes, u32 head, u32 number)
{
	struct stable *first = node_at(nodes, head), *node = node_at(nodes, number);
	u32 link = node_link(nodes, first);

	node->next = node_next_frame(first);
	node->word = STABLE_FOLLOWER;
	first->next = number;
	first->word |= STABLE_CHAINED;
	node_set_link(nodes, first, link);
}

void node_chain_remove(struct stable_nodes *nodes, u32 head, u32 previous, u32 number)
{
	struct stable *first = node_at(nodes, head);
	u32 link = node_link(nodes, first), next = node_at(nodes, number)->next;

	node_at(nodes, previous)->next = next;
	if (previous == head && !next)
		first->word &= ~STABLE_CHAINED;
	node_set_link(nodes, first, link);
}

/* --- Walks --------------------------------------------------------------------------------- */

u32 node_walk(const struct stable_nodes *nodes, u32 number, u32 *steps)
{
	u32 place = (number - 1) / NODES_A_PAGE, at = (number - 1) % NODES_A_PAGE;

	for (; place < nodes->places; place++, at = 0) {
		const struct node_page *page = nodes->directory[place];
		u32 end = page ? page->carved : 0;

		for (; at < end && *steps && !node_is_head(&page->node[at]); at++)
			--*steps;
		if (at < end || !*steps)
			return place * NODES_A_PAGE + at + 1;
		--*steps;
	}
	return 0;
}

u64 nodes_bytes(const struct stable_nodes *nodes)
{
	return nodes->directory ? (BIT(nodes->order) + nodes->pages) * PAGE_SIZE : 0;
}

void nodes_fini(struct stable_nodes *nodes)
{
	CHECK(nodes->pages == 0);
	if (nodes->directory)
		page_free(nodes->directory, nodes->order);
	*nodes = (struct stable_nodes){.directory = NULL};
}
