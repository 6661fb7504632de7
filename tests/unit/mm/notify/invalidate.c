/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invalidate.c: the invalidate sequence against a model that remembers everything.
 */
#include "sim/sim.h"

#include <mm/invalidate.h>

#define FAULTS 8
#define OPEN   40
#define STEPS  400000

/* A fault in flight: what it read, and whether anything hit it, or came between at all, since. */
struct fault {
	u64 word;
	u64 gfn;
	bool flying, hit;
	u64 ended_since;
};

static struct invalidate_log log_;
static struct fault faults[FAULTS];
static struct gfn_range open_[OPEN];
static unsigned open_count;

static bool covers_open(u64 gfn)
{
	for (unsigned i = 0; i < open_count; i++)
		if (gfn_in_range((struct gfn){gfn}, open_[i]))
			return true;
	return false;
}

/* A range has come to be or ended: who is in flight and in it is hit. */
static void hit(struct gfn_range range, bool ended)
{
	for (unsigned i = 0; i < FAULTS; i++) {
		if (!faults[i].flying)
			continue;
		faults[i].hit |= gfn_in_range((struct gfn){faults[i].gfn}, range);
		faults[i].ended_since += ended;
	}
}

static struct gfn_range any_range(struct sim_random *random)
{
	return gfn_range((struct gfn){sim_below(random, 60)}, sim_size(random, 8));
}

static void step_range(struct sim_random *random)
{
	struct gfn_range range = any_range(random);
	unsigned pick;

	switch (sim_below(random, 3)) {
	case 0:
		if (open_count == OPEN)
			return;
		invalidate_begin(&log_, range);
		open_[open_count++] = range;
		hit(range, false);
		break;
	case 1:
		if (!open_count)
			return;
		pick = sim_below(random, open_count);
		range = open_[pick];
		invalidate_end(&log_, range);
		open_[pick] = open_[--open_count];
		hit(range, true);
		break;
	default:
		invalidate_note(&log_, range);
		hit(range, true);
	}
}

/* INVALIDATE-1 always, INVALIDATE-2 unless the log says that it guessed. */
static void land(struct fault *fault)
{
	u64 guessed = log_.counters.guessed;
	bool raced =
		invalidate_check(&log_, fault->word, (struct gfn){fault->gfn}) == INVALIDATE_RACED;

	if (fault->hit || covers_open(fault->gfn))
		assert_true(raced);
	else if (log_.counters.guessed == guessed)
		assert_false(raced);
	else
		assert_true(fault->ended_since >= INVALIDATE_RING || log_.unlisted > 0);
	fault->flying = false;
}

static void the_log_names_exactly_the_gfn_that_was_hit(void **state)
{
	struct sim_random random = sim_random_start(99);

	memset(&log_, 0, sizeof(log_));
	for (unsigned i = 0; i < STEPS; i++) {
		struct fault *fault = &faults[sim_below(&random, FAULTS)];

		if (sim_below(&random, 2))
			step_range(&random);
		else if (fault->flying)
			land(fault);
		else
			*fault = (struct fault){.word = invalidate_read(&log_),
						.gfn = sim_below(&random, 70),
						.flying = true,
						.hit = false};
		/* Let all ranges end now and then, so that many and few are tried. */
		while (i % 1000 == 0 && open_count) {
			struct gfn_range range = open_[--open_count];

			invalidate_end(&log_, range);
			hit(range, true);
		}
	}
	print_message("# raced %llu, avoided %llu, guessed %llu of %llu\n",
		      (unsigned long long)log_.counters.raced,
		      (unsigned long long)log_.counters.avoided,
		      (unsigned long long)log_.counters.guessed,
		      (unsigned long long)log_.counters.checks);
	assert_true(log_.counters.avoided > log_.counters.guessed);
}

static void a_wrapped_ring_guesses(void **state)
{
	u64 word;

	memset(&log_, 0, sizeof(log_));
	word = invalidate_read(&log_);
	for (unsigned i = 0; i < INVALIDATE_RING; i++)
		invalidate_note(&log_, gfn_range((struct gfn){1}, 1));
	assert_int_equal(invalidate_check(&log_, word, (struct gfn){2}), INVALIDATE_CLEAN);
	invalidate_note(&log_, gfn_range((struct gfn){1}, 1));
	assert_int_equal(invalidate_check(&log_, word, (struct gfn){2}), INVALIDATE_RACED);
	assert_int_equal(log_.counters.guessed, 1);
	assert_int_equal(log_.counters.avoided, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_names_exactly_the_gfn_that_was_hit),
		cmocka_unit_test(a_wrapped_ring_guesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
