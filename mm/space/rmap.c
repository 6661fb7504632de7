/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rmap.c: users of a frame. rmap.h has the picture and the invariants.
 */
#include <mm/rmap.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/lock.h>
#include <lib/log.h>
#include <lib/tree.h>
#include <mm/frame.h>
#include "mm/frame/pool.h"

#define INLINE	   1ull
#define COUNTED	   2ull /* owner: the users are counted in `link`, not listed */
#define LOCKS	   16
#define KEY(s, g)  ((u64)(s) << GFN_BITS | (g).raw)
#define KEY_GFN(k) ((struct gfn){(k)&BITS(GFN_BITS - 1, 0)})

struct rmap_node {
	RB_ENTRY(rmap_node) entry;
	u64 key; /* space << GFN_BITS | gfn */
};

/* How many users a chained frame has, and their tree. */
struct rmap_chain {
	RB_HEAD(rmap_tree, rmap_node)
	tree;
	u64 count;
};

static int compare(const struct rmap_node *a, const struct rmap_node *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

RB_PROTOTYPE_STATIC(rmap_tree, rmap_node, entry, compare)
RB_GENERATE_STATIC(rmap_tree, rmap_node, entry, compare)

static struct pool nodes = POOL_INITIALIZER(sizeof(struct rmap_node), "rmap nodes");
static struct pool chains = POOL_INITIALIZER(sizeof(struct rmap_chain), "rmap chains");

/* Statically initialized, because there is no moment before the first frame to do it at. */
#define LOCK_ONE  SPINLOCK_INIT(LOCK_RMAP, "rmap")
#define LOCK_FOUR LOCK_ONE, LOCK_ONE, LOCK_ONE, LOCK_ONE
static struct spinlock locks[LOCKS] = {LOCK_FOUR, LOCK_FOUR, LOCK_FOUR, LOCK_FOUR};

static struct spinlock *lock_of(struct mfn mfn)
{
	return &locks[mfn.raw % LOCKS];
}

/* Three users or more. */
static bool is_chained(const struct frame *frame)
{
	return !frame->owner && frame->link;
}

static struct rmap_chain *chain_of(const struct frame *frame)
{
	return (struct rmap_chain *)(uintptr_t)frame->link;
}

static int chain_insert(struct rmap_chain *chain, u64 key)
{
	struct rmap_node *node;
	void *memory;
	int err = pool_alloc(&nodes, &memory);

	if (err)
		return err;
	node = memory;
	node->key = key;
	CHECK(!RB_INSERT(rmap_tree, &chain->tree, node));
	chain->count++;
	return 0;
}

static void chain_delete(struct rmap_chain *chain, struct rmap_node *node)
{
	RB_REMOVE(rmap_tree, &chain->tree, node);
	chain->count--;
	pool_free(&nodes, node);
}

static void chain_free(struct rmap_chain *chain)
{
	while (chain->count)
		chain_delete(chain, RB_ROOT(&chain->tree));
	pool_free(&chains, chain);
}

/* The third user comes: the two inline ones move into a chain. */
static int make_chain(struct frame *frame, u64 key)
{
	struct rmap_chain *chain;
	void *memory;
	int err = pool_alloc(&chains, &memory);

	if (err)
		return err;
	chain = memory;
	RB_INIT(&chain->tree);
	err = chain_insert(chain, frame->owner >> 1);
	if (!err)
		err = chain_insert(chain, frame->link >> 1);
	if (!err)
		err = chain_insert(chain, key);
	if (err) {
		chain_free(chain);
		return err;
	}
	frame->link = (uintptr_t)chain;
	frame->owner = 0;
	return 0;
}

u64 rmap_bytes(void)
{
	return ck_pr_load_64(&nodes.live) * nodes.size + ck_pr_load_64(&chains.live) * chains.size;
}

void rmap_count_only(struct mfn mfn)
{
	frame_record(mfn)->owner = COUNTED;
}

bool rmap_is_count_only(struct mfn mfn)
{
	return frame_record(mfn)->owner == COUNTED;
}

int rmap_add(struct mfn mfn, u16 space, struct gfn gfn)
{
	struct frame *frame = frame_record(mfn);
	u64 key = KEY(space, gfn);
	int err = 0;

	spin_lock(lock_of(mfn));
	if (frame->owner == COUNTED)
		frame->link++;
	else if (is_chained(frame))
		err = chain_insert(chain_of(frame), key);
	else if (!frame->owner)
		frame->owner = key << 1 | INLINE;
	else if (!frame->link)
		frame->link = key << 1 | INLINE;
	else
		err = make_chain(frame, key);
	spin_unlock(lock_of(mfn));
	return err;
}

/* Two users are left: back into the record. */
static void unmake_chain(struct frame *frame)
{
	struct rmap_chain *chain = chain_of(frame);

	frame->owner = RB_MIN(rmap_tree, &chain->tree)->key << 1 | INLINE;
	frame->link = RB_MAX(rmap_tree, &chain->tree)->key << 1 | INLINE;
	chain_free(chain);
}

static void remove_chained(struct frame *frame, u64 key)
{
	struct rmap_chain *chain = chain_of(frame);
	struct rmap_node key_node = {.key = key},
			 *node = RB_FIND(rmap_tree, &chain->tree, &key_node);

	CHECK(node);
	chain_delete(chain, node);
	if (chain->count == 2)
		unmake_chain(frame);
}

static void remove_inline(struct frame *frame, u64 key)
{
	u64 word = key << 1 | INLINE;

	CHECK(frame->owner == word || frame->link == word);
	if (frame->owner == word)
		frame->owner = frame->link;
	frame->link = 0;
}

void rmap_remove(struct mfn mfn, u16 space, struct gfn gfn)
{
	struct frame *frame = frame_record(mfn);

	spin_lock(lock_of(mfn));
	if (frame->owner == COUNTED)
		frame->link--;
	else if (is_chained(frame))
		remove_chained(frame, KEY(space, gfn));
	else
		remove_inline(frame, KEY(space, gfn));
	spin_unlock(lock_of(mfn));
}

u64 rmap_count(struct mfn mfn)
{
	struct frame *frame = frame_record(mfn);
	u64 count;

	spin_lock(lock_of(mfn));
	if (frame->owner == COUNTED)
		count = frame->link;
	else
		count = is_chained(frame) ? chain_of(frame)->count
					  : 0ull + !!frame->owner + !!frame->link;
	spin_unlock(lock_of(mfn));
	return count;
}

static struct rmap_entry entry_of(u64 key)
{
	return (struct rmap_entry){.space = key >> GFN_BITS, .gfn = KEY_GFN(key)};
}

static unsigned list_chain(struct rmap_chain *chain, u64 least, struct rmap_entry *out,
			   unsigned max)
{
	struct rmap_node key_node = {.key = least}, *node;
	unsigned count = 0;

	for (node = RB_NFIND(rmap_tree, &chain->tree, &key_node); node && count < max;
	     node = RB_NEXT(rmap_tree, &chain->tree, node))
		out[count++] = entry_of(node->key);
	return count;
}

/* The one or two inline users, in order. */
static unsigned list_inline(const struct frame *frame, u64 least, struct rmap_entry *out,
			    unsigned max)
{
	u64 low = frame->owner, high = frame->link;
	unsigned count = 0;

	if (high && high < low) {
		low = frame->link;
		high = frame->owner;
	}
	if (low && low >> 1 >= least && count < max)
		out[count++] = entry_of(low >> 1);
	if (high && high >> 1 >= least && count < max)
		out[count++] = entry_of(high >> 1);
	return count;
}

unsigned rmap_list(struct mfn mfn, const struct rmap_entry *from, struct rmap_entry *out,
		   unsigned max)
{
	struct frame *frame = frame_record(mfn);
	u64 least = from ? KEY(from->space, from->gfn) + 1 : 0;
	unsigned count;

	spin_lock(lock_of(mfn));
	if (frame->owner == COUNTED)
		count = 0;
	else if (is_chained(frame))
		count = list_chain(chain_of(frame), least, out, max);
	else
		count = list_inline(frame, least, out, max);
	spin_unlock(lock_of(mfn));
	return count;
}
