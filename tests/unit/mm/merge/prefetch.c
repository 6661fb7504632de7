/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch.c: the content that is prefetched while another one is hashed is the one that is hashed
 * next.
 */
#include "sim/merge_check.h"

#include "mm/merge/content_hash.h"
#include "mm/merge/private.h"

#define PAGES 1024u /* two chunks */

/* The hashes since begin(): of what, and what each was given to prefetch. */
static const void *hashed[4 * PAGES], *ahead[4 * PAGES];
static unsigned hashes;

u64 __real_page_content_hash(const void *page, const void *next);
u64 __wrap_page_content_hash(const void *page, const void *next);
u64 __wrap_page_content_hash(const void *page, const void *next)
{
	assert_true(hashes < ARRAY_SIZE(hashed));
	hashed[hashes] = page;
	ahead[hashes++] = next;
	return __real_page_content_hash(page, next);
}

static struct addrspace *as;
static struct stage2 *s2;

static const void *content_of(u64 page)
{
	return merge_content((struct mfn){world_mfn(as, page)});
}

static void write_page(u64 page, u64 value)
{
	assert_int_equal(guest_write(s2, page << PAGE_SHIFT, value), FAULT_MAPPED);
}

static void pass(void)
{
	guest_out();
	hashes = 0;
	assert_int_equal(merge_scan(PAGES), PAGES);
}

static void begin(void)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	world_begin(1, 64);
	assert_int_equal(merge_configure(&merge_engine_hash, &limits), 0);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, page + 1);
}

static void end(void)
{
	check_audit();
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/* In batches of sixteen, and behind the last of a batch, too; not behind the last of a chunk. */
static void each_content_is_prefetched_by_the_hash_of_the_page_before_it(void **state)
{
	begin();
	pass();
	assert_int_equal(hashes, PAGES);
	for (unsigned page = 0; page < PAGES; page++) {
		bool last = (page + 1) % MERGE_CHUNK == 0;

		assert_ptr_equal(hashed[page], content_of(page));
		assert_ptr_equal(ahead[page], last ? NULL : content_of(page + 1));
	}
	end();
}

/* Behind the last of a few written pages nothing is: the page after it is not going to be read. */
static void only_what_will_be_read_is_prefetched(void **state)
{
	begin();
	pass();
	pass();
	write_page(3, 9000);
	write_page(77, 9001);
	write_page(500, 9002);
	pass();
	assert_int_equal(hashes, 3);
	assert_ptr_equal(ahead[0], content_of(77));
	assert_ptr_equal(ahead[1], content_of(500));
	assert_null(ahead[2]);
	end();
}

/* Page 77 changes at each look, and so is passed over in most passes: nothing waits for it. */
static void a_volatile_page_is_prefetched_only_when_it_is_due(void **state)
{
	unsigned read = 0, passed_over = 0;

	begin();
	for (u64 n = 0; n < 40; n++) {
		write_page(3, 9000 + n % 2);
		write_page(77, 8000 + n);
		write_page(500, 9002 + n % 2);
		pass();
		for (unsigned i = 0; n >= 4 && i + 1 < hashes; i++)
			assert_ptr_equal(ahead[i], hashed[i + 1]);
		read += hashes == 3;
		passed_over += hashes < 3;
	}
	assert_in_range(read, 1, 39);
	assert_in_range(passed_over, 1, 39);
	end();
}

static void the_hash_is_of_the_content_alone(void **state)
{
	begin();
	assert_true(page_content_hash(content_of(1), NULL) ==
		    page_content_hash(content_of(1), content_of(2)));
	assert_true(page_content_hash(content_of(1), NULL) !=
		    page_content_hash(content_of(2), NULL));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_content_is_prefetched_by_the_hash_of_the_page_before_it),
		cmocka_unit_test(only_what_will_be_read_is_prefetched),
		cmocka_unit_test(a_volatile_page_is_prefetched_only_when_it_is_due),
		cmocka_unit_test(the_hash_is_of_the_content_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
