/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addrspace.c: address spaces and their memory slots.
 *
 * Invariants:
 * SPACE-1  Slots never overlap and never wrap; what add_slot refuses changes nothing.
 * SPACE-2  Only a gfn inside a slot is ever backed.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>
#include "pool.h"
#include "space.h"

static struct pool spaces = POOL_INITIALIZER(sizeof(struct addrspace), "addrspaces");
static u16 last_id; /* [a] */

int addrspace_create(const char *name, struct addrspace **out)
{
	struct addrspace *as;
	void *memory;
	int err = pool_alloc(&spaces, &memory);

	if (err)
		return err;
	as = memory;
	err = primary_init(&as->primary);
	if (err) {
		pool_free(&spaces, as);
		return err;
	}
	string_copy(as->name, sizeof(as->name), name);
	spin_init(&as->lock, LOCK_MMU, "mmu");
	as->id = ck_pr_faa_16(&last_id, 1) + 1;
	*out = as;
	return 0;
}

const char *addrspace_name(const struct addrspace *as)
{
	return as->name;
}

static void free_backing(struct addrspace *as)
{
	struct gfn gfn = {0}, end = {BIT(PRIMARY_GFN_BITS)};
	ppte_t *slot;

	for (; (slot = primary_next(&as->primary, &gfn, end)); gfn.raw++) {
		ppte_t pte = *slot;

		if (ppte_state(pte) == PPTE_PRIVATE && frame_put(ppte_mfn(pte)))
			frame_free(ppte_mfn(pte), 0);
	}
}

void addrspace_destroy(struct addrspace *as)
{
	free_backing(as);
	primary_fini(&as->primary);
	pool_free(&spaces, as);
}

/* Where in the sorted slots a slot that starts at `start` belongs. */
static unsigned slot_place(const struct addrspace *as, struct gfn start)
{
	unsigned place = 0;

	while (place < as->slot_count && as->slots[place].range.start.raw <= start.raw)
		place++;
	return place;
}

const struct slot *space_slot(const struct addrspace *as, struct gfn gfn)
{
	unsigned place = slot_place(as, gfn);

	if (!place || !gfn_in_range(gfn, as->slots[place - 1].range))
		return NULL;
	return &as->slots[place - 1];
}

static int check_shape(struct gfn_range range)
{
	if (range.start.raw >= range.end.raw || range.end.raw > BIT(PRIMARY_GFN_BITS))
		return ERR_INVALID;
	return 0;
}

int space_check_range(const struct addrspace *as, struct gfn_range range)
{
	int err = check_shape(range);

	while (!err && range.start.raw < range.end.raw) {
		const struct slot *slot = space_slot(as, range.start);

		if (!slot)
			err = ERR_RANGE;
		else
			range.start = slot->range.end;
	}
	return err;
}

static int insert_slot(struct addrspace *as, struct gfn_range range, enum slot_kind kind)
{
	unsigned place = slot_place(as, range.start);

	if ((place && gfn_ranges_overlap(range, as->slots[place - 1].range)) ||
	    (place < as->slot_count && gfn_ranges_overlap(range, as->slots[place].range)))
		return ERR_EXISTS;
	if (as->slot_count == SPACE_SLOTS)
		return ERR_NO_MEMORY;
	memmove(&as->slots[place + 1], &as->slots[place],
		(as->slot_count - place) * sizeof(struct slot));
	as->slots[place] = (struct slot){range, kind};
	as->slot_count++;
	return 0;
}

int addrspace_add_slot(struct addrspace *as, struct gfn_range range, enum slot_kind kind)
{
	int err = check_shape(range);

	if (err || kind > SLOT_ROM)
		return ERR_INVALID;
	spin_lock(&as->lock);
	err = insert_slot(as, range, kind);
	spin_unlock(&as->lock);
	return err;
}
