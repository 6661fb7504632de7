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

#define STRANGERS   8	 /* hash.c's */
#define REACH	    1024 /* hash.c's */
#define LARGE	    2048 /* pages, and the slots for them */
#define LARGE_SLOTS 4096

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

/* A region of `pages` pages, of which the first `filled` have a content. */
static void begin_pages(unsigned pages, unsigned filled)
{
	world_begin(1, 16);
	engine = &merge_engine_hash;
	assert_int_equal(merge_configure(engine, &(struct merge_limits){.cap = 256}), 0);
	as = world_space(pages);
	for (unsigned i = 0; i < filled; i++)
		fill_page(as, i, content_of(i));
	assert_int_equal(merge_add(as, world_range(0, pages), 0), 0);
	spin_lock(&merge_regions_lock);
	domain = merge_domain_find(0);
	region = merge_first_region(as);
	spin_unlock(&merge_regions_lock);
	assert_non_null(domain);
	for (u32 chunk = 0; chunk * MERGE_CHUNK < pages; chunk++)
		assert_int_equal(merge_make_metadata(region, chunk), 0);
}

static void begin(void)
{
	begin_pages(PAGES, PAGES);
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

/* A stable node of the page's frame, with the tag of `key`, that is in no index. */
static u32 head_of(const struct merge_key *key, unsigned page)
{
	u32 head;

	assert_int_equal(
		node_new(&domain->nodes, key->tag, (struct mfn){world_mfn(as, page)}, &head), 0);
	return head;
}

/* The nodes are in no index any more; merging would give up a reference of each. */
static void free_heads(void)
{
	NODES_FOREACH_HEAD (head, &domain->nodes)
		node_free(&domain->nodes, head);
}

static void a_search_finds_the_stable_frame_of_the_content(void **state)
{
	static u32 head[CONTENTS];

	begin();
	spin_lock(&domain->lock);
	for (unsigned content = 0; content < CONTENTS; content++) {
		struct merge_key key = key_of(content * 2);

		assert_int_equal(engine->stable_find(domain, &key), 0);
		head[content] = head_of(&key, content * 2);
		engine->stable_add(domain, head[content]);
		key = key_of(content * 2 + 1); /* another frame of this content */
		assert_int_equal(engine->stable_find(domain, &key), head[content]);
	}
	for (unsigned content = 0; content < CONTENTS; content++) {
		struct merge_key key = key_of(content * 2 + 1);

		assert_int_equal(engine->stable_find(domain, &key), head[content]);
		engine->stable_remove(domain, head[content]);
		assert_int_equal(engine->stable_find(domain, &key), 0);
	}
	free_heads();
	spin_unlock(&domain->lock);
	end();
}

/* merge_stats() would take the domain's lock. */
static u64 compares(void)
{
	return merge_world.counters[0].compares;
}

/* Pages 2, 4 ... differ in content and have the tag of page 0, which comes last. */
static void a_search_gives_up_after_eight_contents_with_its_tag(void **state)
{
	static u32 head[STRANGERS + 1];
	struct merge_key key;
	struct merge_ref ref;
	u64 before;

	begin();
	spin_lock(&domain->lock);
	key = key_of(0);
	for (unsigned i = 2; i <= 2 * STRANGERS; i += 2) {
		ref = ref_of(i);
		page_change(ref.page, PAGE_HASH, key.tag << PAGE_HASH_SHIFT);
		assert_int_equal(engine->unstable_add(domain, &key, merge_number(&ref)), 0);
		head[i / 2] = head_of(&key, i);
	}
	ref = ref_of(0);
	assert_int_equal(engine->unstable_add(domain, &key, merge_number(&ref)), 0);
	before = compares();
	assert_int_equal(engine->unstable_find(domain, &key), MERGE_PAGE_NONE);
	assert_int_equal(compares() - before, STRANGERS);
	ref = ref_of(2);
	engine->unstable_remove(domain, merge_number(&ref));
	ref = ref_of(0);
	assert_int_equal(engine->unstable_find(domain, &key), merge_number(&ref));
	/* Of the heads the last one added comes first. */
	head[0] = head_of(&key, 0);
	for (unsigned i = 0; i <= STRANGERS; i++)
		engine->stable_add(domain, head[i]);
	before = compares();
	assert_int_equal(engine->stable_find(domain, &key), 0);
	assert_int_equal(compares() - before, STRANGERS);
	engine->stable_remove(domain, head[STRANGERS]);
	assert_int_equal(engine->stable_find(domain, &key), head[0]);
	for (unsigned i = 0; i < STRANGERS; i++)
		engine->stable_remove(domain, head[i]);
	free_heads();
	spin_unlock(&domain->lock);
	end();
}

/* A page of the large region into the index, with the home `at`. */
static int add_at(unsigned i, u32 at)
{
	struct merge_ref ref = ref_of(i);
	struct merge_key key = {0, NULL};

	while (((key.tag * 2654435769u) >> 7 & (LARGE_SLOTS - 1)) != at)
		key.tag++;
	page_change(ref.page, PAGE_HASH, key.tag << PAGE_HASH_SHIFT);
	return engine->unstable_add(domain, &key, merge_number(&ref));
}

/* Two runs of half the bound with a hole between, and the page that would join them. */
static void no_run_is_longer_than_its_bound(void **state)
{
	const unsigned half = REACH / 2;
	struct merge_ref ref;

	begin_pages(LARGE, 0);
	spin_lock(&domain->lock);
	for (unsigned i = 0; i < half; i++)
		assert_int_equal(add_at(i, 100), 0);
	for (unsigned i = half; i < REACH; i++)
		assert_int_equal(add_at(i, 100 + half + 1), 0);
	assert_int_equal(add_at(REACH, 100), ERR_BUSY);
	assert_int_equal(add_at(REACH, 3000), 0);
	ref = ref_of(REACH - 1);
	engine->unstable_remove(domain, merge_number(&ref));
	assert_int_equal(add_at(REACH + 1, 100), 0); /* REACH in a row */
	assert_int_equal(add_at(REACH + 2, 100), ERR_BUSY);
	spin_unlock(&domain->lock);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_finds_a_page_of_the_content_whatever_came_and_went),
		cmocka_unit_test(a_search_finds_the_stable_frame_of_the_content),
		cmocka_unit_test(a_search_gives_up_after_eight_contents_with_its_tag),
		cmocka_unit_test(no_run_is_longer_than_its_bound),
	};

	return cmocka_run_group_tests_name("lab6_index", tests, NULL, NULL);
}
