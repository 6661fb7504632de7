/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stable.c: stable nodes: shared contents, and the frames that hold them.
 *
 *     engine's index --> head: frame A (full) --> frame B (has room) --> frame C (full)
 *
 * Why a chain: the rmap of a frame that 10^5 pages share is 10^5 long to walk. With a cap each walk
 * is bounded, for one more frame for every `cap` users. A frame's references are its users' and the
 * index's.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <mm/frame.h>

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
	domain->stable_count++;
	return 0;
}

bool stable_take(struct merge_domain *domain, const struct merge_key *key, struct mfn *out)
{
	struct stable *node = domain->engine->stable_find(domain, key);

	while (node && stable_is_full(domain, node))
		node = node->next_frame;
	if (!node)
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
	domain->stable_count--;
}

/* Takes unused frames out of a chain, behind its head. */
static void prune_chain(struct merge_domain *domain, struct stable *head)
{
	struct stable **at = &head->next_frame;

	while (*at) {
		struct stable *node = *at;

		if (stable_users(node)) {
			at = &node->next_frame;
			continue;
		}
		*at = node->next_frame;
		free_node(domain, node);
	}
}

/* An unused head takes over the next frame of its chain: the index stays as it is. Or it goes. */
static void prune_head(struct merge_domain *domain, struct stable *head)
{
	struct stable *second = head->next_frame;
	struct mfn unused = head->mfn;

	if (stable_users(head))
		return;
	if (!second) {
		remove_head(domain, head);
		free_node(domain, head);
		return;
	}
	head->mfn = second->mfn;
	head->next_frame = second->next_frame;
	second->mfn = unused;
	free_node(domain, second);
}

void stable_prune(struct merge_domain *domain)
{
	struct stable *head, *next;

	for (head = domain->heads; head; head = next) {
		next = head->next;
		prune_chain(domain, head);
		prune_head(domain, head);
	}
}

void stable_release(struct merge_domain *domain)
{
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

void stable_count_sharing(const struct merge_domain *domain, struct merge_stats *out)
{
	for (const struct stable *head = domain->heads; head; head = head->next) {
		for (const struct stable *node = head; node; node = node->next_frame) {
			u32 users = stable_users(node);

			out->pages_shared += users > 0;
			out->pages_sharing += users > 1 ? users - 1 : 0;
		}
	}
}

u64 stable_bytes(const struct merge_domain *domain)
{
	return domain->stable_count * sizeof(struct stable);
}
