/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c: merging against a brute-force oracle, for each engine, with guests that write in between
 * (MERGE-1 to
 * MERGE-6).
 */
#include "sim/merge_check.h"

#include <lib/log.h>
#include <mm/audit.h>
#include <mm/frame.h>
#include <mm/rmap.h>

#include "mm/merge/content_hash.h"
#include "mm/merge/private.h"

#define PAGES	    512
#define SPACES_USED 3

struct guests {
	struct addrspace *as[SPACES_USED];
	struct stage2 *s2[SPACES_USED];
	u64 wrote[SPACES_USED][PAGES]; /* what each page's words are, as the oracle has it */
};

/* Every word of the page. */
static void fill(struct guests *g, unsigned vm, u64 page, u64 value)
{
	fill_page(g->as[vm], page, value);
	g->wrote[vm][page] = value;
}

static void check_contents(struct guests *g)
{
	for (unsigned vm = 0; vm < SPACES_USED; vm++) {
		for (u64 page = 0; page < PAGES; page++) {
			u64 first, last;

			assert_int_equal(
				addrspace_read(g->as[vm], (struct gpa){page << 12}, &first, 8), 0);
			assert_int_equal(addrspace_read(g->as[vm],
							(struct gpa){(page << 12) + 4088}, &last,
							8),
					 0);
			if (first != g->wrote[vm][page] || last != g->wrote[vm][page])
				fail_msg("vm %u page %llu reads %llx, not %llx", vm,
					 (unsigned long long)page, (unsigned long long)first,
					 (unsigned long long)g->wrote[vm][page]);
		}
	}
}

static void begin(struct guests *g, const struct merge_engine *engine, struct merge_limits limits,
		  bool one_domain)
{
	world_begin(2, 64);
	*g = (struct guests){0};
	assert_int_equal(merge_configure(engine, &limits), 0);
	for (unsigned vm = 0; vm < SPACES_USED; vm++) {
		g->as[vm] = world_space(PAGES);
		g->s2[vm] = world_stage2(g->as[vm]);
		assert_int_equal(merge_add(g->as[vm], world_range(0, PAGES), one_domain ? 0 : vm),
				 0);
		for (u64 page = 0; page < PAGES; page++)
			fill(g, vm, page, 0);
	}
}

/* Everything stands, and merging goes. */
static void end(struct guests *g)
{
	check_contents(g);
	check_audit();
	for (unsigned vm = 0; vm < SPACES_USED; vm++) {
		merge_remove_all(g->as[vm]);
		stage2_destroy(g->s2[vm]);
		addrspace_destroy(g->as[vm]);
	}
	check_audit();
	world_end();
}

static void pass(unsigned times)
{
	while (times--)
		assert_int_equal(merge_scan(SPACES_USED * PAGES), SPACES_USED * PAGES);
}

/*
 * The frames that must be left when everything that can be merged is: one for each distinct content
 * that is not zero.
 */
static u64 oracle_frames(const struct guests *g)
{
	u64 seen[SPACES_USED * PAGES], count = 0;

	for (unsigned vm = 0; vm < SPACES_USED; vm++) {
		for (u64 page = 0; page < PAGES; page++) {
			u64 i, value = g->wrote[vm][page];

			for (i = 0; i < count && seen[i] != value; i++)
				;
			if (value && i == count)
				seen[count++] = value;
		}
	}
	return count;
}

static u64 distinct_frames(struct guests *g)
{
	u64 count = 0, zero[SPACES_USED] = {0};

	for (unsigned vm = 0; vm < SPACES_USED; vm++) {
		for (u64 page = 0; page < PAGES; page++) {
			u64 mfn = world_mfn(g->as[vm], page);
			struct rmap_entry first;

			if (merge_reason(g->as[vm], (struct gfn){page}) == MERGE_ZERO) {
				assert_true(!zero[vm] || zero[vm] == mfn);
				zero[vm] = mfn;
				continue;
			}
			assert_int_equal(rmap_list((struct mfn){mfn}, NULL, &first, 1), 1);
			count += first.space == addrspace_id(g->as[vm]) && first.gfn.raw == page;
		}
	}
	return count;
}

