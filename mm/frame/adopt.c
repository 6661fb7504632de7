/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.c: records for the frames of a boot module, which the allocator does not have.
 *
 * An image may fill a section that has no usable frame and so no records; they are allocated then,
 * and stay.
 */
#include "mm/frame/internal.h"
#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <mm/frame.h>

#define SECTION_BYTES (FRAME_SECTION * sizeof(struct frame))

/* Opens a closed section. Records start as 0, which is FRAME_RESERVED. */
static int adopt_section(u64 section)
{
	struct mfn mfn;
	bool more = true;
	int err;

	spin_lock(&frame_buddy.lock);
	while (more && !frame_map.section[section])
		more = frame_near_memory((struct mfn){section << FRAME_SECTION_SHIFT}) &&
		       section_open();
	spin_unlock(&frame_buddy.lock);
	if (frame_map.section[section])
		return 0;
	err = frame_alloc(page_order(SECTION_BYTES), FRAME_HYPERVISOR, FRAME_ZERO, &mfn);
	if (!err)
		ck_pr_store_ptr(&frame_map.section[section], arch_hpa_to_virt(mfn_to_hpa(mfn)));
	return err;
}

int frame_adopt(struct mfn first, u64 frames)
{
	u64 end = first.raw + frames, last = frame_map.sections << FRAME_SECTION_SHIFT;
	int err = 0;

	if (!frames || end < first.raw || end > last)
		return ERR_RANGE;
	for (u64 i = first.raw >> FRAME_SECTION_SHIFT; i << FRAME_SECTION_SHIFT < end && !err; i++)
		err = adopt_section(i);
	for (u64 i = 0; i < frames && !err; i++)
		err = frame_kind(mfn_add(first, i)) == FRAME_RESERVED ? 0 : ERR_EXISTS;
	for (u64 i = 0; i < frames && !err; i++) {
		struct frame *frame = frame_record(mfn_add(first, i));

		ck_pr_store_32(&frame->refs, 1);
		ck_pr_store_8(&frame->kind, FRAME_IMAGE);
	}
	return err;
}
