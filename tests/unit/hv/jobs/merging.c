/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merging.c: which CPU scans, and when: idle CPUs first, a busy one for its share, several at once.
 *
 * The scanner is a stand-in that takes as long as a test says, with passes of as many chunks
 * as a test says.
 */
#include "sim/sim.h"

#include <arch/boot_info.h>
#include <hv/dirty.h>
#include <hv/merging.h>
#include <hv/vm.h>
#include <mm/merge.h>

#define CHUNK_TICKS 1000u
#define MS	    (arch_ticks_per_second() / 1000)

u64 __wrap_merge_scan(u64 budget);
u64 __wrap_merge_passes(void);
bool __wrap_merge_is_active(void);

static u64 chunks, passes, chunks_a_pass, share, quiet, fixed_ms = 20;
static u64 at_once, most;	/* CPUs that scan */
static void (*meanwhile)(void); /* what other CPUs do while one scans */

u64 __wrap_merge_scan(u64 budget)
{
	at_once++;
	most = MAX(most, at_once);
	if (meanwhile)
		meanwhile();
	at_once--;
	sim_ticks += CHUNK_TICKS;
	passes += ++chunks % chunks_a_pass == 0;
	return budget;
}

u64 __wrap_merge_passes(void)
{
	return passes;
}

u64 __wrap_merge_quiet_passes(void);
u64 __wrap_merge_quiet_passes(void)
{
	return quiet;
}

/* What each pass saves; it owns 1,000 pages, and reads none. */
static s64 saves;

void __wrap_merge_work(struct merge_work *out);
void __wrap_merge_work(struct merge_work *out)
{
	*out = (struct merge_work){.pass = passes, .owned = 1000, .saved = saves};
}

/* No progress is reported. */
bool __wrap_merge_is_active(void)
{
	return false;
}

static const char *secure_word = "no";
static bool secure;

int __wrap_merge_configure(const struct merge_engine *engine, const struct merge_limits *limits);
int __wrap_merge_configure(const struct merge_engine *engine, const struct merge_limits *limits)
{
	secure = limits->secure;
	return 0;
}

const char *boot_option_text(const char *name)
{
	return strcmp(name, "merge") ? secure_word : "hash";
}

u64 boot_option_number(const char *name)
{
	if (!strcmp(name, "merge_share"))
		return share;
	return strcmp(name, "merge_ms") ? 256 : fixed_ms;
}

/* No VM. */
struct vm *vm_get(unsigned number)
{
	return NULL;
}

bool vm_hold(struct vm *vm)
{
	return false;
}

void vm_release(struct vm *vm)
{
}

const char *dirty_source_name(const struct vm *vm)
{
	return "";
}

/* A pass is due long since, whatever the test before has left behind. */
static void begin(unsigned cpus, u64 percent, u64 length)
{
	static u64 latest;

	latest = MAX(latest, sim_ticks) + 1000 * MS;
	sim_init(cpus);
	sim_ticks = latest;
	share = percent;
	chunks_a_pass = length;
	chunks = passes = most = 0;
	meanwhile = NULL;
	merging_init();
	sim_ticks += 2 * fixed_ms * MS;
}

static bool step_on(unsigned cpu, bool idle)
{
	unsigned me = arch_cpu_id();
	u64 before = chunks;

	sim_set_cpu(cpu);
	(void)merging_step(idle);
	sim_set_cpu(me);
	return chunks > before;
}

static void an_idle_cpu_scans_until_the_pass_ends_and_then_when_the_next_is_due(void **state)
{
	u64 due;

	begin(1, 20, 3);
	assert_true(merging_step(true));
	assert_true(merging_step(true));
	assert_false(merging_step(true));
	assert_int_equal(chunks, 3);
	due = sim_ticks + 20 * MS;
	assert_false(step_on(0, true));
	sim_ticks = due - 10;
	assert_false(step_on(0, true));
	sim_ticks = due + 10;
	assert_true(step_on(0, true));
}

