/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.c: lab 6. Passes of the scanner over known contents, with the exact number of frames and
 * references; and a guest that writes to a page while it is merged, in every interleaving with
 * three preemptions.
 */
#include "sim/explore.h"
#include "sim/merge_check.h"

#include <mm/audit.h>
#include <mm/rmap.h>

#include "mm/merge/content_hash.h"
#include "mm/merge/private.h"

#define PAGES 64

static struct addrspace *as;
static struct stage2 *s2;

static void begin_limits(const struct merge_engine *engine, struct merge_limits limits)
{
	assert_int_equal(merge_configure(engine, &limits), 0);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
}

static void begin_with(const struct merge_engine *engine)
{
	begin_limits(engine, (struct merge_limits){.cap = 256, .zero = true});
}

static void end(void)
{
	guest_out();
	addrspace_settle(as);
	check_audit();
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	check_audit();
}

static void pass(unsigned times)
{
	while (times--)
		assert_int_equal(merge_scan(PAGES), PAGES);
	addrspace_settle(as);
}

static struct merge_stats stats(void)
{
	struct merge_stats out;

	merge_stats(&out);
	return out;
}

static void pages_of_zeroes_are_backed_by_the_frame_of_zeroes(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		u64 zeroed, value;

		world_begin(1, 16);
		begin_with(merge_engine_at(e));
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			fill_page(as, gfn, gfn % 2 ? gfn : 0);
		zeroed = stats().zeroed;
		pass(2);
		assert_int_equal(stats().zeroed - zeroed, PAGES / 2);
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			assert_int_equal(merge_reason(as, (struct gfn){gfn}) == MERGE_ZERO,
					 gfn % 2 == 0);
		assert_int_equal(guest_write(s2, 4 * PAGE_SIZE, 9), FAULT_MAPPED);
		assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
		assert_int_equal(value, 0);
		end();
		world_end();
	}
}

static void zeroes_stay_in_secure_mode_and_where_the_limits_say_so(void **state)
{
	const struct merge_limits limits[] = {{.cap = 256, .zero = true},
					      {.cap = 256, .zero = false},
					      {.cap = 256, .zero = true, .secure = true}};

	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
		bool zeroed = !limits[i].secure && limits[i].zero;

		world_begin(1, 16);
		begin_limits(merge_engine_at(0), limits[i]);
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			fill_page(as, gfn, 0);
		pass(1);
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			assert_int_equal(merge_reason(as, (struct gfn){gfn}) == MERGE_ZERO, zeroed);
		end();
		world_end();
	}
}

/* Makes the frame of page 0 a stable one, as if a match had been found. */
static void make_stable(void)
{
	struct merge_domain *domain;
	struct cow_look look;
	struct merge_key key;

	spin_lock(&merge_regions_lock);
	domain = merge_domain_find(0);
	spin_unlock(&merge_regions_lock);
	assert_int_equal(cow_protect_look(as, (struct gfn){0}, &look), 0);
	assert_int_equal(cow_offer(as, (struct gfn){0}, &look), 0);
	key.content = merge_content(look.mfn);
	key.tag = (u32)page_content_hash(key.content, NULL) & TAG_MASK;
	spin_lock(&domain->lock);
	assert_int_equal(stable_new(domain, &key, look.mfn), 0);
	spin_unlock(&domain->lock);
}

static const char *written_at;
static u64 written_page;

/* CPU 1's guest writes to a page at one race point. */
static void write_at(const char *name)
{
	if (!written_at || strcmp(name, written_at) != 0)
		return;
	written_at = NULL;
	sim_set_cpu(1);
	assert_int_equal(guest_write(s2, written_page * PAGE_SIZE, 9), FAULT_MAPPED);
	guest_out();
	sim_set_cpu(0);
}

/* One pass, during which page `gfn` is written at the race point. */
static void pass_with_write(u64 gfn, const char *point)
{
	written_at = point;
	written_page = gfn;
	sim_on_race_point = write_at;
	pass(1);
	sim_on_race_point = NULL;
	if (written_at)
		fail_msg("RACE_POINT(\"%s\") was not passed", point);
}

/* With the engine `tree`, of which the lab takes nothing. */
static void a_page_is_backed_by_a_frame_of_the_same_content_alone(void **state)
{
	static const char *const points[] = {"merge: write-protected", "merge: compared"};
	struct merge_stats before;
	u64 value;

	world_begin(2, 16);
	begin_with(&merge_engine_tree);
	for (u64 gfn = 0; gfn < PAGES / 2; gfn++)
		fill_page(as, gfn, gfn < 16 ? 7 : 1000 + gfn);
	make_stable();
	before = stats();
	pass(1);
	for (u64 gfn = 0; gfn < PAGES / 2; gfn++)
		assert_int_equal(world_mfn(as, gfn) == world_mfn(as, 0), gfn < 16);
	assert_int_equal(stats().merged - before.merged, 15);
	assert_int_equal(frame_refs((struct mfn){world_mfn(as, 0)}), 17);
	for (u64 i = 0; i < 2; i++) {
		before = stats();
		fill_page(as, 40 + i, 7);
		pass_with_write(40 + i, points[i]);
		assert_int_equal(guest_read(s2, (40 + i) * PAGE_SIZE, &value), FAULT_MAPPED);
		assert_int_equal(value, 9);
		guest_out();
		assert_int_equal(stats().lost_races - before.lost_races, 1);
		assert_int_equal(stats().merged, before.merged);
	}
	assert_int_equal(frame_refs((struct mfn){world_mfn(as, 0)}), 17);
	end();
	world_end();
}

