/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_data.c: the pages that both scanners are given. bench_merge.h has the idea.
 */
#include "bench_merge.h"

#include <stdio.h>
#include <time.h>

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t bench_matches(const struct bench_data *data, uint64_t page)
{
	return page * data->duplicates / 100;
}

uint64_t bench_content(const struct bench_data *data, uint64_t page)
{
	uint64_t before = bench_matches(data, page), all = bench_matches(data, data->pages);

	if (bench_matches(data, page + 1) == before)
		return data->pages + page;
	return before % ((all + BENCH_COPIES - 1) / BENCH_COPIES);
}

static uint64_t word(const struct bench_data *data, uint64_t content, unsigned i)
{
	bool own = !data->late || i == BENCH_WORDS - 1;

	return mix(data->seed + (own ? content * 0x9e3779b97f4a7c15 : 0) + i);
}

void bench_fill(const struct bench_data *data, uint64_t content, uint64_t *to)
{
	for (unsigned i = 0; i < BENCH_WORDS; i++)
		to[i] = word(data, content, i);
}

bool bench_verify(const struct bench_data *data, uint64_t content, const uint64_t *page)
{
	for (unsigned i = 0; i < BENCH_WORDS; i++) {
		if (page[i] != word(data, content, i))
			return false;
	}
	return true;
}

/* One page of each `pages / count` neighbours, at a place that depends on the round. */
uint64_t bench_victim(const struct bench_data *data, unsigned round, uint64_t n, uint64_t count)
{
	uint64_t stride = data->pages / count;

	return n * stride + mix(data->seed + round * 1000003 + n) % stride;
}

uint64_t bench_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void bench_print(const char *name, double value, const char *unit)
{
	printf("bench: %s %.3f %s\n", name, value, unit);
	fflush(stdout);
}
