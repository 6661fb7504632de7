/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h: how many instructions a piece of code takes, by callgrind.
 *
 *     bench_begin();
 *     for (...) {
 *             prepare();
 *             bench_on();
 *             what_is_measured();
 *             bench_off();
 *     }
 *     bench_end("fault_fill", rounds);
 *
 * Only what stands between on and off is counted. scripts/benches/mm.py reads the counts, takes off
 * what on and off cost themselves (bench "empty"), and divides by the rounds. Without valgrind the
 * program runs and says nothing.
 */
#ifndef SAMEPAGE_TESTS_BENCH_H
#define SAMEPAGE_TESTS_BENCH_H

#include <stdio.h>
#include <valgrind/callgrind.h>

static unsigned long bench_times; /* on and off */

static inline void bench_begin(void)
{
	bench_times = 0;
	CALLGRIND_ZERO_STATS;
}

static inline __attribute__((__always_inline__)) void bench_on(void)
{
	bench_times++;
	CALLGRIND_TOGGLE_COLLECT;
}

static inline __attribute__((__always_inline__)) void bench_off(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}

static inline void bench_end(const char *name, unsigned long rounds)
{
	char label[96];

	snprintf(label, sizeof(label), "bench %s %lu %lu", name, rounds, bench_times);
	CALLGRIND_DUMP_STATS_AT(label);
}

#endif