/* Eight contents, eight pages of each. */
static void what_is_the_same_ends_in_one_frame_with_exact_references(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		world_begin(1, 16);
		begin_with(merge_engine_at(e));
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			fill_page(as, gfn, 1 + gfn % 8);
		pass(3);
		for (u64 gfn = 0; gfn < PAGES; gfn++) {
			struct mfn mfn = {world_mfn(as, gfn)};

			assert_int_equal(mfn.raw, world_mfn(as, gfn % 8));
			assert_int_equal(rmap_count(mfn), PAGES / 8);
			assert_int_equal(frame_refs(mfn), PAGES / 8 + 1); /* the index's */
			assert_int_equal(merge_reason(as, (struct gfn){gfn}), MERGE_SHARED);
		}
		end();
		world_end();
	}
}

/*
 * All frames of a content are full (the cap is 2), so page 3 meets the unstable page 2, which is
 * written then: its frame, with another content now, must not stand in the chain of the old one,
 * or every later page of the old content is given that frame and is never merged.
 */
static void a_match_that_was_written_does_not_lead_its_content_astray(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		world_begin(2, 16);
		begin_limits(merge_engine_at(e), (struct merge_limits){.cap = 2, .zero = true});
		for (u64 gfn = 0; gfn < 3; gfn++)
			fill_page(as, gfn, 7);
		pass(2);
		assert_int_equal(world_mfn(as, 0), world_mfn(as, 1));
		fill_page(as, 3, 7);
		pass(1);
		pass_with_write(2, "merge: match taken");
		for (u64 gfn = 4; gfn < 7; gfn++)
			fill_page(as, gfn, 7);
		pass(4);
		for (u64 gfn = 3; gfn < 7; gfn++)
			assert_int_equal(rmap_count((struct mfn){world_mfn(as, gfn)}), 2);
		end();
		world_end();
	}
}

static const struct merge_engine *engine;

/* Pages 5 and 6 are alike and were looked at once; page 7 is zero since. */
static void setup(void *world)
{
	u64 value;

	begin_with(engine);
	for (u64 gfn = 0; gfn < PAGES; gfn++)
		fill_page(as, gfn, gfn == 5 || gfn == 6 ? 77 : 1000 + gfn);
	pass(1);
	fill_page(as, 7, 0);
	sim_set_cpu(1);
	assert_int_equal(guest_read(s2, 5 * PAGE_SIZE, &value), FAULT_MAPPED);
	sim_set_cpu(0);
}

static void scanner(void *world)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(merge_scan(PAGES), PAGES);
}

static void writer(void *world)
{
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE, 5), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 7 * PAGE_SIZE + 8, 7), FAULT_MAPPED);
	guest_out();
}

static void read_is(u64 gpa, u64 expected)
{
	u64 value;

	assert_int_equal(guest_read(s2, gpa, &value), FAULT_MAPPED);
	if (value != expected)
		fail_msg("0x%llx reads %llu, not %llu, in the schedule%s", (unsigned long long)gpa,
			 (unsigned long long)value, (unsigned long long)expected, sched_trace());
}

static u64 merged_often;

static void check(void *world)
{
	read_is(5 * PAGE_SIZE, 5);
	read_is(5 * PAGE_SIZE + 8, 77);
	read_is(6 * PAGE_SIZE, 77);
	read_is(7 * PAGE_SIZE, 0);
	read_is(7 * PAGE_SIZE + 8, 7);
	fill_page(as, 20, 0);
	fill_page(as, 21, 0);
	guest_out();
	pass(3);
	merged_often += merge_reason(as, (struct gfn){20}) == MERGE_ZERO;
	end();
}

static void a_page_written_during_its_merge_stays_what_was_written(void **state)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {scanner, writer},
						.check = check,
						.preemptions = 2,
						.limit = 3000};

	merged_often = 0;
	for (unsigned e = 0; e < merge_engines(); e++) {
		engine = merge_engine_at(e);
		world_begin(2, 16);
		sched_explore(&scenario);
		world_end();
	}
	assert_true(merged_often > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_zeroes_are_backed_by_the_frame_of_zeroes),
		cmocka_unit_test(zeroes_stay_in_secure_mode_and_where_the_limits_say_so),
		cmocka_unit_test(a_page_is_backed_by_a_frame_of_the_same_content_alone),
		cmocka_unit_test(what_is_the_same_ends_in_one_frame_with_exact_references),
		cmocka_unit_test(a_match_that_was_written_does_not_lead_its_content_astray),
		cmocka_unit_test(a_page_written_during_its_merge_stays_what_was_written),
	};

	return cmocka_run_group_tests_name("lab6_pages", tests, NULL, NULL);
}
