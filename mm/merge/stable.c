/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stable.c: stable nodes: shared contents, and the frames that hold them.
 *
 *     engine's index --> head: frame A (full) --> frame B (has room) --> frame C (full)
 *
 * Why a chain: the rmap of a frame that 10^5 pages share is 10^5 long to walk. With a cap each walk
 * is bounded, for one more frame for every `cap` users. A frame's references are its users' and the
 * index's.
 *
 * The sweep frees frames without users and moves those with room to the front of their chain, where
 * a search looks. It goes round the domain's nodes a few at each visit, so that no hold of the lock
 * is long, once in a pass.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <mm/frame.h>

#define CHAIN_REACH 8  /* frames of a chain that a search looks at, behind the head */
#define SWEEP_CALLS 16 /* of unstable_call(), by one visit's sweep */

static u32 stable_users(const struct stable *node)
{
	return frame_refs(node_mfn(node)) - 1;
}

static bool stable_is_full(const struct merge_domain *domain, const struct stable *node)
{
	return !IS_ENABLED(CONFIG_BREAK_MERGE_CAP) && stable_users(node) >= domain->limits.cap;
}

/* A content that is in no index. ERR_NO_MEMORY: the node is free again. */
static int add_head(struct merge_domain *domain, u32 number)
{
	int err = 0;

	if (domain->engine->stable_prepare)
		err = domain->engine->stable_prepare(domain, number);
	if (err)
		node_free(&domain->nodes, number);
	else
		domain->engine->stable_add(domain, number);
	return err;
}

int stable_new(struct merge_domain *domain, const struct merge_key *key, struct mfn mfn)
{
	u32 head = domain->engine->stable_find(domain, key), number;
	int err = node_new(&domain->nodes, key->tag, mfn, &number);

	if (!err && head)
		node_chain_add(&domain->nodes, head, number);
	else if (!err)
		err = add_head(domain, number);
	if (err)
		return err;
	ck_pr_store_64(&domain->stable_count, domain->stable_count + 1);
	if (unstable_call(domain, key))
		node_at(&domain->nodes, head ? head : number)->word |= STABLE_CALL;
	return 0;
}

bool stable_take(struct merge_domain *domain, const struct merge_key *key, struct mfn *out)
{
	u32 number = domain->engine->stable_find(domain, key);

	for (unsigned i = 0; number && i <= CHAIN_REACH; i++) {
		const struct stable *node = node_at(&domain->nodes, number);

		if (!stable_is_full(domain, node)) {
			*out = node_mfn(node);
			frame_get(*out);
			return true;
		}
		number = node_next_frame(node);
	}
	return false;
}

static void free_node(struct merge_domain *domain, u32 number)
{
	struct mfn mfn = node_mfn(node_at(&domain->nodes, number));

	if (frame_put(mfn))
		frame_free(mfn, 0);
	node_free(&domain->nodes, number);
	ck_pr_store_64(&domain->stable_count, domain->stable_count - 1);
}

/*
 * An unused head takes over the next frame of its chain: the index stays as it is. Or it goes.
 * False: the head is in use.
 */
static bool sweep_head(struct merge_domain *domain, u32 number)
{
	struct stable *head = node_at(&domain->nodes, number), *second;
	u32 next = node_next_frame(head), unused = head->frame;

	if (stable_users(head))
		return false;
	if (!next) {
		domain->engine->stable_remove(domain, number);
		free_node(domain, number);
		return true;
	}
	second = node_at(&domain->nodes, next);
	head->frame = second->frame;
	second->frame = unused;
	node_chain_remove(&domain->nodes, number, number, next);
	free_node(domain, next);
	return true;
}

/* The frame behind sweep.at: freed if it is unused, moved to the front if it has room. */
static void sweep_chain(struct merge_domain *domain, u32 number)
{
	struct stable_sweep *sweep = &domain->sweep;
	const struct stable *node = node_at(&domain->nodes, number);

	if (!stable_users(node)) {
		node_chain_remove(&domain->nodes, sweep->head, sweep->at, number);
		free_node(domain, number);
	} else if (sweep->at != sweep->head && !stable_is_full(domain, node)) {
		node_chain_remove(&domain->nodes, sweep->head, sweep->at, number);
		node_chain_add(&domain->nodes, sweep->head, number);
	} else {
		sweep->at = number;
	}
}

/* Unstable pages with the head's content that stable_new() has not called. */
static bool sweep_call(struct merge_domain *domain, struct stable *head)
{
	const struct merge_key key = {.tag = node_tag(head),
				      .content = merge_content(node_mfn(head))};
	bool called = head->word & STABLE_CALL, more = called;

	for (unsigned i = 0; more && i < SWEEP_CALLS; i++)
		more = unstable_call(domain, &key);
	if (called && !more)
		head->word &= ~STABLE_CALL;
	return called;
}

/* A frame of the content at sweep.head. False: the step was a long one. */
static bool sweep_step(struct merge_domain *domain)
{
	struct stable_sweep *sweep = &domain->sweep;
	u32 head = sweep->head, next;

	if (!sweep->at) {
		if (sweep_head(domain, head))
			return true;
		sweep->at = head;
	}
	next = node_next_frame(node_at(&domain->nodes, sweep->at));
	if (next) {
		sweep_chain(domain, next);
		return true;
	}
	*sweep = (struct stable_sweep){.head = head + 1};
	return !sweep_call(domain, node_at(&domain->nodes, head));
}

/* A round begins with the first visit of a pass, and goes on until its end is reached. */
void stable_sweep(struct merge_domain *domain, unsigned steps)
{
	struct stable_sweep *sweep = &domain->sweep;
	bool more = true;

	if (!sweep->head && domain->swept != merge_passes())
		sweep->head = 1;
	while (more && steps && sweep->head) {
		if (!sweep->at)
			sweep->head = node_walk(&domain->nodes, sweep->head, &steps);
		if (sweep->head && steps) {
			more = sweep_step(domain);
			steps--;
		}
	}
	if (!sweep->head)
		ck_pr_store_64(&domain->swept, merge_passes());
}

void stable_release(struct merge_domain *domain)
{
	NODES_FOREACH_HEAD (head, &domain->nodes) {
		u32 next;

		while ((next = node_next_frame(node_at(&domain->nodes, head)))) {
			node_chain_remove(&domain->nodes, head, head, next);
			free_node(domain, next);
		}
		free_node(domain, head);
	}
	nodes_fini(&domain->nodes);
}

u64 stable_bytes(const struct merge_domain *domain)
{
	return nodes_bytes(&domain->nodes);
}
