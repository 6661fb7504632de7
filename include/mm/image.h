/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h: the frames of a boot module, shared copy-on-write by address spaces from the start.
 *
 *     image_adopt          the frames get records (FRAME_IMAGE): they can be referenced, and never
 *                          become free
 *     addrspace_add_image  a slot that reads as the image where it is absent: the first touch maps
 *                          a frame of it, the first write copies that
 *     addrspace_map_image  a page of any slot is backed by a frame of the image, in place of a copy
 *
 * An image's page is an ordinary shared page (mm/cow.h): a write breaks it, merging finds it
 * merged. Its users are counted, not listed (RMAP-3), so a guest's write takes as long whether
 * others use the frame or not.
 *
 * Invariants:
 * IMAGE-1  No frame of an image is written or freed; the reference of the image itself stays.
 * IMAGE-2  addrspace_map_image() that fails has changed nothing; one that succeeds counts as a
 *          write of the guest: the page is soft-dirty and in its next generation, and no subscriber
 *          uses what backed it.
 */
#ifndef SAMEPAGE_MM_IMAGE_H
#define SAMEPAGE_MM_IMAGE_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;

/*
 * At boot, before a VM runs. ERR_RANGE: no frames, or beyond the machine's RAM; ERR_EXISTS: some
 * are the allocator's, or adopted already; ERR_NO_MEMORY: nothing is adopted.
 */
int image_adopt(struct mfn first, u64 frames) __must_check;

/*
 * A slot over adopted frames from `first` on. A page that is cleared reads as the image again.
 * ERR_INVALID: a frame is not adopted; and as addrspace_add_slot.
 */
int addrspace_add_image(struct addrspace *as, struct gfn_range range,
			struct mfn first) __must_check;

/*
 * Backs gfn by the adopted frame. The caller checks that the guest may read it. Event CLEAR, if the
 * page had a backing. ERR_RANGE: no memory there; ERR_PERMISSION: the guest may not write it;
 * ERR_BUSY: pinned, or being changed; ERR_NO_MEMORY, ERR_REENTRANT. Takes LOCK_MMU.
 */
int addrspace_map_image(struct addrspace *as, struct gfn gfn, struct mfn mfn) __must_check;

#endif