/* A guest with merge_control=yes has no pass beside its own within a long merge_ms. */
static void with_merge_ms_the_first_pass_comes_after_a_pause(void **state)
{
	begin(1, 20, 3);
	merging_init();
	assert_false(step_on(0, true));
	sim_ticks += fixed_ms * MS - 10;
	assert_false(step_on(0, true));
	sim_ticks += 20;
	assert_true(step_on(0, true));
	fixed_ms = 0;
	merging_init();
	assert_true(step_on(0, true));
	fixed_ms = 20;
}

/* The pause before the next pass, in ms, after one with `n` passes in which nothing was merged. */
static u64 pause_after(u64 n)
{
	u64 began;

	begin(1, 20, 1);
	quiet = n;
	assert_false(merging_step(true));
	for (began = sim_ticks; !step_on(0, true);)
		sim_ticks += MS / 2;
	quiet = 0;
	return (sim_ticks - began) / MS;
}

static void passes_without_a_merge_are_spaced_more_and_more(void **state)
{
	assert_in_range(pause_after(0), 20, 22);
	assert_in_range(pause_after(2), 20, 22);
	assert_in_range(pause_after(3), 40, 42);
	assert_in_range(pause_after(5), 160, 162);
	assert_in_range(pause_after(7), 640, 642);
	assert_in_range(pause_after(1000), 640, 642);
}

/* The pause after one more pass, in ms, as a sleeping CPU waits for it. */
static u64 next_pause(void)
{
	u64 began = sim_ticks;

	while (!step_on(0, true))
		sim_ticks += MS / 4;
	return (sim_ticks - began) / MS;
}

/* merge_ms=0 */
static void a_scanner_with_a_pace_of_its_own_follows_what_passes_save(void **state)
{
	fixed_ms = 0;
	begin(1, 20, 1);
	saves = 0;
	assert_false(merging_step(true));
	assert_in_range(next_pause(), 2 * 40 - 1, 2 * 40 + 1);
	assert_in_range(next_pause(), 4 * 40 - 1, 4 * 40 + 1);
	assert_int_equal(merging_pace(), 8 * 40);
	saves = 1000;
	(void)next_pause();
	assert_int_equal(merging_pace(), 40);
	assert_in_range(next_pause(), 39, 41);
	saves = 0;
	fixed_ms = 20;
}

static void a_hurry_takes_the_pace_back_to_the_shortest_pause(void **state)
{
	fixed_ms = 0;
	begin(1, 20, 1);
	assert_false(merging_step(true));
	for (unsigned n = 0; n < 8; n++)
		(void)next_pause();
	assert_true(merging_pace() > 1000);
	merging_hurry();
	assert_in_range(next_pause(), 39, 41);
	assert_int_equal(merging_pace(), 80);
	fixed_ms = 20;
}

static void a_new_region_ends_the_pause(void **state)
{
	begin(1, 20, 1);
	quiet = 1000;
	assert_false(merging_step(true));
	sim_ticks += 100 * MS;
	assert_false(step_on(0, true));
	merging_hurry();
	sim_ticks += 21 * MS;
	assert_true(step_on(0, true));
	quiet = 0;
}

static void the_pace_and_the_mode_can_be_changed(void **state)
{
	begin(1, 20, 1);
	assert_int_equal(merging_pace(), 20);
	merging_set_pace(50);
	assert_int_equal(merging_pace(), 50);
	merging_set_pace(0);
	assert_int_equal(merging_pace(), 40);
	assert_false(merging_is_secure());
	assert_int_equal(merging_set_secure(true), 0);
	assert_true(secure && merging_is_secure());
	assert_int_equal(merging_set_engine("nothing"), ERR_NOT_FOUND);
	assert_int_equal(merging_set_engine("tree"), 0);
	assert_string_equal(merging_engine_name(), "tree");
}