static void what_is_the_same_ends_in_one_frame(void **state)
{
	struct sim_random random = sim_random_start(41);

	for (unsigned e = 0; e < merge_engines(); e++) {
		struct guests g;

		begin(&g, merge_engine_at(e), (struct merge_limits){.cap = 100000, .zero = true},
		      true);
		for (unsigned vm = 0; vm < SPACES_USED; vm++) {
			for (u64 page = 0; page < PAGES; page++)
				fill(&g, vm, page, sim_below(&random, 200));
		}
		pass(4);
		check_contents(&g);
		assert_int_equal(distinct_frames(&g), oracle_frames(&g));
		end(&g);
	}
}

/* Two engines, the same writes: the same pages end up merged. */
static void random_writes_between_passes_lose_nothing(void **state)
{
	struct sim_random random = sim_random_start(42);

	for (unsigned e = 0; e < merge_engines(); e++) {
		struct guests g;

		begin(&g, merge_engine_at(e), (struct merge_limits){.cap = 16, .zero = true}, true);
		for (unsigned round = 0; round < 30; round++) {
			for (unsigned i = 0; i < 300; i++) {
				unsigned vm = (unsigned)sim_below(&random, SPACES_USED);
				u64 page = sim_below(&random, PAGES);

				if (sim_once_in(&random, 2)) {
					fill(&g, vm, page, sim_below(&random, 40));
				} else {
					u64 value = sim_below(&random, 1000000);

					fill(&g, vm, page, value);
					assert_int_equal(guest_write(g.s2[vm], page << 12, value),
							 FAULT_MAPPED);
				}
			}
			guest_out();
			(void)merge_scan(sim_below(&random, SPACES_USED * PAGES * 2));
			check_contents(&g);
		}
		end(&g);
	}
}

static u32 tag_of(u64 value)
{
	u64 words[PAGE_SIZE / 8];

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = value;
	return (u32)page_content_hash(words, NULL) & TAG_MASK;
}

/* Two contents with hashes that agree in the bits that are kept: among some thousand there are. */
static void find_strangers_with_one_tag(u64 *a, u64 *b)
{
	u32 *first = calloc(TAG_MASK + 1, sizeof(*first));

	content_hash_init();
	for (u32 value = 1;; value++) {
		u32 tag = tag_of(value);

		if (first[tag]) {
			*a = first[tag];
			*b = value;
			break;
		}
		first[tag] = value;
	}
	free(first);
}

static void contents_with_one_tag_are_kept_apart(void **state)
{
	u64 a, b;

	find_strangers_with_one_tag(&a, &b);
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct guests g;
		struct merge_stats before, after;

		begin(&g, merge_engine_at(e), (struct merge_limits){.cap = 256, .zero = true},
		      true);
		for (u64 page = 0; page < 8; page++)
			fill(&g, page % 2, page, page < 4 ? a : b);
		pass(2);
		merge_stats(&before);
		assert_int_equal(before.pages_shared, 2);
		assert_int_equal(before.pages_sharing, 6);
		pass(1);
		merge_stats(&after);
		assert_int_equal(after.pages_read, before.pages_read);
		check_contents(&g);
		end(&g);
	}
}

static u64 frames_free(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.free;
}

/* 1,024 stable frames lose their last users: they are given back a chunk's worth at a visit. */
static void a_visit_sweeps_a_bounded_number_of_frames(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct guests g;
		u64 free;

		begin(&g, merge_engine_at(e), (struct merge_limits){.cap = 2, .zero = true}, true);
		for (unsigned vm = 0; vm < SPACES_USED; vm++)
			for (u64 page = 0; page < PAGES; page++)
				fill(&g, vm, page, 1 + (vm * PAGES + page) / 2);
		pass(4);
		for (unsigned vm = 0; vm < SPACES_USED; vm++)
			for (u64 page = 0; page < PAGES; page++)
				fill(&g, vm, page, 10000 + vm * PAGES + page);
		free = frames_free();
		for (unsigned chunk = 0; chunk < SPACES_USED; chunk++) {
			assert_int_equal(merge_scan(PAGES), PAGES);
			assert_in_range(frames_free() - free, 0, MERGE_CHUNK + 16);
			free = frames_free();
		}
		pass(1);
		assert_in_range(frames_free() - free, 0, MERGE_CHUNK + 16);
		check_audit();
		end(&g);
	}
}

