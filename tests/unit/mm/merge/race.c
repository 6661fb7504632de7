/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.c: scanners against each other, in every interleaving.
 *
 *     CPU 0: scans                          CPU 1: scans; the cursor comes round while CPU 0 is still inside
 *
 * A page is in its domain's index once or not at all: once taken out, it is not found any more. And
 * of pages that read the same none is left over, however many looked at them at the same time.
 */
#include "sim/explore.h"
#include "sim/merge_check.h"

#include <lib/log.h>
#include <mm/audit.h>

#include "mm/merge/content_hash.h"
#include "mm/merge/private.h"

#define PAGES 2

static struct race {
	const struct merge_engine *engine;
	struct addrspace *as;
	struct stage2 *s2;
} race;

static void setup(void *world)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};
	struct race *r = world;

	assert_int_equal(merge_configure(r->engine, &limits), 0);
	r->as = world_space(PAGES);
	r->s2 = world_stage2(r->as);
	assert_int_equal(merge_add(r->as, world_range(0, PAGES), 0), 0);
	for (u64 page = 0; page < PAGES; page++)
		assert_int_equal(guest_write(r->s2, page << PAGE_SHIFT, 100 + page), FAULT_MAPPED);
	guest_out();
	(void)merge_scan(PAGES);
}

static void scanner(void *world)
{
	(void)merge_scan(PAGES);
}

static void check_page(struct race *r, u64 page)
{
	struct merge_region *region = merge_first_region(r->as);
	struct merge_ref ref = merge_ref(region, (struct gfn){page});
	struct merge_key key = {.sampled = false};

	key.content = merge_content((struct mfn){world_mfn(r->as, page)});
	key.tag = (u32)page_content_hash(key.content, NULL) & TAG_MASK;
	spin_lock(&region->domain->lock);
	assert_int_equal(r->engine->unstable_find(region->domain, &key), page);
	spin_unlock(&region->domain->lock);
	unstable_remove(&ref);
	spin_lock(&region->domain->lock);
	if (r->engine->unstable_find(region->domain, &key) != MERGE_PAGE_NONE)
		fail_msg("page %llu was in twice after%s", (unsigned long long)page, sched_trace());
	spin_unlock(&region->domain->lock);
}

static void check(void *world)
{
	struct audit_report report;
	struct race *r = world;

	for (u64 page = 0; page < PAGES; page++)
		check_page(r, page);
	assert_int_equal(audit_run(0, &report), 0);
	merge_remove_all(r->as);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

static void with_each_engine(const struct sched_scenario *scenario)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		race.engine = merge_engine_at(e);
		world_begin(2, 16);
		sched_explore(scenario);
		world_end();
	}
}

/* MERGE-7. */
static void a_page_waits_once_however_many_scan(void **state)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {scanner, scanner},
						.check = check,
						.world = &race,
						.preemptions = 2,
						.limit = 2000};

	with_each_engine(&scenario);
}

/*
 *     CPU 0: at VM a's page                 CPU 1: at VM b's page, and then c's; all read the same
 *
 *     no candidate
 *                                           no candidate
 *     waits                                 waits: two that will not look again
 *
 * or, if both are found by a third: taken out of the index, not yet shared, and not found by
 * either.
 */
#define MATCHES 3

static struct {
	struct addrspace *as[MATCHES];
	struct stage2 *s2[MATCHES];
} matches;

static void setup_matches(void *world)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};
	struct race *r = world;

	assert_int_equal(merge_configure(r->engine, &limits), 0);
	for (unsigned vm = 0; vm < MATCHES; vm++) {
		matches.as[vm] = world_space(1);
		matches.s2[vm] = world_stage2(matches.as[vm]);
		assert_int_equal(merge_add(matches.as[vm], world_range(0, 1), 0), 0);
		assert_int_equal(guest_write(matches.s2[vm], 0, 77), FAULT_MAPPED);
	}
	guest_out();
	(void)merge_scan(MATCHES);
}

static void scanner_of_matches(void *world)
{
	(void)merge_scan(MATCHES);
}

static void tear_down_matches(void)
{
	for (unsigned vm = 0; vm < MATCHES; vm++) {
		merge_remove_all(matches.as[vm]);
		stage2_destroy(matches.s2[vm]);
		addrspace_destroy(matches.as[vm]);
	}
}

static void check_matches(void *world)
{
	(void)merge_scan(MATCHES);
	(void)merge_scan(MATCHES);
	for (unsigned vm = 1; vm < MATCHES; vm++)
		if (world_mfn(matches.as[vm], 0) != world_mfn(matches.as[0], 0))
			fail_msg("VM %u's page was left over after%s", vm, sched_trace());
	check_audit();
	tear_down_matches();
}

/* MERGE-8. */
static void no_match_is_left_over_however_many_scan(void **state)
{
	const struct sched_scenario scenario = {.setup = setup_matches,
						.task = {scanner_of_matches, scanner_of_matches},
						.check = check_matches,
						.world = &race,
						.preemptions = 2};

	with_each_engine(&scenario);
}

/*
 *     CPU 0: two matches                      CPU 1: the guest of the one that gives its frame; then the pass ends
 *
 *     the frame is in the index
 *                                           writes: a copy; no sharer is left
 *                                           prunes frames without sharers
 *     the other page is to share the frame
 */
static u64 merged;

static void writer_and_scanner(void *world)
{
	struct merge_stats stats;

	merge_stats(&stats);
	merged += stats.merged;
	for (unsigned vm = 0; vm < MATCHES; vm++)
		assert_int_equal(guest_write(matches.s2[vm], 0, 1000 + vm), FAULT_MAPPED);
	guest_out();
	(void)merge_scan(MATCHES);
}

static void check_written(void *world)
{
	for (unsigned vm = 0; vm < MATCHES; vm++) {
		u64 value;

		assert_int_equal(guest_read(matches.s2[vm], 0, &value), FAULT_MAPPED);
		assert_int_equal(value, 1000 + vm);
	}
	guest_out();
	check_audit();
	tear_down_matches();
}

static void a_frame_stays_while_its_match_is_on_the_way(void **state)
{
	const struct sched_scenario scenario = {.setup = setup_matches,
						.task = {scanner_of_matches, writer_and_scanner},
						.check = check_written,
						.world = &race,
						.preemptions = 2};

	merged = 0;
	with_each_engine(&scenario);
	assert_true(merged > 0); /* some schedules come to the sharing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_waits_once_however_many_scan),
		cmocka_unit_test(no_match_is_left_over_however_many_scan),
		cmocka_unit_test(a_frame_stays_while_its_match_is_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
