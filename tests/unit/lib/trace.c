/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c: rings of trace records: order, overwriting, an NMI on top of a writer, filters, names.
 */
#include "sim/sim.h"

#include <lib/error.h>
#include <lib/string.h>
#include <trace/area.h>
#include <trace/control.h>

#define PLACES 64 /* one page a ring */

static void begin(unsigned cpus)
{
	sim_boot(cpus, MIB);
	memset(trace_area.ring, 0, sizeof(trace_area.ring));
	trace_disable(TRACE_ALL_CLASSES);
	trace_filter_space("");
	trace_filter_gfns((struct gfn_range){{0}, {0}});
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		trace_give(cpu, sim_memory + MIB + cpu * PAGE_SIZE, 0);
	assert_int_equal(trace_area.places, PLACES);
	trace_enable(TRACE_ALL_CLASSES);
}

static u64 recorded(unsigned cpu)
{
	return trace_counts(cpu).recorded;
}

static struct trace_record record(unsigned cpu, u64 number)
{
	struct trace_record found;

	assert_true(trace_read(cpu, number, &found));
	return found;
}

static void a_record_has_the_fields_of_its_event(void **state)
{
	const struct trace_flush *flush;
	struct trace_record found;

	begin(2);
	sim_set_cpu(1);
	trace_context(5, 3);
	TRACE(flush, 7, .generation = 11, .waited = ~0ull, .kicks = 2);
	trace_context(0, 0);
	assert_int_equal(recorded(0), 0);
	found = record(1, 0);
	flush = (const struct trace_flush *)found.payload;
	assert_int_equal(found.event, TRACE_FLUSH);
	assert_int_equal(found.space, 7);
	assert_int_equal(found.by_space, 5);
	assert_int_equal(found.by_vcpu, 3);
	assert_int_equal(flush->generation, 11);
	assert_int_equal(flush->waited, ~0ull);
	assert_int_equal(flush->kicks, 2);
	assert_int_equal(trace_area.size[TRACE_FLUSH], 18);
	for (unsigned i = sizeof(*flush); i < TRACE_PAYLOAD; i++)
		assert_int_equal(found.payload[i], 0);
}

static void a_class_that_is_off_records_nothing(void **state)
{
	unsigned evaluated = 0;

	begin(1);
	trace_disable(BIT(TRACE_TLB_CLASS));
	TRACE(flush, 1, .kicks = (u16)++evaluated);
	assert_int_equal(recorded(0), 0);
	assert_int_equal(evaluated, 0);
	TRACE(halt, 1, .vcpu = 0);
	assert_int_equal(recorded(0), 1);
	trace_enable(BIT(TRACE_TLB_CLASS));
	TRACE(flush, 1, .kicks = (u16)++evaluated);
	assert_int_equal(recorded(0), 2);
	assert_int_equal(evaluated, 1);
	assert_int_equal(trace_enabled(), TRACE_ALL_CLASSES);
}

static void without_a_ring_nothing_is_written(void **state)
{
	begin(1);
	trace_area.ring[0].records = NULL;
	assert_false(trace_has_ring(0));
	assert_false(trace_has_ring(1));
	TRACE(halt, 1, .vcpu = 0);
	assert_int_equal(recorded(0), 0);
}

/* TRACE-2. */
static void a_full_ring_overwrites_the_oldest(void **state)
{
	struct trace_record found;

	begin(1);
	for (unsigned i = 0; i < 3 * PLACES + 5; i++)
		TRACE(halt, 1, .vcpu = (u16)i);
	assert_int_equal(trace_counts(0).recorded, 3 * PLACES + 5);
	assert_int_equal(trace_counts(0).overwritten, 2 * PLACES + 5);
	assert_false(trace_read(0, 2 * PLACES + 4, &found));
	assert_false(trace_read(0, 3 * PLACES + 5, &found));
	for (unsigned i = 2 * PLACES + 5; i < 3 * PLACES + 5; i++)
		assert_int_equal(((struct trace_halt *)record(0, i).payload)->vcpu, i);
}

/* --- An NMI on top of a writer -------------------------------------------------------------- */

static unsigned nmis;

static void nmi(const char *name)
{
	if (strcmp(name, "trace: clock read") != 0 || !nmis)
		return;
	nmis--;
	TRACE(wake, 2, .vcpu = 9);
}

/* TRACE-1: the outer record is behind those of the NMIs, with a later time. */
static void an_nmi_takes_the_number_and_the_time_before(void **state)
{
	begin(1);
	sim_on_race_point = nmi;
	for (unsigned depth = 1; depth < 4; depth++) {
		u64 first = recorded(0);

		nmis = depth;
		TRACE(halt, 1, .vcpu = 8);
		assert_int_equal(recorded(0), first + depth + 1);
		assert_int_equal(record(0, first + depth).event, TRACE_HALT);
		for (unsigned i = 0; i < depth; i++)
			assert_int_equal(record(0, first + i).event, TRACE_WAKE);
	}
	for (u64 i = 1; i < recorded(0); i++)
		assert_true(record(0, i).ticks > record(0, i - 1).ticks);
}

