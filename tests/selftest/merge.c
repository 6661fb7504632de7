/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c: address spaces that share pages come and go, with the machine's memory.
 *
 * Why: the host's tests do it ten thousand times with a simulated machine's frames. Here the
 * frames, the direct map and the build are the real ones. Whatever a cycle took is back at its end
 * (MERGE-6).
 */
#define LOG_THIS LOG_TEST

#include <arch/pgtable.h>
#include <lib/log.h>
#include <mm/addrspace.h>
#include <mm/audit.h>
#include <mm/cow.h>
#include <mm/frame.h>
#include <mm/merge.h>
#include <mm/stage2.h>
#include "tests/selftest/selftest.h"

#define CYCLES 100
#define SPACES 3u
#define PAGES  64u

static struct space {
	struct addrspace *as;
	struct stage2 *s2;
} spaces[SPACES];

static u64 broken;

/*
 * Pages of a cycle are alike in all spaces, four by four; page 0 is zero, and the last one is the
 * space's own.
 */
static u64 content(unsigned cycle, unsigned space, unsigned page)
{
	return page == PAGES - 1 ? 1000 + space : page / 4 * (cycle + 1);
}

static void write_page(struct addrspace *as, unsigned page, u64 value)
{
	CHECK(addrspace_write(as, (struct gpa){page * PAGE_SIZE}, &value, sizeof(value)) == 0);
}

static void check_pages(unsigned cycle, unsigned space)
{
	for (unsigned page = 0; page < PAGES; page++) {
		u64 value;

		CHECK(addrspace_read(spaces[space].as, (struct gpa){page * PAGE_SIZE}, &value,
				     sizeof(value)) == 0);
		CHECK(value == content(cycle, space, page));
	}
}

static void begin_space(unsigned cycle, unsigned space)
{
	const struct pgtable_format *format = space % 2 ? &ept_format : &npt_format;
	const struct gfn_range range = gfn_range((struct gfn){0}, PAGES);
	struct space *s = &spaces[space];

	CHECK(addrspace_create("selftest", &s->as) == 0);
	CHECK(addrspace_add_slot(s->as, range, SLOT_RAM) == 0);
	CHECK(stage2_create(s->as, format, &s->s2) == 0);
	CHECK(merge_add(s->as, range, 1) == 0);
	for (unsigned page = 0; page < PAGES; page++)
		write_page(s->as, page, content(cycle, space, page));
}

static void end_space(struct space *s)
{
	merge_remove_all(s->as);
	stage2_destroy(s->s2);
	addrspace_destroy(s->as);
}

/*
 * Some pages of the first space come apart again, by a write that changes nothing and by the call.
 */
static void break_some(unsigned cycle)
{
	for (unsigned page = 0; page < PAGES; page += 2) {
		if (page % 4)
			write_page(spaces[0].as, page, content(cycle, 0, page));
		else
			CHECK(cow_break(spaces[0].as, (struct gfn){page}) == 0);
		broken++;
	}
}

static void one_cycle(unsigned cycle)
{
	unsigned first = cycle % SPACES;
	struct audit_report report;

	for (unsigned i = 0; i < SPACES; i++)
		begin_space(cycle, i);
	for (unsigned pass = 0; pass < 3; pass++)
		(void)merge_scan(SPACES * PAGES);
	break_some(cycle);
	for (unsigned i = 0; i < SPACES; i++)
		check_pages(cycle, i);
	for (unsigned i = 0; i < SPACES; i++) {
		CHECK(audit_space(spaces[(first + i) % SPACES].as, &report) == 0);
		end_space(&spaces[(first + i) % SPACES]);
	}
	CHECK(audit_run(0, &report) == 0);
}

void selftest_merge(void)
{
	struct merge_stats begun, ended;
	unsigned engines = 0;
	struct frame_stats before, after;

	while (merge_engine_at(engines))
		engines++;
	merge_stats(&begun);
	frame_stats(&before);
	for (unsigned cycle = 0; cycle < CYCLES; cycle++) {
		struct merge_limits limits = {.cap = 4, .secure = cycle % 4 == 3, .zero = true};

		CHECK(merge_configure(merge_engine_at(cycle % engines), &limits) == 0);
		one_cycle(cycle);
		frame_stats(&after);
		CHECK(after.free == before.free);
	}
	merge_stats(&ended);
	log_info("selftest: merge: %u cycles, %llu merged, %llu broken, audits clean, frames as "
		 "before",
		 CYCLES, (unsigned long long)(ended.merged - begun.merged),
		 (unsigned long long)broken);
}
