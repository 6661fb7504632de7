/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apic.c: the local APIC against SDM chapter 11 (LAPIC-1 to LAPIC-3), and the I/O APIC (IOAPIC-1,
 * IOAPIC-2).
 */
#include <hv/ioapic.h>
#include <hv/lapic.h>
#include "sim/sim.h"

#define TIMER_VECTOR 0xec

static struct lapic enabled(u32 id)
{
	struct lapic apic;
	struct lapic_action action;

	lapic_init(&apic, id, id == 0);
	lapic_write(&apic, LAPIC_SVR, 0x1ff, 0, &action);
	return apic;
}

static struct lapic_action write(struct lapic *apic, unsigned reg, u64 value, u64 now)
{
	struct lapic_action action;

	lapic_write(apic, reg, value, now, &action);
	return action;
}

static u64 read(struct lapic *apic, unsigned reg, u64 now)
{
	u64 value;

	assert_true(lapic_read(apic, reg, now, &value));
	return value;
}

static void make_x2apic(struct lapic *apic)
{
	assert_true(lapic_write_base(apic, apic->base | BIT(10)));
	write(apic, LAPIC_SVR, 0x1ff, 0);
}

static void the_highest_vector_goes_first(void **state)
{
	struct lapic apic = enabled(0);

	lapic_accept(&apic, 0x41, false);
	lapic_accept(&apic, 0x93, false);
	assert_int_equal(lapic_pending(&apic), 0x93);
	lapic_acknowledge(&apic, 0x93);
	assert_int_equal(lapic_pending(&apic), LAPIC_NONE); /* 0x41 is of a lower class */
	assert_int_equal(read(&apic, LAPIC_PPR, 0), 0x90);
	write(&apic, LAPIC_EOI, 0, 0);
	assert_int_equal(lapic_pending(&apic), 0x41);
}

static void the_task_priority_holds_its_class_and_below_back(void **state)
{
	struct lapic apic = enabled(0);

	lapic_accept(&apic, 0x55, false);
	write(&apic, LAPIC_TPR, 0x50, 0);
	assert_int_equal(lapic_pending(&apic), LAPIC_NONE);
	write(&apic, LAPIC_TPR, 0x4f, 0);
	assert_int_equal(lapic_pending(&apic), 0x55);
}

static void a_vector_is_held_from_its_acceptance_to_its_eoi(void **state)
{
	struct lapic apic = enabled(0);

	assert_false(lapic_holds(&apic, 0x55));
	lapic_accept(&apic, 0x55, false);
	assert_true(lapic_holds(&apic, 0x55));
	lapic_acknowledge(&apic, 0x55);
	assert_true(lapic_holds(&apic, 0x55));
	write(&apic, LAPIC_EOI, 0, 0);
	assert_false(lapic_holds(&apic, 0x55));
}

static void cr8_is_the_upper_half_of_the_task_priority(void **state)
{
	struct lapic apic = enabled(0);

	assert_true(lapic_write_cr8(&apic, 5));
	assert_int_equal(read(&apic, LAPIC_TPR, 0), 0x50);
	write(&apic, LAPIC_TPR, 0x9f, 0);
	assert_int_equal(lapic_read_cr8(&apic), 9);
	assert_false(lapic_write_cr8(&apic, 16));
	assert_int_equal(read(&apic, LAPIC_TPR, 0), 0x9f);
}

static void an_eoi_names_a_level_triggered_vector_only(void **state)
{
	struct lapic apic = enabled(0);
	struct lapic_action action;

	lapic_accept(&apic, 0x61, true);
	lapic_acknowledge(&apic, 0x61);
	action = write(&apic, LAPIC_EOI, 0, 0);
	assert_int_equal(action.effect, LAPIC_END_OF_INTERRUPT);
	assert_int_equal(action.vector, 0x61);
	lapic_accept(&apic, 0x62, false);
	lapic_acknowledge(&apic, 0x62);
	assert_int_equal(write(&apic, LAPIC_EOI, 0, 0).effect, LAPIC_DONE);
}

static void a_disabled_apic_takes_nothing(void **state)
{
	struct lapic apic;

	lapic_init(&apic, 0, true);
	lapic_accept(&apic, 0x41, false);
	assert_int_equal(lapic_pending(&apic), LAPIC_NONE);
}

