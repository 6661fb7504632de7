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

static struct pool nodes = POOL_INITIALIZER(sizeof(struct stable), "merge nodes");

static u32 stable_users(const struct stable *node)
{
	return frame_refs(node->mfn) - 1;
}

static bool stable_is_full(const struct merge_domain *domain, const struct stable *node)
{
	return !IS_ENABLED(CONFIG_BREAK_MERGE_CAP) && stable_users(node) >= domain->limits.cap;
}

/* Another frame of a content that is in the index already. */
static void chain_add(struct stable *head, struct stable *node)
{
	node->next_frame = head->next_frame;
	head->next_frame = node;
}

static void add_head(struct merge_domain *domain, struct stable *node)
{
	node->next = domain->heads;
	if (node->next)
		node->next->previous = node;
	domain->heads = node;
	domain->engine->stable_add(domain, node);
}

static void remove_head(struct merge_domain *domain, struct stable *node)
{
	domain->engine->stable_remove(domain, node);
	if (node->next)
		node->next->previous = node->previous;
	if (node->previous)
		node->previous->next = node->next;
	else
		domain->heads = node->next;
}

int stable_new(struct merge_domain *domain, const struct merge_key *key, struct mfn mfn)
{
	struct stable *node, *head;
	void *memory;
	int err = pool_alloc(&nodes, &memory);

	if (err)
		return err;
	node = memory;
	node->tag = key->tag;
	node->mfn = mfn;
	head = domain->engine->stable_find(domain, key);
	if (head)
		chain_add(head, node);
	else
		add_head(domain, node);
	ck_pr_store_64(&domain->stable_count, domain->stable_count + 1);
	node->call = unstable_call(domain, key);
	return 0;
}

bool stable_take(struct merge_domain *domain, const struct merge_key *key, struct mfn *out)
{
	struct stable *node = domain->engine->stable_find(domain, key);

	for (unsigned i = 0; node && i < CHAIN_REACH && stable_is_full(domain, node); i++)
		node = node->next_frame;
	if (!node || stable_is_full(domain, node))
		return false;
	*out = node->mfn;
	frame_get(node->mfn);
	return true;
}

static void free_node(struct merge_domain *domain, struct stable *node)
{
	if (frame_put(node->mfn))
		frame_free(node->mfn, 0);
	pool_free(&nodes, node);
	ck_pr_store_64(&domain->stable_count, domain->stable_count - 1);
}

/*
 * An unused head takes over the next frame of its chain: the index stays as it is. Or it goes.
 * False: the head is in use.
 */
static bool sweep_head(struct merge_domain *domain, struct stable *head)
{
	struct stable *second = head->next_frame;
	struct mfn unused = head->mfn;

	if (stable_users(head))
		return false;
	if (!second) {
		domain->sweep.head = head->next;
		remove_head(domain, head);
		free_node(domain, head);
		return true;
	}
	head->mfn = second->mfn;
	head->next_frame = second->next_frame;
	second->mfn = unused;
	free_node(domain, second);
	return true;
}

/* A frame of a chain: freed if it is unused, moved to the front if it has room. */
static void sweep_chain(struct merge_domain *domain, struct stable *head)
{
	struct stable **at = domain->sweep.at, *node = *at;

	if (!stable_users(node)) {
		*at = node->next_frame;
		free_node(domain, node);
	} else if (at != &head->next_frame && !stable_is_full(domain, node)) {
		*at = node->next_frame;
		chain_add(head, node);
	} else {
		domain->sweep.at = &node->next_frame;
	}
}

/* Unstable pages with the head's content that stable_new() has not called. */
static bool sweep_call(struct merge_domain *domain, struct stable *head)
{
	const struct merge_key key = {head->tag, merge_content(head->mfn)};
	bool called = head->call;

	for (unsigned i = 0; head->call && i < SWEEP_CALLS; i++)
		head->call = unstable_call(domain, &key);
	return called;
}

/* A frame. False: the step was a long one. */
static bool sweep_step(struct merge_domain *domain, struct stable *head)
{
	struct stable_sweep *sweep = &domain->sweep;

	if (!sweep->at) {
		if (sweep_head(domain, head))
			return true;
		sweep->at = &head->next_frame;
	}
	if (*sweep->at) {
		sweep_chain(domain, head);
		return true;
	}
	*sweep = (struct stable_sweep){.head = head->next};
	return !sweep_call(domain, head);
}

/* A round begins with the first visit of a pass, and goes on until its end is reached. */
void stable_sweep(struct merge_domain *domain, unsigned steps)
{
	struct stable_sweep *sweep = &domain->sweep;

	if (!sweep->head && domain->swept != merge_passes())
		sweep->head = domain->heads;
	while (steps && sweep->head && sweep_step(domain, sweep->head))
		steps--;
	if (!sweep->head)
		ck_pr_store_64(&domain->swept, merge_passes());
}

void stable_release(struct merge_domain *domain)
{
	domain->sweep = (struct stable_sweep){NULL, NULL};
	while (domain->heads) {
		struct stable *head = domain->heads;

		while (head->next_frame) {
			struct stable *node = head->next_frame;

			head->next_frame = node->next_frame;
			free_node(domain, node);
		}
		remove_head(domain, head);
		free_node(domain, head);
	}
}

u64 stable_bytes(const struct merge_domain *domain)
{
	return domain->stable_count * sizeof(struct stable);
}
