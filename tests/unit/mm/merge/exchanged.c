/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchanged.c: a frame leaves its page while a visit reads it, and is used for something else.
 *
 *     visit of page 0                       meanwhile
 *     ---------------                       ---------
 *     PTE: frame M
 *                                           page 0 gets another frame, or none; page 2 gets M
 *     hash: of page 2's content
 *                                           page 0 may get M again
 *
 * Page 0 is clean all the time. What was read is a hint: it is read again, and merged with page 1.
 */
#include "sim/merge_check.h"

#include <mm/reclaim.h>

#include "mm/merge/private.h"

#define PAGES 3u

u64 __real_page_content_hash(const void *page, const void *next);
u64 __wrap_page_content_hash(const void *page, const void *next);

/* Around the next hash. */
static void (*before_hash)(void), (*after_hash)(void);

static void call_once(void (**hook)(void))
{
	void (*call)(void) = *hook;

	*hook = NULL;
	if (call)
		call();
}

u64 __wrap_page_content_hash(const void *page, const void *next)
{
	u64 hash;

	call_once(&before_hash);
	hash = __real_page_content_hash(page, next);
	call_once(&after_hash);
	return hash;
}

static struct addrspace *as;
static struct stage2 *s2;
static u64 left;

static void page_2_gets_the_frame(void)
{
	assert_int_equal(guest_write(s2, 2 << PAGE_SHIFT, 9), FAULT_MAPPED);
	guest_out();
	assert_int_equal(world_mfn(as, 2), left);
}

static void migrate(void)
{
	left = world_mfn(as, 0);
	assert_int_equal(addrspace_migrate(as, (struct gfn){0}), 0);
	page_2_gets_the_frame();
}

static void reclaim(void)
{
	u64 done;

	left = world_mfn(as, 0);
	assert_int_equal(addrspace_reclaim(as, world_range(0, 1), &done), 0);
	assert_int_equal(done, 1);
	page_2_gets_the_frame();
}

static void restore(void)
{
	u64 value;

	assert_int_equal(addrspace_clear(as, world_range(2, 1), 0), 0);
	assert_int_equal(guest_read(s2, 0, &value), FAULT_MAPPED);
	guest_out();
	assert_int_equal(value, 7);
	assert_int_equal(world_mfn(as, 0), left);
}

/* Pages 0 and 1 are alike; the hooks run in the first visit of page 0. */
static void is_found(void (*before)(void), void (*after)(void))
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	world_begin(1, 8);
	assert_int_equal(reclaim_init(), 0);
	assert_int_equal(merge_configure(&merge_engine_hash, &limits), 0);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
	for (u64 page = 0; page < 2; page++)
		assert_int_equal(guest_write(s2, page << PAGE_SHIFT, 7), FAULT_MAPPED);
	guest_out();
	before_hash = before;
	after_hash = after;
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(merge_scan(PAGES), PAGES);
	assert_int_equal(world_mfn(as, 0), world_mfn(as, 1));
	check_audit();
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void a_page_that_was_migrated_under_a_visit_is_read_again(void **state)
{
	is_found(migrate, NULL);
}

/* By its generation alone: frame and state are what they were. */
static void a_page_that_was_reclaimed_and_restored_under_a_visit_is_read_again(void **state)
{
	is_found(reclaim, restore);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_that_was_migrated_under_a_visit_is_read_again),
		cmocka_unit_test(
			a_page_that_was_reclaimed_and_restored_under_a_visit_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
