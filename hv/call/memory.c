/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: the calls by which a guest's memory is changed or looked at from outside, at its own
 * wish.
 *
 * Why DEVICE_READ reads two places: a device model learns from one word of a ring that another is
 * ready, and then reads that. A guest can tell whether it did so in this order only if nothing
 * comes between the two.
 */
#include <arch/cpu.h>
#include <hv/dirty.h>
#include <lib/error.h>
#include <lib/string.h>
#include <mm/cow.h>
#include <mm/dirty_log.h>
#include <mm/frame.h>
#include <mm/guest_cache.h>
#include <mm/reclaim.h>
#include "hv/call/private.h"

#define FORGET_MAX  4096
#define RECLAIM_MAX 4096
#define DIRTY_MAX   32		 /* so that the answer is never negative */
#define MAX_GFN	    (1ull << 40) /* 52 address bits */

bool hypercall_range(const struct vcpu *vcpu, struct gfn_range *out)
{
	u64 first = hypercall_argument(vcpu, 0), frames = hypercall_argument(vcpu, 1);

	if (frames == 0 || first + frames < first || first + frames > MAX_GFN)
		return false;
	*out = gfn_range((struct gfn){first}, frames);
	return true;
}

s64 call_protect(struct vcpu *vcpu)
{
	struct gfn_range range;
	u64 access = hypercall_argument(vcpu, 2);

	if (!hypercall_range(vcpu, &range) ||
	    (access != HYPERCALL_ACCESS_READ && access != HYPERCALL_ACCESS_WRITE))
		return HYPERCALL_ERROR_INVALID;
	return hypercall_error(
		addrspace_protect(vcpu->vm->memory, range, access == HYPERCALL_ACCESS_WRITE));
}

s64 call_discard(struct vcpu *vcpu)
{
	struct gfn_range range;

	if (!hypercall_range(vcpu, &range))
		return HYPERCALL_ERROR_INVALID;
	return hypercall_error(addrspace_clear(vcpu->vm->memory, range, 0));
}

s64 call_watch(struct vcpu *vcpu)
{
	struct gfn_range range;

	if (!hypercall_range(vcpu, &range))
		return HYPERCALL_ERROR_INVALID;
	return hypercall_error(addrspace_clear_soft_dirty(vcpu->vm->memory, range));
}

s64 call_forget(struct vcpu *vcpu)
{
	struct gfn_range range;
	int err = 0;

	if (!hypercall_range(vcpu, &range) || gfn_range_frames(range) > FORGET_MAX)
		return HYPERCALL_ERROR_INVALID;
	for (u64 i = 0; err == 0 && i < gfn_range_frames(range); i++)
		err = addrspace_exclusive(vcpu->vm->memory, gfn_add(range.start, i), NULL);
	return hypercall_error(err);
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

s64 call_device_read(struct vcpu *vcpu)
{
	u64 from[] = {hypercall_argument(vcpu, 0), hypercall_argument(vcpu, 1)};
	u64 device = hypercall_argument(vcpu, 2);
	u32 word[2];

	if (device >= vcpu->vm->config.devices)
		return HYPERCALL_ERROR_RANGE;
	if (!IS_ALIGNED(from[0] | from[1], sizeof(u32)))
		return HYPERCALL_ERROR_INVALID;
	for (unsigned i = 0; i < ARRAY_SIZE(from); i++) {
		int err = hypercall_device_copy(vcpu, (unsigned)device, (struct gpa){from[i]},
						&word[i], sizeof(u32));

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
	struct gfn_range range;
	u64 done;
	int err;

	if (!hypercall_range(vcpu, &range) || gfn_range_frames(range) > RECLAIM_MAX)
		return HYPERCALL_ERROR_INVALID;
	err = addrspace_reclaim(vcpu->vm->memory, range, &done);
	return err ? hypercall_error(err) : (s64)done;
}
