/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail.c: makes the n-th frame_alloc or frame_alloc_guest fail. The linker sends every call here
 * (--wrap), so the core needs no hook for it.
 */
#include "sim/sim.h"

static u64 calls, fail_from, fail_until;

int __real_frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out);
int __wrap_frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out);
int __real_frame_alloc_guest(struct mfn *out);
int __wrap_frame_alloc_guest(struct mfn *out);

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

static bool fails(void)
{
	u64 call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);

	return fail_from > 0 && call >= fail_from && call < fail_until;
}

int __wrap_frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out)
{
	return fails() ? ERR_NO_MEMORY : __real_frame_alloc(order, kind, flags, out);
}

int __wrap_frame_alloc_guest(struct mfn *out)
{
	return fails() ? ERR_NO_MEMORY : __real_frame_alloc_guest(out);
}
