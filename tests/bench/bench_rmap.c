/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_rmap.c: a frame with many users gets one and loses one, in instructions; bytes of the rmap
 * for each are in unit/mm/rmap/key_set.
 */
#include "bench_mm.h"

#include <mm/rmap.h>

#define ROUNDS 512

/* The n-th user of so many, in an order that has nothing to do with the keys'. */
static struct gfn user_of(u64 n, u64 users)
{
	return (struct gfn){n * 104729 % users};
}

static void bench_users(u64 users)
{
	struct mfn mfn;
	char name[64];

	sim_boot(1, 64 * MIB);
	must(frame_alloc(0, FRAME_GUEST, 0, &mfn));
	for (u64 i = 0; i < users; i++)
		must(rmap_add(mfn, 1, user_of(i, users)));
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++) {
		bench_on();
		rmap_remove(mfn, 1, user_of(i, users));
		bench_off();
		must(rmap_add(mfn, 1, user_of(i, users)));
	}
	snprintf(name, sizeof(name), "rmap_remove_%lu", users);
	bench_end(name, ROUNDS);
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++) {
		rmap_remove(mfn, 1, user_of(i, users));
		bench_on();
		must(rmap_add(mfn, 1, user_of(i, users)));
		bench_off();
	}
	snprintf(name, sizeof(name), "rmap_add_%lu", users);
	bench_end(name, ROUNDS);
	for (u64 i = 0; i < users; i++)
		rmap_remove(mfn, 1, user_of(i, users));
}

void bench_rmap(void)
{
	static const u64 users[] = {2, 3, 16, 256, 4096, 100000};

	for (unsigned i = 0; i < ARRAY_SIZE(users); i++)
		bench_users(users[i]);
}
