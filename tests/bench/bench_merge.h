/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_merge.h: what the two halves of the bench of merging share: the data, and how a figure is
 * printed.
 *
 * Both scanners, Samepage's and the running kernel's, get the same pages: `duplicates` percent of
 * them, spread evenly, have one of so many contents that each comes BENCH_COPIES times; every other
 * page is alone. All content is random words from a seed. With `late` set, pages differ only in
 * their last word: the bad case of trees.
 */
#ifndef SAMEPAGE_TESTS_BENCH_MERGE_H
#define SAMEPAGE_TESTS_BENCH_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_PAGE   4096u
#define BENCH_WORDS  (BENCH_PAGE / sizeof(uint64_t))
#define BENCH_COPIES 4u

struct bench_data {
	uint64_t pages, duplicates, seed;
	bool late;
};

/*
 * Pages below `page` that have a match, and the content of a page: equal numbers, equal content.
 */
uint64_t bench_matches(const struct bench_data *data, uint64_t page);
uint64_t bench_content(const struct bench_data *data, uint64_t page);
void bench_fill(const struct bench_data *data, uint64_t content, uint64_t *to);

/* Is `to` what bench_fill would make of it? */
bool bench_verify(const struct bench_data *data, uint64_t content, const uint64_t *page);

/* The n-th of the pages that a round changes, of `count`; each round others. */
uint64_t bench_victim(const struct bench_data *data, unsigned round, uint64_t n, uint64_t count);

/* Time this thread has run, in nanoseconds. */
uint64_t bench_clock(void);

/* "bench: NAME VALUE UNIT": thousandths, so that a few nanoseconds a page are seen. */
void bench_print(const char *name, double value, const char *unit);

/*
 * The running kernel's merging, on the same data. Nothing is printed but the reason, if it cannot
 * be measured.
 */
int bench_ksm(const struct bench_data *data, unsigned rounds);

#endif
