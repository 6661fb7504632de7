/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail.c: makes the n-th frame_alloc fail. The linker sends every call here (--wrap), so the
 * core needs no hook for it.
 */
#include "sim/sim.h"

static u64 calls, fail_from, fail_until;

int __real_frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out);
int __wrap_frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out);

void sim_fail_frame_alloc(u64 nth, u64 length)
{
	calls = 0;
	fail_from = nth;
	fail_until = nth + length;
}

u64 sim_frame_allocs(void)
{
	return calls;
}

int __wrap_frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out)
{
	u64 call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);

	if (fail_from > 0 && call >= fail_from && call < fail_until)
		return ERR_NO_MEMORY;
	return __real_frame_alloc(order, kind, flags, out);
}
