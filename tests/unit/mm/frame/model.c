/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c: random allocations and frees on several CPUs against one array that says of
 * each frame its user (FRAME-1 to FRAME-6, BUDDY-1 to BUDDY-4).
 */
#include "sim/frame_check.h"

#define CPUS	   4
#define BYTES	   (24 * MIB)
#define FRAMES	   ((MIB + BYTES) / PAGE_SIZE)
#define HELD	   2000
#define OPERATIONS 1000000

struct holding {
	struct mfn mfn;
	unsigned order;
	enum frame_kind kind;
};

/* used: what the model says of each frame; free_frames: how many it says are free. */
struct model {
	struct sim_random random;
	bool used[FRAMES];
	struct holding held[HELD];
	unsigned count;
	u64 free_frames, failures;
};

static void mark(struct model *model, struct mfn mfn, unsigned order, bool used)
{
	for (u64 i = 0; i < 1ull << order; i++) {
		assert_true(mfn.raw + i < FRAMES);
		assert_int_equal(model->used[mfn.raw + i], !used); /* FRAME-2 */
		model->used[mfn.raw + i] = used;
	}
	model->free_frames += used ? -(1ull << order) : 1ull << order;
}

static void allocate(struct model *model)
{
	struct sim_random *random = &model->random;
	unsigned order = sim_once_in(random, 3) ? (unsigned)sim_below(random, 11) : 0;
	enum frame_kind kind = FRAME_HYPERVISOR + (enum frame_kind)sim_below(random, 3);
	struct mfn mfn = {0x1234};
	int err;

	if (model->count == HELD)
		return;
	err = frame_alloc(order, kind, 0, &mfn);
	if (err) {
		assert_int_equal(err, ERR_NO_MEMORY);
		assert_int_equal(mfn.raw, 0x1234); /* FRAME-4 */
		/* Only what is cached elsewhere, or cut into smaller pieces, may still be free. */
		assert_true(order > 0 || model->free_frames <= 64 * (CPUS - 1)); /* FRAME-5 */
		model->failures++;
		return;
	}
	assert_true(IS_ALIGNED(mfn.raw, 1ull << order));
	mark(model, mfn, order, true);
	model->held[model->count++] = (struct holding){mfn, order, kind};
}

/* Gives back one holding, or one half of it. */
static void release(struct model *model)
{
	struct holding *holding;
	struct mfn mfn;

	if (model->count == 0)
		return;
	holding = &model->held[sim_below(&model->random, model->count)];
	mfn = holding->mfn;
	assert_int_equal(frame_kind(mfn), holding->kind);
	if (holding->order > 0 && sim_once_in(&model->random, 3)) {
		holding->order--;
		if (sim_once_in(&model->random, 2))
			holding->mfn.raw += 1ull << holding->order;
		else
			mfn.raw += 1ull << holding->order;
		frame_free(mfn, holding->order);
		mark(model, mfn, holding->order, false);
		return;
	}
	frame_free(mfn, holding->order);
	mark(model, mfn, holding->order, false);
	*holding = model->held[--model->count];
}

static void check(const struct model *model)
{
	struct frame_stats stats;

	frame_check();
	frame_stats(&stats);
	assert_int_equal(stats.free, model->free_frames); /* FRAME-3 */
	for (u64 i = 0; i < FRAMES; i++)
		assert_int_equal(model->used[i], frame_kind((struct mfn){i}) > FRAME_FREE);
}

static void a_million_random_uses_agree_with_an_array_of_owners(void **state)
{
	static struct model model;
	struct frame_stats stats;
	bool filling = true;

	sim_boot(CPUS, BYTES);
	model = (struct model){.random = sim_random_start(51)};
	frame_stats(&stats);
	model.free_frames = stats.free;
	for (unsigned i = 0; i < OPERATIONS; i++) {
		/* Tides: long times of more taking than giving, so that it runs out, and back. */
		if (sim_once_in(&model.random, 3000))
			filling = !filling;
		if (sim_once_in(&model.random, 20))
			sim_set_cpu((unsigned)sim_below(&model.random, CPUS));
		if (sim_below(&model.random, 10) < (filling ? 7 : 3))
			allocate(&model);
		else
			release(&model);
		if (i % 3000 == 0)
			check(&model);
	}
	while (model.count > 0)
		release(&model);
	check(&model);
	assert_int_equal(model.free_frames, stats.total);
	assert_true(model.failures > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_random_uses_agree_with_an_array_of_owners),
	};

	return cmocka_run_group_tests_name("frame_model", tests, NULL, NULL);
}