/* MERGE-2. */
static void domains_do_not_share(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct guests g;

		begin(&g, merge_engine_at(e), (struct merge_limits){.cap = 1000, .zero = true},
		      false);
		for (unsigned vm = 0; vm < SPACES_USED; vm++) {
			for (u64 page = 0; page < PAGES; page++)
				fill(&g, vm, page, 7);
		}
		pass(4);
		for (unsigned vm = 1; vm < SPACES_USED; vm++)
			assert_int_not_equal(world_mfn(g.as[0], 0), world_mfn(g.as[vm], 0));
		assert_int_equal(distinct_frames(&g), SPACES_USED);
		end(&g);
	}
}

static void the_cap_bounds_the_sharers_of_a_frame(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct guests g;
		struct merge_stats stats;

		begin(&g, merge_engine_at(e), (struct merge_limits){.cap = 100, .zero = true},
		      true);
		for (unsigned vm = 0; vm < SPACES_USED; vm++) {
			for (u64 page = 0; page < PAGES; page++)
				fill(&g, vm, page, 7);
		}
		pass(5);
		for (u64 page = 0; page < PAGES; page++)
			assert_true(rmap_count((struct mfn){world_mfn(g.as[0], page)}) <= 100);
		merge_stats(&stats);
		assert_int_equal(stats.pages_shared, (SPACES_USED * PAGES + 99) / 100);
		end(&g);
	}
}

static void an_untouched_pass_reads_no_page(void **state)
{
	struct guests g;
	struct merge_stats before, after;

	begin(&g, &merge_engine_hash, (struct merge_limits){.cap = 256, .zero = true}, true);
	for (u64 page = 0; page < PAGES; page++)
		fill(&g, 0, page, page % 300);
	pass(4);
	merge_stats(&before);
	pass(3);
	merge_stats(&after);
	assert_int_equal(after.pages_read, before.pages_read);
	assert_int_equal(after.pages_skipped - before.pages_skipped, 3 * SPACES_USED * PAGES);
	end(&g);
}

static void removing_an_region_makes_its_pages_private_again(void **state)
{
	struct guests g;

	begin(&g, &merge_engine_tree, (struct merge_limits){.cap = 256, .zero = true}, true);
	for (u64 page = 0; page < PAGES; page++)
		fill(&g, 1, page, 5 + page % 3);
	pass(4);
	assert_int_equal(merge_remove(g.as[1], world_range(0, PAGES)), 0);
	for (u64 page = 1; page < PAGES; page++)
		assert_int_not_equal(world_mfn(g.as[1], 0), world_mfn(g.as[1], page));
	assert_int_equal(merge_reason(g.as[1], (struct gfn){0}), MERGE_NEW);
	assert_int_equal(merge_remove(g.as[1], world_range(0, PAGES)), ERR_NOT_FOUND);
	check_contents(&g);
	end(&g);
}

static void what_is_wrong_with_a_range_is_said_and_nothing_happens(void **state)
{
	struct guests g;

	begin(&g, &merge_engine_hash, (struct merge_limits){.cap = 256}, true);
	assert_int_equal(merge_add(g.as[0], world_range(PAGES, 1), 0), ERR_RANGE);
	assert_int_equal(merge_add(g.as[0], world_range(5, 0), 0), ERR_INVALID);
	assert_int_equal(merge_add(g.as[0], world_range(5, 2), 0), ERR_EXISTS);
	assert_int_equal(merge_configure(&merge_engine_tree, &(struct merge_limits){.cap = 256}),
			 ERR_BUSY);
	assert_int_equal(merge_configure(&merge_engine_tree, &(struct merge_limits){.cap = 1}),
			 ERR_BUSY);
	end(&g);
}

static void a_pinned_page_stays_alone(void **state)
{
	struct guests g;

	begin(&g, &merge_engine_hash, (struct merge_limits){.cap = 256, .zero = true}, true);
	for (u64 page = 0; page < 4; page++)
		fill(&g, 0, page, 9);
	assert_int_equal(addrspace_pin(g.as[0], (struct gfn){2}), 0);
	pass(4);
	assert_int_equal(world_mfn(g.as[0], 0), world_mfn(g.as[0], 1));
	assert_int_not_equal(world_mfn(g.as[0], 0), world_mfn(g.as[0], 2));
	assert_int_equal(merge_reason(g.as[0], (struct gfn){2}), MERGE_BUSY);
	addrspace_unpin(g.as[0], (struct gfn){2});
	pass(4);
	assert_int_equal(world_mfn(g.as[0], 0), world_mfn(g.as[0], 2));
	end(&g);
}

