/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail.c: failure injection: one allocation in so many fails.
 *
 * Why a probability and not the n-th allocation: on a machine with several CPUs the n-th is not
 * defined. Each CPU draws from a generator of its own, so a CPU that repeats its allocations
 * repeats its failures.
 *
 * Cost when off: none. frame_alloc() compares its cache's count with the cache's floor, which is 0;
 * injection raises the floor, so that every allocation takes the slow path to frame_fail_now().
 *
 * Invariants:
 *   FAIL-1  an allocation that fails here has changed nothing but the generator (FRAME-4 holds)
 *   FAIL-2  the draws of a CPU depend on its number, the seed and how many there were before
 */
#include "mm/frame/internal.h"
#include <arch/cpu.h>
#include <ck_pr.h>

/* one_in: [a], 0: off. state, failed: [c] of their CPU; other CPUs read `failed` for statistics. */
static struct {
	u64 one_in;
	struct {
		u64 state, failed;
	} __aligned(64) cpu[CONFIG_MAX_CPUS];
} fail;

/* SplitMix64: a counter and a bit mixer. */
static u64 fail_draw(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void frame_fail_set(u64 one_in, u64 seed)
{
	for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
		u64 state = seed + cpu;

		fail.cpu[cpu].state = fail_draw(&state);
		fail.cpu[cpu].failed = 0;
	}
	ck_pr_store_64(&fail.one_in, one_in);
	frame_caches_set_floor(one_in ? ~0u : 0);
}

bool frame_fail_now(void)
{
	unsigned cpu = arch_cpu_id();
	u64 one_in = ck_pr_load_64(&fail.one_in);
	bool now = one_in && fail_draw(&fail.cpu[cpu].state) % one_in == 0;

	fail.cpu[cpu].failed += now;
	return now;
}

u64 frame_fail_count(void)
{
	u64 sum = 0;

	for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++)
		sum += ck_pr_load_64(&fail.cpu[cpu].failed);
	return sum;
}