/* TRACE-2: while a record is written, neither it nor the one that it overwrites is read. */
static void read_both(const char *name)
{
	struct trace_record found;
	u64 number = recorded(0) - 1;

	if (strcmp(name, "trace: fields written") != 0)
		return;
	assert_false(trace_read(0, number, &found));
	if (number >= PLACES) {
		assert_false(trace_read(0, number - PLACES, &found));
		assert_true(trace_read(0, number - PLACES + 1, &found));
	}
}

static void a_record_half_written_is_not_read(void **state)
{
	begin(1);
	sim_on_race_point = read_both;
	for (unsigned i = 0; i < 2 * PLACES; i++)
		TRACE(halt, 1, .vcpu = (u16)i);
	assert_int_equal(((struct trace_halt *)record(0, PLACES).payload)->vcpu, PLACES);
}

/* --- Filters ------------------------------------------------------------------------------- */

static void events(unsigned space)
{
	TRACE(halt, space, .vcpu = 0);
	TRACE(fault, space, .gfn = 100);
	TRACE(fault, space, .gfn = 110);
	TRACE(skipped, space, .gfn = 90, .end = 100);
	TRACE(skipped, space, .gfn = 90, .end = 101);
	TRACE(skipped, space, .gfn = 109, .end = 500);
	TRACE(skipped, space, .gfn = 110, .end = 500);
}

static void a_range_of_gfns_passes_what_touches_it(void **state)
{
	begin(1);
	trace_filter_gfns((struct gfn_range){{100}, {110}});
	events(1);
	assert_int_equal(recorded(0), 3);
	assert_int_equal(record(0, 0).event, TRACE_FAULT);
	assert_int_equal(((struct trace_skipped *)record(0, 1).payload)->end, 101);
	assert_int_equal(((struct trace_skipped *)record(0, 2).payload)->gfn, 109);
	trace_filter_gfns((struct gfn_range){{0}, {0}});
	events(1);
	assert_int_equal(recorded(0), 3 + 7);
}

static void one_address_space_passes_alone(void **state)
{
	begin(1);
	trace_name_space(3, "three");
	trace_filter_space("three");
	events(2);
	events(3);
	assert_int_equal(recorded(0), 7);
	assert_int_equal(record(0, 0).space, 3);
	trace_filter_space("later");
	events(3);
	assert_int_equal(recorded(0), 7);
	trace_name_space(4, "later");
	events(3);
	events(4);
	assert_int_equal(recorded(0), 14);
	trace_filter_space("");
	events(2);
	assert_int_equal(recorded(0), 21);
}

static void names_that_have_no_place_are_left_out(void **state)
{
	begin(1);
	trace_name_space(TRACE_SPACES, "outside");
	trace_name_space(1, "a name that is far longer than its thirty-one places");
	assert_int_equal(strlen(trace_area.space[1]), TRACE_NAME - 1);
	for (unsigned i = 0; i < TRACE_SUBSCRIBERS + 3; i++) {
		unsigned number = trace_number_subscriber(2, "cache");

		assert_true(number < TRACE_SUBSCRIBERS);
		if (number)
			assert_string_equal(trace_area.subscriber[number].name, "cache");
	}
	assert_int_equal(trace_number_subscriber(2, "cache"), 0);
}

static void classes_are_read_from_text(void **state)
{
	const char *bad;
	u32 classes;
	size_t len;

	assert_int_equal(trace_parse_classes("", &classes, &bad, &len), 0);
	assert_int_equal(classes, 0);
	assert_int_equal(trace_parse_classes("run,merge", &classes, &bad, &len), 0);
	assert_int_equal(classes, BIT(TRACE_RUN_CLASS) | BIT(TRACE_MERGE_CLASS));
	assert_int_equal(trace_parse_classes("all more", &classes, &bad, &len), 0);
	assert_int_equal(classes, TRACE_ALL_CLASSES);
	assert_int_equal(trace_parse_classes("run,,cow", &classes, &bad, &len), ERR_NOT_FOUND);
	assert_int_equal(trace_parse_classes("cow,ru", &classes, &bad, &len), ERR_NOT_FOUND);
	assert_int_equal(len, 2);
	assert_string_equal(bad, "ru");
	assert_string_equal(trace_class_name(TRACE_RUN_CLASS), "run");
	assert_null(trace_class_name(TRACE_CLASSES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_has_the_fields_of_its_event),
		cmocka_unit_test(a_class_that_is_off_records_nothing),
		cmocka_unit_test(without_a_ring_nothing_is_written),
		cmocka_unit_test(a_full_ring_overwrites_the_oldest),
		cmocka_unit_test(an_nmi_takes_the_number_and_the_time_before),
		cmocka_unit_test(a_record_half_written_is_not_read),
		cmocka_unit_test(a_range_of_gfns_passes_what_touches_it),
		cmocka_unit_test(one_address_space_passes_alone),
		cmocka_unit_test(names_that_have_no_place_are_left_out),
		cmocka_unit_test(classes_are_read_from_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