#define ROM    512
#define DEVICE 1024

/* MERGE-3: a region may cover all kinds of memory. */
static void a_device_stays_alone_and_rom_stays_read_only(void **state)
{
	const struct mfn registers = {0xfed00};

	for (unsigned e = 0; e < merge_engines(); e++) {
		struct guests g;
		struct gfn rom = {ROM};
		struct addrspace *as;

		begin(&g, merge_engine_at(e), (struct merge_limits){.cap = 256, .zero = true},
		      true);
		as = g.as[0];
		assert_int_equal(addrspace_add_slot(as, world_range(ROM, 8), SLOT_ROM), 0);
		assert_int_equal(addrspace_add_device(as, world_range(DEVICE, 8), registers), 0);
		assert_int_equal(merge_add(as, world_range(ROM, 8), 0), 0);
		assert_int_equal(merge_add(as, world_range(DEVICE, 8), 0), 0);
		fill(&g, 0, 1, 9);
		fill_page(as, ROM, 9);
		for (unsigned i = 0; i < 4; i++)
			(void)merge_scan(SPACES_USED * PAGES + 16);
		assert_int_equal(world_mfn(as, ROM), world_mfn(as, 1));
		assert_int_equal(guest_write(g.s2[0], ROM << PAGE_SHIFT, 1), FAULT_READ_ONLY);
		guest_out();
		for (u64 gfn = DEVICE; gfn < DEVICE + 8; gfn++) {
			assert_int_equal(merge_reason(as, (struct gfn){gfn}), MERGE_ABSENT);
			assert_int_equal(world_mfn(as, gfn), registers.raw + gfn - DEVICE);
		}
		/* Its loader may write, and that shows nowhere else. */
		fill_page(as, rom.raw, 10);
		assert_int_not_equal(world_mfn(as, ROM), world_mfn(as, 1));
		assert_int_equal(guest_write(g.s2[0], ROM << PAGE_SHIFT, 1), FAULT_READ_ONLY);
		guest_out();
		end(&g);
	}
}

static void ten_thousand_lives_leave_no_frame_behind(void **state)
{
	world_begin(1, 64);
	assert_int_equal(merge_configure(&merge_engine_hash,
					 &(struct merge_limits){.cap = 256, .zero = true}),
			 0);
	for (unsigned life = 0; life < 10000; life++) {
		struct frame_stats before, after;
		struct addrspace *as;
		u64 value = 3;

		frame_stats(&before);
		assert_int_equal(addrspace_create("life", &as), 0);
		assert_int_equal(addrspace_add_slot(as, world_range(0, 8), SLOT_RAM), 0);
		assert_int_equal(merge_add(as, world_range(0, 8), 0), 0);
		for (u64 page = 0; page < 8; page++)
			assert_int_equal(addrspace_write(as, (struct gpa){page << 12}, &value, 8),
					 0);
		for (unsigned i = 0; i < 3; i++)
			(void)merge_scan(8);
		merge_remove_all(as);
		addrspace_destroy(as);
		frame_stats(&after);
		assert_int_equal(before.free, after.free);
	}
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_the_same_ends_in_one_frame),
		cmocka_unit_test(random_writes_between_passes_lose_nothing),
		cmocka_unit_test(contents_with_one_tag_are_kept_apart),
		cmocka_unit_test(a_visit_sweeps_a_bounded_number_of_frames),
		cmocka_unit_test(domains_do_not_share),
		cmocka_unit_test(the_cap_bounds_the_sharers_of_a_frame),
		cmocka_unit_test(an_untouched_pass_reads_no_page),
		cmocka_unit_test(removing_an_region_makes_its_pages_private_again),
		cmocka_unit_test(what_is_wrong_with_a_range_is_said_and_nothing_happens),
		cmocka_unit_test(a_pinned_page_stays_alone),
		cmocka_unit_test(a_device_stays_alone_and_rom_stays_read_only),
		cmocka_unit_test(ten_thousand_lives_leave_no_frame_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
