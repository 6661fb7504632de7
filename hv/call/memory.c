/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: calls that change or read a guest's memory from outside, on its own request.
 *
 * A call on a range does a piece of it: up to the next multiple of 512 gfns, so that large leaves
 * stay whole, and for RECLAIM, which compresses each page, fewer. The whole range is checked each
 * time (HYPERCALL-1), so after progress the only error is ERR_NO_MEMORY.
 *
 * DEVICE_READ reads two places: a device model reads in one word of a ring that another is ready,
 * and then reads that. Its order can be observed only if nothing comes between the two.
 */
#include <arch/cpu.h>
#include <hv/dirty.h>
#include <lib/error.h>
#include <lib/string.h>
#include <mm/cow.h>
#include <mm/dirty_log.h>
#include <mm/frame.h>
#include <mm/guest_cache.h>
#include <mm/mirror.h>
#include <mm/reclaim.h>
#include "hv/call/private.h"

#define PIECE	      512 /* frames of a call on a range; powers of 2 */
#define UNMAP_PIECE   256
#define RECLAIM_PIECE 64
#define UNMAP_MAX     4096 /* frames of its range */
#define RECLAIM_MAX   4096
#define DIRTY_MAX     32	   /* so that the result is never negative */
#define MAX_GFN	      (1ull << 40) /* 52 address bits */

bool hypercall_range(const struct vcpu *vcpu, struct gfn_range *out)
{
	u64 first = hypercall_argument(vcpu, 0), frames = hypercall_argument(vcpu, 1);

	if (frames == 0 || first + frames < first || first + frames > MAX_GFN)
		return false;
	*out = gfn_range((struct gfn){first}, frames);
	return true;
}

struct gfn_range hypercall_piece(struct gfn_range whole, u64 frames_max)
{
	u64 end = ALIGN_DOWN(whole.start.raw, frames_max) + frames_max;

	return (struct gfn_range){whole.start, {MIN(whole.end.raw, end)}};
}

/* The first piece of arguments 0 and 1; an error of the whole range. */
static int first_piece(const struct vcpu *vcpu, u64 frames_max, u64 range_max,
		       struct gfn_range *out)
{
	struct gfn_range whole;
	int err;

	if (!hypercall_range(vcpu, &whole) || gfn_range_frames(whole) > range_max)
		return ERR_INVALID;
	err = addrspace_check(vcpu->vm->memory, whole);
	if (err)
		return err;
	*out = hypercall_piece(whole, frames_max);
	return 0;
}

static s64 piece_done(int err, struct gfn_range piece, u64 count)
{
	return err ? hypercall_error(err) : (s64)HYPERCALL_PROGRESS(gfn_range_frames(piece), count);
}

s64 call_protect(struct vcpu *vcpu)
{
	u64 access = hypercall_argument(vcpu, 2);
	struct gfn_range piece;
	int err = first_piece(vcpu, PIECE, MAX_GFN, &piece);

	if (access != HYPERCALL_ACCESS_READ && access != HYPERCALL_ACCESS_WRITE)
		return HYPERCALL_ERROR_INVALID;
	if (!err)
		err = addrspace_protect(vcpu->vm->memory, piece, access == HYPERCALL_ACCESS_WRITE);
	return piece_done(err, piece, 0);
}

s64 call_discard(struct vcpu *vcpu)
{
	struct gfn_range piece;
	int err = first_piece(vcpu, PIECE, MAX_GFN, &piece);

	if (!err)
		err = addrspace_clear(vcpu->vm->memory, piece, 0);
	return piece_done(err, piece, 0);
}

s64 call_watch(struct vcpu *vcpu)
{
	struct gfn_range piece;
	int err = first_piece(vcpu, PIECE, MAX_GFN, &piece);

	if (!err)
		err = addrspace_clear_soft_dirty(vcpu->vm->memory, piece);
	return piece_done(err, piece, 0);
}

s64 call_unmap(struct vcpu *vcpu)
{
	struct gfn_range piece;
	int err = first_piece(vcpu, UNMAP_PIECE, UNMAP_MAX, &piece);

	for (u64 i = 0; !err && i < gfn_range_frames(piece); i++)
		err = addrspace_exclusive(vcpu->vm->memory, gfn_add(piece.start, i), NULL);
	return piece_done(err, piece, 0);
}

