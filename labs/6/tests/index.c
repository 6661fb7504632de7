/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: lab 6. The engine `hash` by itself, against a table of flags.
 */
#include "sim/merge_check.h"

#include "mm/merge/private.h"

#define PAGES	   256
#define CONTENTS   (PAGES / 2)
#define TAGS	   (PAGES / 4)
#define SLOTS	   1024 /* hash.c's SLOTS_MIN */
#define OPERATIONS 6000

static struct addrspace *as;
static struct merge_domain *domain;
static const struct merge_engine *engine;
static struct merge_region *region;
static bool in_index[PAGES];

/* Two pages of each content, two contents of each tag. */
static u64 content_of(unsigned i)
{
	return i / 2 + 1;
}

/* hash.c's home_of(). */
static u32 home_of(u32 tag)
{
	return (tag * 2654435769u) >> 7 & (SLOTS - 1);
}

/* Homes are three slots apart, with four pages for each: one long run, from the table's end on. */
static u32 tag_of_content(u64 content)
{
	u32 tag = 0;

	while (home_of(tag) != (SLOTS - 20 + content % TAGS * 3) % SLOTS)
		tag++;
	return tag;
}

static struct merge_ref ref_of(unsigned i)
{
	return merge_ref(region, (struct gfn){i});
}

static void begin(void)
{
	world_begin(1, 16);
	engine = &merge_engine_hash;
	assert_int_equal(merge_configure(engine, &(struct merge_limits){.cap = 256}), 0);
	as = world_space(PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		fill_page(as, i, content_of(i));
	assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
	spin_lock(&merge_regions_lock);
	domain = merge_domain_find(0);
	region = merge_first_region(as);
	spin_unlock(&merge_regions_lock);
	assert_non_null(domain);
	assert_int_equal(merge_make_metadata(region, 0), 0);
	memset(in_index, 0, sizeof(in_index));
	for (unsigned i = 0; i < PAGES; i++)
		page_change(ref_of(i).page, PAGE_HASH,
			    tag_of_content(content_of(i)) << PAGE_HASH_SHIFT);
}

static void end(void)
{
	merge_remove_all(as);
	addrspace_destroy(as);
	world_end();
}

static struct merge_key key_of(unsigned i)
{
	void *place = arch_hpa_to_virt(mfn_to_hpa((struct mfn){world_mfn(as, i)}));

	return (struct merge_key){tag_of_content(content_of(i)), place};
}

static void toggle(unsigned i)
{
	struct merge_ref ref = ref_of(i);
	struct merge_key key = key_of(i);

	if (in_index[i])
		engine->unstable_remove(domain, merge_number(&ref));
	else
		assert_int_equal(engine->unstable_add(domain, &key, merge_number(&ref)), 0);
	in_index[i] = !in_index[i];
}

static void check(unsigned content)
{
	struct merge_key key = key_of(content * 2);
	u32 number = engine->unstable_find(domain, &key);
	bool any = false;

	for (unsigned i = content * 2; i < content * 2 + 2; i++)
		any |= in_index[i];
	if (!any) {
		assert_int_equal(number, MERGE_PAGE_NONE);
		return;
	}
	if (number == MERGE_PAGE_NONE)
		fail_msg("content %u is in the index and is not found", content);
	for (unsigned i = 0; i < PAGES; i++) {
		struct merge_ref ref = ref_of(i);

		if (merge_number(&ref) == number)
			assert_true(in_index[i] && i / 2 == content);
	}
}

static void a_search_finds_a_page_of_the_content_whatever_came_and_went(void **state)
{
	struct sim_random random = sim_random_start(0x6c616236);

	begin();
	spin_lock(&domain->lock);
	for (unsigned n = 0; n < OPERATIONS; n++) {
		unsigned i = (unsigned)sim_below(&random, PAGES);

		toggle(i);
		check(i / 2);
		check((unsigned)sim_below(&random, CONTENTS));
		for (unsigned content = 0; n % 200 == 0 && content < CONTENTS; content++)
			check(content);
	}
	for (unsigned i = 0; i < PAGES; i++)
		if (in_index[i])
			toggle(i);
	for (unsigned content = 0; content < CONTENTS; content++)
		check(content);
	spin_unlock(&domain->lock);
	end();
}

static void a_search_finds_the_stable_frame_of_the_content(void **state)
{
	static struct stable head[CONTENTS];

	begin();
	spin_lock(&domain->lock);
	for (unsigned content = 0; content < CONTENTS; content++) {
		struct merge_key key = key_of(content * 2);

		assert_null(engine->stable_find(domain, &key));
		head[content] =
			(struct stable){.tag = key.tag, .mfn = {world_mfn(as, content * 2)}};
		engine->stable_add(domain, &head[content]);
		key = key_of(content * 2 + 1); /* another frame of this content */
		assert_ptr_equal(engine->stable_find(domain, &key), &head[content]);
	}
	for (unsigned content = 0; content < CONTENTS; content++) {
		struct merge_key key = key_of(content * 2 + 1);

		assert_ptr_equal(engine->stable_find(domain, &key), &head[content]);
		engine->stable_remove(domain, &head[content]);
		assert_null(engine->stable_find(domain, &key));
	}
	spin_unlock(&domain->lock);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_finds_a_page_of_the_content_whatever_came_and_went),
		cmocka_unit_test(a_search_finds_the_stable_frame_of_the_content),
	};

	return cmocka_run_group_tests_name("lab6_index", tests, NULL, NULL);
}
