/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asid.c: allocation of the ASIDs of one CPU; the scheme is in asid.h.
 */
#include "asid.h"

void asid_init(struct asid_pool *pool, u32 count)
{
	*pool = (struct asid_pool){.max = count - 1, .last = count - 1};
}

u32 asid_get(struct asid_pool *pool, struct hpa root, u64 serial)
{
	const struct asid_slot *slot = asid_slot(pool, root);

	if (slot->root.raw == root.raw && slot->serial == serial &&
	    slot->generation == pool->generation && slot->generation != 0)
		return slot->asid;
	return asid_renew(pool, root, serial);
}
