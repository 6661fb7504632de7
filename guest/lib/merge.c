/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c: wrappers of the merging hypercalls.
 */
#include <guest.h>

s64 merge_pages(u64 gfn, u64 frames, enum hypercall_merge advice)
{
	while (frames > 0) {
		s64 done = hypercall(HYPERCALL_MERGE, gfn, frames, advice, 0);

		if (done < 0)
			return done;
		gfn += (u64)done;
		frames -= (u64)done;
	}
	return 0;
}

s64 merge_statistics(struct hypercall_merge_stats *out)
{
	/* Does not cross a page, wherever `out` lies. */
	static struct hypercall_merge_stats place __attribute__((aligned(256)));
	s64 size = hypercall(HYPERCALL_MERGE_STATS, (u64)&place, sizeof(place), 0, 0);

	_Static_assert(sizeof(place) <= 256, "");
	if (size < 0)
		return size;
	*out = place;
	return 0;
}