int hypercall_device_copy(struct vcpu *vcpu, unsigned device, struct gpa from, void *to, size_t len)
{
	struct guest_cache *cache = vcpu->vm->cache[device];
	void *source;
	int err = guest_cache_get(cache, from, len, false, &source);

	if (err)
		return err;
	memcpy(to, source, len);
	guest_cache_put(cache, from);
	return 0;
}

/* Devices beyond the caches are the mirrors. They load whole words. */
static int mirror_copy(struct vcpu *vcpu, u64 device, struct gpa from, u32 *to)
{
	struct gpa at = {ALIGN_DOWN(from.raw, sizeof(u64))};
	u64 word = 0;
	int err = mirror_read(vcpu->vm->mirror[device], at, &word);

	*to = (u32)(word >> (from.raw & 4 ? 32 : 0));
	return err;
}

static int device_word(struct vcpu *vcpu, u64 device, struct gpa from, u32 *to)
{
	unsigned caches = vcpu->vm->config.devices;

	if (device < caches)
		return hypercall_device_copy(vcpu, (unsigned)device, from, to, sizeof(*to));
	return mirror_copy(vcpu, device - caches, from, to);
}

s64 call_device_read(struct vcpu *vcpu)
{
	u64 from[] = {hypercall_argument(vcpu, 0), hypercall_argument(vcpu, 1)};
	u64 device = hypercall_argument(vcpu, 2);
	u32 word[2];

	if (device >= vcpu->vm->config.devices + vcpu->vm->mirrors)
		return HYPERCALL_ERROR_RANGE;
	if (!IS_ALIGNED(from[0] | from[1], sizeof(u32)))
		return HYPERCALL_ERROR_INVALID;
	for (unsigned i = 0; i < ARRAY_SIZE(from); i++) {
		int err = device_word(vcpu, device, (struct gpa){from[i]}, &word[i]);

		if (err)
			return hypercall_error(err);
	}
	return (s64)((u64)(word[0] & ~BIT(31)) << 32 | word[1]);
}

static bool same_content(const struct cow_look *a, const struct cow_look *b)
{
	return memcmp(arch_hpa_to_virt(mfn_to_hpa(a->mfn)), arch_hpa_to_virt(mfn_to_hpa(b->mfn)),
		      PAGE_SIZE) == 0;
}

/*
 * Guarded pages only: their content stands still, or the last two steps notice that it did not
 * (COW-2).
 */
static int share_protected(struct addrspace *as, struct gfn a, struct gfn b)
{
	struct cow_look look_a, look_b;
	int err = cow_look(as, a, &look_a);

	if (!err)
		err = cow_look(as, b, &look_b);
	if (err)
		return err;
	if (!same_content(&look_a, &look_b))
		return ERR_INVALID;
	err = cow_offer(as, a, &look_a);
	if (err)
		return err;
	err = cow_share(as, b, &look_b, look_a.mfn);
	if (frame_put(look_a.mfn)) /* the offer's */
		frame_free(look_a.mfn, 0);
	return err;
}

s64 call_share(struct vcpu *vcpu)
{
	struct addrspace *as = vcpu->vm->memory;
	struct gfn a = {hypercall_argument(vcpu, 0)}, b = {hypercall_argument(vcpu, 1)};
	int err;

	if (a.raw == b.raw || a.raw >= MAX_GFN || b.raw >= MAX_GFN)
		return HYPERCALL_ERROR_INVALID;
	err = cow_protect(as, gfn_range(a, 1));
	if (!err)
		err = cow_protect(as, gfn_range(b, 1));
	if (!err)
		err = share_protected(as, a, b);
	return hypercall_error(err);
}

s64 call_dirty(struct vcpu *vcpu)
{
	struct gfn_range range;
	u64 bitmap;
	int err;

	if (!hypercall_range(vcpu, &range) || gfn_range_frames(range) > DIRTY_MAX)
		return HYPERCALL_ERROR_INVALID;
	dirty_drain(vcpu);
	err = dirty_log_collect(vcpu->vm->memory, range, &bitmap);
	return err ? hypercall_error(err) : (s64)bitmap;
}

s64 call_reclaim(struct vcpu *vcpu)
{
	struct gfn_range piece;
	u64 done = 0;
	int err = first_piece(vcpu, RECLAIM_PIECE, RECLAIM_MAX, &piece);

	if (!err)
		err = addrspace_reclaim(vcpu->vm->memory, piece, &done);
	return piece_done(err, piece, done);
}