static void an_illegal_vector_shows_in_the_error_register(void **state)
{
	struct lapic apic = enabled(0);

	lapic_accept(&apic, 3, false);
	assert_int_equal(read(&apic, LAPIC_ESR, 0), 0);
	write(&apic, LAPIC_ESR, 0, 0);
	assert_int_equal(read(&apic, LAPIC_ESR, 0), 0x40);
}

static void a_one_shot_timer_fires_once(void **state)
{
	struct lapic apic = enabled(0);

	write(&apic, LAPIC_LVT_TIMER, TIMER_VECTOR, 0);
	write(&apic, LAPIC_TIMER_DIVIDE, 0x3, 0); /* by 16 */
	write(&apic, LAPIC_TIMER_INITIAL, 100, 1000);
	assert_int_equal(lapic_timer_due(&apic), 2600);
	assert_int_equal(read(&apic, LAPIC_TIMER_CURRENT, 1800), 50);
	assert_false(lapic_timer_expire(&apic, 2599));
	assert_true(lapic_timer_expire(&apic, 2600));
	assert_int_equal(lapic_pending(&apic), TIMER_VECTOR);
	assert_int_equal(lapic_timer_due(&apic), TICK_NEVER);
	assert_int_equal(read(&apic, LAPIC_TIMER_CURRENT, 3000), 0);
}

static void a_periodic_timer_keeps_its_phase_when_late(void **state)
{
	struct lapic apic = enabled(0);

	write(&apic, LAPIC_LVT_TIMER, TIMER_VECTOR | 1 << 17, 0);
	write(&apic, LAPIC_TIMER_DIVIDE, 0xb, 0); /* by 1 */
	write(&apic, LAPIC_TIMER_INITIAL, 1000, 0);
	assert_true(lapic_timer_expire(&apic, 1000));
	assert_int_equal(lapic_timer_due(&apic), 2000);
	assert_true(lapic_timer_expire(&apic, 5300));
	assert_int_equal(lapic_timer_due(&apic), 6000);
}

static void a_deadline_fires_at_its_tick_and_reads_back(void **state)
{
	struct lapic apic = enabled(0);

	lapic_write_deadline(&apic, 77); /* not that mode yet: nothing */
	assert_int_equal(lapic_timer_due(&apic), TICK_NEVER);
	write(&apic, LAPIC_LVT_TIMER, TIMER_VECTOR | 2 << 17, 0);
	lapic_write_deadline(&apic, 5000);
	assert_int_equal(lapic_read_deadline(&apic), 5000);
	assert_true(lapic_timer_expire(&apic, 5000));
	assert_int_equal(lapic_read_deadline(&apic), 0);
	lapic_write_deadline(&apic, 9000);
	lapic_write_deadline(&apic, 0);
	assert_int_equal(lapic_timer_due(&apic), TICK_NEVER);
}

static void a_masked_timer_runs_silently(void **state)
{
	struct lapic apic = enabled(0);

	write(&apic, LAPIC_LVT_TIMER, TIMER_VECTOR | 1 << 16, 0);
	write(&apic, LAPIC_TIMER_INITIAL, 10, 0);
	assert_false(lapic_timer_expire(&apic, 20));
	assert_int_equal(lapic_pending(&apic), LAPIC_NONE);
}

static void a_command_register_write_sends_an_ipi(void **state)
{
	struct lapic apic = enabled(1);
	struct lapic_action action;

	write(&apic, LAPIC_ICR2, 3u << 24, 0);
	action = write(&apic, LAPIC_ICR, 0x4608, 0);
	assert_int_equal(action.effect, LAPIC_SEND);
	assert_int_equal(action.ipi.delivery, LAPIC_SIPI);
	assert_int_equal(action.ipi.vector, 8);
	assert_int_equal(action.ipi.to.id, 3);
	make_x2apic(&apic);
	action = write(&apic, LAPIC_ICR, 0x700000000ull | 0xfd, 0);
	assert_int_equal(action.ipi.delivery, LAPIC_FIXED);
	assert_int_equal(action.ipi.to.id, 7);
	assert_int_equal(action.ipi.vector, 0xfd);
}

