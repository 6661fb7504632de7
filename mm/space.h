/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.h: struct addrspace as mm/ itself sees it.
 */
#ifndef SAMEPAGE_MM_SPACE_H
#define SAMEPAGE_MM_SPACE_H

#include <lib/lock.h>
#include <mm/addrspace.h>
#include "primary.h"

#define SPACE_SLOTS 32
#define SPACE_NAME  32

struct slot {
	struct gfn_range range;
	enum slot_kind kind;
};

/*
 * struct addrspace: one guest-physical address space.
 *
 * id		[I] its number, for the rmap; unique among those alive, never 0
 * lock		LOCK_MMU: primary PTEs and every stage 2 derived from them
 * primary	[m] the PTEs; lookups take no lock
 * slots	[m] sorted by start, never overlapping
 */
struct addrspace {
	u16 id;
	char name[SPACE_NAME];
	struct spinlock lock;
	struct primary primary;
	struct slot slots[SPACE_SLOTS];
	unsigned slot_count;
	enum retry_mode retry; /* [a] */
};

/* The slot around gfn, or NULL. */
const struct slot *space_slot(const struct addrspace *as, struct gfn gfn) LOCK_REQUIRES(&as->lock);

/* Are all gfns of the range in slots? ERR_INVALID: empty, wraps or is wider than any guest;
 * ERR_RANGE: no. */
int space_check_range(const struct addrspace *as, struct gfn_range range) LOCK_REQUIRES(&as->lock);

/*
 * Backs an absent gfn with a zeroed private frame, unless another CPU was faster. ERR_NO_MEMORY;
 * ERR_RANGE: no slot. Takes as->lock.
 */
int space_back(struct addrspace *as, struct gfn gfn) __must_check;

/*
 * Makes sure that a write to gfn is allowed by the primary: lifts the guard, notes soft-dirty,
 * breaks sharing. ERR_PERMISSION: the slot is read-only. ERR_NO_MEMORY. Takes as->lock.
 */
int space_make_writable(struct addrspace *as, struct gfn gfn) __must_check;

#endif
