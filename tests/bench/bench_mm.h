/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_mm.h: the parts of the bench of mm.
 */
#ifndef SAMEPAGE_TESTS_BENCH_MM_H
#define SAMEPAGE_TESTS_BENCH_MM_H

#include "sim/sim.h"

#include <mm/addrspace.h>

#include "bench.h"

/* An address space with one slot of `frames` gfns on a fresh machine. */
struct addrspace *bench_space(u64 frames);

static inline struct gfn_range bench_range(u64 gfn, u64 frames)
{
	return gfn_range((struct gfn){gfn}, frames);
}

/* Ends the program when something that must work did not. */
void must(int err);

void bench_notifier(void);
void bench_rmap(void);
void bench_walk(void);

#endif
