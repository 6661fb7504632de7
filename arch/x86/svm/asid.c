/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asid.c: allocation of the ASIDs of one CPU; the scheme is in asid.h.
 */
#include "asid.h"

static struct asid_slot *asid_slot(struct asid_pool *pool, struct hpa root)
{
	u64 frame = root.raw >> PAGE_SHIFT;

	return &pool->slot[(frame ^ frame >> 5 ^ frame >> 10) % ASID_SLOTS];
}

void asid_init(struct asid_pool *pool, u32 count)
{
	*pool = (struct asid_pool){.max = count - 1, .last = count - 1};
}

static u32 asid_next(struct asid_pool *pool)
{
	if (pool->last == pool->max) {
		pool->last = 0;
		pool->generation++;
		pool->flush_pending = true;
	}
	return ++pool->last;
}

u32 asid_get(struct asid_pool *pool, struct hpa root, u64 serial)
{
	struct asid_slot *slot = asid_slot(pool, root);
	u32 asid;

	if (slot->root.raw == root.raw && slot->serial == serial &&
	    slot->generation == pool->generation && slot->generation != 0)
		return slot->asid;
	asid = asid_next(pool);
	*slot = (struct asid_slot){root, serial, pool->generation, asid};
	return asid;
}