static void destinations_match_the_apics_they_name(void **state)
{
	struct lapic self = enabled(0), other = enabled(2);
	const struct lapic_destination physical = {.id = 2}, broadcast = {.id = 0xff};
	const struct lapic_destination others = {.shorthand = 3},
				       logical = {.id = 0x05, .logical = true};

	assert_false(lapic_matches(&self, &physical, &self));
	assert_true(lapic_matches(&other, &physical, &self));
	assert_true(lapic_matches(&other, &broadcast, &self));
	assert_false(lapic_matches(&self, &others, &self));
	assert_true(lapic_matches(&other, &others, &self));
	write(&other, LAPIC_LDR, 0x04000000, 0);
	assert_true(lapic_matches(&other, &logical, &self));
	write(&other, LAPIC_LDR, 0x02000000, 0);
	assert_false(lapic_matches(&other, &logical, &self));
}

static void x2apic_mode_faults_where_xapic_mode_is_silent(void **state)
{
	struct lapic apic = enabled(0);
	u64 value;

	assert_true(lapic_read(&apic, LAPIC_DFR, 0, &value));
	assert_true(lapic_read(&apic, 0x3b, 0, &value));
	assert_int_equal(value, 0);
	make_x2apic(&apic);
	assert_false(lapic_read(&apic, LAPIC_DFR, 0, &value));
	assert_false(lapic_read(&apic, 0x3b, 0, &value));
	assert_int_equal(write(&apic, LAPIC_EOI, 1, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_ESR, 1, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_TPR, 0x100, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_SVR, 0x10000, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_LVT_TIMER, 1u << 20, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_LVT_TIMER, 1u << 12 | 0x200ff, 0).effect, LAPIC_DONE);
	assert_int_equal(write(&apic, LAPIC_TIMER_DIVIDE, 0x80, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_SELF_IPI, 0x100, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_ICR, 1ull << 13, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_TPR, 1ull << 32, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_LDR, 1, 0).effect, LAPIC_GP);
	assert_int_equal(write(&apic, LAPIC_SELF_IPI, 0x45, 0).effect, LAPIC_DONE);
	assert_int_equal(lapic_pending(&apic), 0x45);
}

static void only_the_manuals_mode_changes_are_allowed(void **state)
{
	struct lapic apic = enabled(0);

	assert_false(lapic_write_base(&apic, LAPIC_BASE | BIT(10))); /* x2APIC without enable */
	assert_false(lapic_write_base(&apic, 0xfed00000 | BIT(11))); /* moved */
	assert_false(lapic_write_base(&apic, LAPIC_BASE | BIT(11) | BIT(0))); /* reserved bit */
	make_x2apic(&apic);
	assert_false(lapic_write_base(&apic, LAPIC_BASE | BIT(11))); /* back to xAPIC at once */
	assert_true(lapic_write_base(&apic, LAPIC_BASE));
	assert_false(lapic_write_base(&apic, LAPIC_BASE | BIT(10) | BIT(11)));
	assert_true(lapic_write_base(&apic, LAPIC_BASE | BIT(11)));
}

/* x2apic=no; a reset keeps it so. */
static void x2apic_mode_can_be_withheld(void **state)
{
	struct lapic apic = enabled(0);

	apic.no_x2apic = true;
	assert_false(lapic_write_base(&apic, apic.base | BIT(10)));
	lapic_reset(&apic);
	assert_false(lapic_write_base(&apic, apic.base | BIT(10)));
	assert_true(lapic_write_base(&apic, LAPIC_BASE));
	assert_true(lapic_write_base(&apic, LAPIC_BASE | BIT(11)));
}

static void x2apic_mode_takes_over_what_xapic_mode_left(void **state)
{
	struct lapic apic = enabled(0x23);

	write(&apic, LAPIC_LVT_LINT0, 0x700, 0);
	write(&apic, LAPIC_TPR, 0x40, 0);
	write(&apic, LAPIC_LDR, 0xff000000, 0);
	assert_true(lapic_write_base(&apic, apic.base | BIT(10)));
	assert_int_equal(read(&apic, LAPIC_SVR, 0), 0x1ff);
	assert_int_equal(read(&apic, LAPIC_TPR, 0), 0x40);
	assert_true(lapic_takes_extint(&apic));
	assert_int_equal(read(&apic, LAPIC_LDR, 0), 0x20008);
	assert_true(lapic_write_base(&apic, LAPIC_BASE)); /* off, and on again: as after a reset */
	assert_true(lapic_write_base(&apic, LAPIC_BASE | BIT(11)));
	assert_int_equal(read(&apic, LAPIC_SVR, 0), 0xff);
	assert_int_equal(read(&apic, LAPIC_TPR, 0), 0);
}

