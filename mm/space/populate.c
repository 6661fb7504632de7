/* SPDX-License-Identifier: Apache-2.0 */
/*
 * populate.c: backs a range with zeroed private frames, in blocks as large as alignment, free
 * memory and what is backed already allow.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>
#include "mm/space/space.h"

#define MAX_LEVEL 2 /* 1 GiB: the largest leaf any format has */

/* Is nothing of the range backed, or protected before it is? */
static bool is_absent(struct addrspace *as, struct gfn_range range)
{
	struct gfn gfn = range.start;
	bool absent = true;
	ppte_t *slot;

	spin_lock(&as->lock);
	for (; absent && (slot = primary_next(&as->primary, &gfn, range.end)); gfn.raw++)
		absent = !(*slot & ~(PPTE_GIVEN | PPTE_GENERATION));
	spin_unlock(&as->lock);
	return absent;
}

/* The largest block at gfn that could be backed by contiguous frames now. */
static unsigned block_level(struct addrspace *as, struct gfn gfn, struct gfn end)
{
	unsigned level = MAX_LEVEL;

	for (; level; level--)
		if (IS_ALIGNED(gfn.raw, LEVEL_FRAMES(level)) &&
		    gfn.raw + LEVEL_FRAMES(level) <= end.raw &&
		    is_absent(as, gfn_range(gfn, LEVEL_FRAMES(level))))
			break;
	return level;
}

/* Backs up to one leaf page of gfns; what another CPU backed meanwhile keeps its own frame. */
static int back_run(struct addrspace *as, struct gfn gfn, struct mfn mfn)
{
	int err = 0;

	spin_lock(&as->lock);
	for (u64 i = 0; i < LEVEL_FRAMES(1); i++) {
		struct space_page page = {.gfn = gfn_add(gfn, i)};
		bool used = false;

		if (!err)
			err = space_back(as, &page, mfn_add(mfn, i), &used);
		if (!used)
			frame_free(mfn_add(mfn, i), 0);
	}
	if (!err)
		primary_mark_uniform(&as->primary, gfn);
	spin_unlock(&as->lock);
	return err;
}

static int back_block(struct addrspace *as, struct gfn gfn, unsigned level)
{
	struct mfn mfn;
	int err = frame_alloc(LEVEL_BITS * level, FRAME_GUEST, FRAME_ZERO, &mfn);

	if (err)
		return err;
	for (u64 i = 0; i < LEVEL_FRAMES(level); i += LEVEL_FRAMES(1)) {
		if (!err)
			err = back_run(as, gfn_add(gfn, i), mfn_add(mfn, i));
		else
			frame_free(mfn_add(mfn, i), LEVEL_BITS);
	}
	return err;
}

/*
 * Backs what is at gfn and goes on to what follows; a block too large for what is free is tried
 * smaller.
 */
static int populate_step(struct addrspace *as, struct gfn *gfn, struct gfn end)
{
	unsigned level = 0;
	int err = 0;

	if (IS_ALIGNED(gfn->raw, LEVEL_FRAMES(1)))
		level = block_level(as, *gfn, end);
	for (; level; level--) {
		err = back_block(as, *gfn, level);
		if (!err)
			break;
	}
	if (!level && ppte_state(primary_load(&as->primary, *gfn)) == PPTE_ABSENT)
		err = space_resolve(as, &(struct space_page){.gfn = *gfn}, HV_READ, NULL, NULL);
	gfn->raw += LEVEL_FRAMES(level);
	return err;
}

int addrspace_populate(struct addrspace *as, struct gfn_range range)
{
	int err = space_check(as, range);

	for (struct gfn gfn = range.start; !err && gfn.raw < range.end.raw;)
		err = populate_step(as, &gfn, range.end);
	return err;
}