/* Over a long time, its vCPUs' turns being much shorter than a chunk, or much longer. */
static void a_busy_cpu_gives_its_share_and_no_more(void **state)
{
	static const u64 percents[] = {1, 20, 50, 100}, turns[] = {10, 20 * CHUNK_TICKS};

	for (unsigned i = 0; i < ARRAY_SIZE(percents) * ARRAY_SIZE(turns); i++) {
		u64 percent = percents[i / 2], turn = turns[i % 2], start, took;

		begin(1, percent, ~0ull);
		start = sim_ticks;
		while (sim_ticks < start + 1000 * CHUNK_TICKS) {
			sim_ticks += turn;
			(void)merging_step(false);
		}
		took = chunks * CHUNK_TICKS * 100 / (sim_ticks - start);
		if (took > percent || (i % 2 == 0 && took < percent - percent / 10 - 1))
			fail_msg("%llu percent are %llu", (unsigned long long)percent,
				 (unsigned long long)took);
	}
}

static void busy_steps_in(void)
{
	assert_false(step_on(1, false));
	sim_ticks += 100 * MS;
	assert_false(step_on(1, false));
}

/* While an idle CPU is at it, however long that takes, and right after. */
static void idle_cpus_come_first(void **state)
{
	begin(8, 20, ~0ull);
	meanwhile = busy_steps_in;
	assert_true(step_on(0, true));
	meanwhile = NULL;
	assert_false(step_on(1, false));
	sim_ticks += MS / 2;
	assert_false(step_on(1, false));
	assert_true(step_on(0, true));
	sim_ticks += MS / 2;
	assert_false(step_on(1, false));
	sim_ticks += MS;
	assert_true(step_on(1, false));
}

/* A pass that has become due is theirs, too. */
static void a_busy_cpu_leaves_a_new_pass_to_idle_ones_for_a_moment(void **state)
{
	begin(2, 100, 1);
	assert_true(step_on(0, false));
	sim_ticks += 20 * MS + 1;
	assert_false(step_on(0, false));
	assert_true(step_on(1, true));
	sim_ticks += 22 * MS;
	assert_true(step_on(0, false));
}

/* The CPUs that do not scan yet. */
static void all_step_in(void)
{
	static bool at_it[8];

	for (unsigned cpu = 1; cpu < arch_cpu_count(); cpu++) {
		if (at_it[cpu])
			continue;
		at_it[cpu] = true;
		(void)step_on(cpu, true);
		at_it[cpu] = false;
	}
}

static void a_fourth_of_the_cpus_scan_at_once(void **state)
{
	static const unsigned cpus[] = {1, 2, 4, 7, 8};

	for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++) {
		begin(cpus[i], 20, ~0ull);
		meanwhile = all_step_in;
		assert_true(step_on(0, true));
		assert_int_equal(most, MAX(cpus[i] / 4, 1u));
	}
}

static void a_misspelt_secure_mode_is_secure(void **state)
{
	static const char *const words[] = {"no", "yes", "yse", ""};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		secure_word = words[i];
		begin(1, 20, 3);
		assert_int_equal(secure, i > 0);
	}
	secure_word = "no";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_idle_cpu_scans_until_the_pass_ends_and_then_when_the_next_is_due),
		cmocka_unit_test(with_merge_ms_the_first_pass_comes_after_a_pause),
		cmocka_unit_test(passes_without_a_merge_are_spaced_more_and_more),
		cmocka_unit_test(a_scanner_with_a_pace_of_its_own_follows_what_passes_save),
		cmocka_unit_test(a_hurry_takes_the_pace_back_to_the_shortest_pause),
		cmocka_unit_test(a_new_region_ends_the_pause),
		cmocka_unit_test(the_pace_and_the_mode_can_be_changed),
		cmocka_unit_test(a_busy_cpu_gives_its_share_and_no_more),
		cmocka_unit_test(idle_cpus_come_first),
		cmocka_unit_test(a_busy_cpu_leaves_a_new_pass_to_idle_ones_for_a_moment),
		cmocka_unit_test(a_misspelt_secure_mode_is_secure),
		cmocka_unit_test(a_fourth_of_the_cpus_scan_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
