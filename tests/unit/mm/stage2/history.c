/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c: what the CPUs would see at every instant of an operation on an address
 * space.
 *
 * After each single store to an EPT or NPT, pages around the operation are looked up in both
 * tables:
 *
 *   - a leaf leads to what the page held before the operation or what it holds after it, in a frame
 *     that is a guest's and not free (STAGE2-1, UPDATE-1)
 *   - a writable leaf leads to a frame of this page alone (COW-1)
 *   - while one table maps the page writable, the other maps it to no other frame (NOTIFIER-5)
 *
 * Policy `late` breaks the last one, and must be seen to.
 */
#include "sim/space_model.h"

#define WATCHED 12
#define HOT	40 /* so that pages are mapped by both tables when something happens to them */

struct history {
	unsigned watched;
	struct {
		unsigned space;
		u64 gfn, before, after;
	} page[WATCHED];
	u64 instants, races;
	bool race_allowed;
};

static struct history history;

static void check_content(u64 hpa, u64 before, u64 after)
{
	u64 word = *(u64 *)arch_hpa_to_virt((struct hpa){hpa});

	assert_int_equal(frame_kind(hpa_to_mfn((struct hpa){hpa})), FRAME_GUEST);
	assert_true(word == before || word == after);
}

static void check_writable(unsigned space, u64 gfn, u64 hpa)
{
	ppte_t pte = pte_of(space, gfn);

	assert_true(ppte_state(pte) != PPTE_SHARED && ppte_state(pte) != PPTE_ZERO);
	assert_int_equal(mfn_to_hpa(ppte_mfn(pte)).raw, ALIGN_DOWN(hpa, PAGE_SIZE));
	assert_true(frame_refs(ppte_mfn(pte)) >= 1);
}

static void check_page(unsigned space, u64 gfn, u64 before, u64 after)
{
	unsigned attr[TABLES] = {0};
	u64 hpa[TABLES];

	for (unsigned i = 0; i < TABLES; i++) {
		hpa[i] = leaf_hpa(scene.s2[space][i], gfn, &attr[i]);
		if (!hpa[i])
			continue;
		check_content(hpa[i], before, after);
		if (attr[i] & PT_WRITE)
			check_writable(space, gfn, hpa[i]);
	}
	if (hpa[0] && hpa[1] && hpa[0] != hpa[1] && ((attr[0] | attr[1]) & PT_WRITE)) {
		history.races++;
		assert_true(history.race_allowed);
	}
}

static bool look_after_swap(void *context, pte_t *slot, pte_t old, pte_t value)
{
	if (*slot != old)
		return false;
	*slot = value;
	history.instants++;
	for (unsigned i = 0; i < history.watched; i++)
		check_page(history.page[i].space, history.page[i].gfn, history.page[i].before,
			   history.page[i].after);
	return true;
}

static void watch_page(unsigned space, u64 gfn, u64 after)
{
	unsigned at = history.watched++;

	assert_true(at < WATCHED);
	history.page[at].space = space;
	history.page[at].gfn = gfn;
	history.page[at].before = scene.word[space][gfn];
	history.page[at].after = after;
}

static bool in_range(const struct op *op, unsigned space, u64 gfn)
{
	return space == op->space && gfn >= op->gfn && gfn < op->gfn + op->count;
}

/*
 * A write through a leaf is no store to a table; all others are seen with the content that they
 * leave.
 */
static u64 word_after(const struct op *op, unsigned space, u64 gfn)
{
	if (op->kind == OP_OUR_WRITE && space == op->space && gfn == op->gfn)
		return op->value;
	if ((op->kind == OP_CLEAR || op->kind == OP_BALLOON) && in_range(op, space, gfn))
		return 0;
	return scene.word[space][gfn];
}

static void watch(const struct op *op)
{
	const struct {
		unsigned space;
		u64 gfn;
	} pages[] = {
		{op->space, op->gfn},
		{op->space, op->gfn + op->count - 1},
		{op->space, op->gfn + op->count / 2},
		{op->space, (op->gfn + op->count) % PAGES},
		{op->space, (op->gfn + PAGES - 1) % PAGES},
		{op->other, op->other_gfn},
		{op->other, (op->other_gfn + 1) % PAGES},
		{op->space, sim_below(&scene.random, PAGES)},
		{op->other, sim_below(&scene.random, PAGES)},
	};

	history.watched = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		watch_page(pages[i].space, pages[i].gfn,
			   word_after(op, pages[i].space, pages[i].gfn));
}

static void run(const struct notifier_policy *policy, enum retry_mode retry, unsigned operations,
		u64 seed)
{
	raise_scene(policy, retry, seed);
	scene.hot = HOT;
	for (unsigned space = 0; space < SPACES_TWO; space++)
		for (unsigned i = 0; i < TABLES; i++)
			scene.s2[space][i]->memory.swap = look_after_swap;
	history.watched = 0;
	for (unsigned i = 0; i < operations; i++) {
		struct op op = choose();

		watch(&op);
		finish(&op, perform(&op));
	}
	history.watched = 0;
	check_all();
	strike_scene();
}

/* UPDATE-3. */
static void every_store_of_every_policy_but_late_leaves_each_page_old_or_new(void **state)
{
	struct sim_random seeds = sim_random_start(71);

	history = (struct history){.race_allowed = false};
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		if (!strcmp(notifier_policy_name(notifier_policy(i)), "late"))
			continue;
		run(notifier_policy(i), RETRY_INPLACE, 30000, sim_random(&seeds));
		run(notifier_policy(i), RETRY_REENTER, 10000, sim_random(&seeds));
	}
	printf("# %llu instants\n", (unsigned long long)history.instants);
	assert_true(history.instants > 100000);
}

static void late_is_seen_to_map_a_new_frame_writable_while_the_old_one_is_in_use(void **state)
{
	struct sim_random seeds = sim_random_start(72);

	history = (struct history){.race_allowed = true};
	run(notifier_policy_find("late", 4), RETRY_INPLACE, 30000, sim_random(&seeds));
	printf("# %llu instants, %llu of them in Eran's race\n",
	       (unsigned long long)history.instants, (unsigned long long)history.races);
	assert_true(history.races > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_store_of_every_policy_but_late_leaves_each_page_old_or_new),
		cmocka_unit_test(
			late_is_seen_to_map_a_new_frame_writable_while_the_old_one_is_in_use),
	};

	return cmocka_run_group_tests_name("stage2_history", tests, NULL, NULL);
}