/* The I/O APIC's surroundings: what it sent. */
struct wire {
	unsigned sent;
	struct lapic_ipi last;
};

static bool deliver(void *context, const struct lapic_ipi *message, bool level)
{
	struct wire *wire = context;

	wire->sent++;
	wire->last = *message;
	return true;
}

static void redirect(struct ioapic *apic, unsigned input, u64 entry)
{
	ioapic_write(apic, 0x00, 0x10 + 2 * input);
	ioapic_write(apic, 0x10, entry);
	ioapic_write(apic, 0x00, 0x11 + 2 * input);
	ioapic_write(apic, 0x10, entry >> 32);
}

static void an_edge_is_sent_once_and_lost_while_masked(void **state)
{
	struct wire wire = {0};
	struct ioapic apic;

	ioapic_init(&apic, deliver, &wire);
	ioapic_set_line(&apic, 4, true); /* masked at reset */
	ioapic_set_line(&apic, 4, false);
	redirect(&apic, 4, 2ull << 56 | 0x34);
	assert_int_equal(wire.sent, 0);
	ioapic_set_line(&apic, 4, true);
	ioapic_set_line(&apic, 4, true);
	assert_int_equal(wire.sent, 1);
	assert_int_equal(wire.last.vector, 0x34);
	assert_int_equal(wire.last.to.id, 2);
}

static void a_level_is_sent_again_after_its_end_while_it_is_high(void **state)
{
	struct wire wire = {0};
	struct ioapic apic;

	ioapic_init(&apic, deliver, &wire);
	redirect(&apic, 9, 0x8000 | 0x39);
	ioapic_set_line(&apic, 9, true);
	ioapic_set_line(&apic, 9, true);
	assert_int_equal(wire.sent, 1);
	ioapic_write(&apic, 0x00, 0x10 + 18);
	assert_int_equal(ioapic_read(&apic, 0x10), 0x8000 | 0x4000 | 0x39);
	ioapic_end_of_interrupt(&apic, 0x39);
	assert_int_equal(wire.sent, 2);
	ioapic_set_line(&apic, 9, false);
	ioapic_end_of_interrupt(&apic, 0x39);
	assert_int_equal(wire.sent, 2);
}

static void its_registers_read_as_the_data_sheet_says(void **state)
{
	struct ioapic apic;

	ioapic_init(&apic, deliver, NULL);
	ioapic_write(&apic, 0x00, 1);
	assert_int_equal(ioapic_read(&apic, 0x10), 0x170020);
	ioapic_write(&apic, 0x00, 0x40); /* past the last entry */
	ioapic_write(&apic, 0x10, ~0u);
	assert_int_equal(ioapic_read(&apic, 0x10), 0);
	ioapic_write(&apic, 0x00, 0x10);
	assert_int_equal(ioapic_read(&apic, 0x10), 0x10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_vector_goes_first),
		cmocka_unit_test(the_task_priority_holds_its_class_and_below_back),
		cmocka_unit_test(a_vector_is_held_from_its_acceptance_to_its_eoi),
		cmocka_unit_test(cr8_is_the_upper_half_of_the_task_priority),
		cmocka_unit_test(an_eoi_names_a_level_triggered_vector_only),
		cmocka_unit_test(a_disabled_apic_takes_nothing),
		cmocka_unit_test(an_illegal_vector_shows_in_the_error_register),
		cmocka_unit_test(a_one_shot_timer_fires_once),
		cmocka_unit_test(a_periodic_timer_keeps_its_phase_when_late),
		cmocka_unit_test(a_deadline_fires_at_its_tick_and_reads_back),
		cmocka_unit_test(a_masked_timer_runs_silently),
		cmocka_unit_test(a_command_register_write_sends_an_ipi),
		cmocka_unit_test(destinations_match_the_apics_they_name),
		cmocka_unit_test(x2apic_mode_faults_where_xapic_mode_is_silent),
		cmocka_unit_test(only_the_manuals_mode_changes_are_allowed),
		cmocka_unit_test(x2apic_mode_can_be_withheld),
		cmocka_unit_test(x2apic_mode_takes_over_what_xapic_mode_left),
		cmocka_unit_test(an_edge_is_sent_once_and_lost_while_masked),
		cmocka_unit_test(a_level_is_sent_again_after_its_end_while_it_is_high),
		cmocka_unit_test(its_registers_read_as_the_data_sheet_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
