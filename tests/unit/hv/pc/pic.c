/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pic.c: the 8259A pair against its data sheet (PIC-1 to PIC-3).
 */
#include <hv/pic.h>
#include "sim/sim.h"

/* As Linux programs them: vectors 0x30 and 0x38, nothing masked. */
static struct pic programmed(void)
{
	struct pic pic;

	pic_init(&pic);
	pic_write(&pic, 0x20, 0x11);
	pic_write(&pic, 0x21, 0x30);
	pic_write(&pic, 0x21, 0x04);
	pic_write(&pic, 0x21, 0x01);
	pic_write(&pic, 0xa0, 0x11);
	pic_write(&pic, 0xa1, 0x38);
	pic_write(&pic, 0xa1, 0x02);
	pic_write(&pic, 0xa1, 0x01);
	return pic;
}

static void an_edge_is_requested_once_and_delivered_once(void **state)
{
	struct pic pic = programmed();

	pic_set_line(&pic, 4, true);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	assert_false(pic_pending(&pic));
	pic_write(&pic, 0x20, 0x20);
	assert_false(pic_pending(&pic)); /* still high, but no new edge */
	pic_set_line(&pic, 4, false);
	pic_set_line(&pic, 4, true);
	assert_true(pic_pending(&pic));
}

static void a_masked_input_waits_until_it_is_unmasked(void **state)
{
	struct pic pic = programmed();

	pic_write(&pic, 0x21, 0x10);
	pic_set_line(&pic, 4, true);
	assert_false(pic_pending(&pic));
	pic_write(&pic, 0x21, 0x00);
	assert_true(pic_pending(&pic));
}

static void a_lower_priority_waits_for_the_end_of_a_higher_one(void **state)
{
	struct pic pic = programmed();

	pic_set_line(&pic, 3, true);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
	pic_set_line(&pic, 5, true);
	assert_false(pic_pending(&pic));
	pic_set_line(&pic, 1, true);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x31);
	pic_write(&pic, 0x20, 0x20); /* ends input 1 */
	assert_false(pic_pending(&pic));
	pic_write(&pic, 0x20, 0x20); /* ends input 3 */
	assert_int_equal(pic_acknowledge(&pic), 0x35);
}

static void the_slave_delivers_through_the_cascade(void **state)
{
	struct pic pic = programmed();

	pic_set_line(&pic, 8, true);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x38);
	pic_write(&pic, 0x20, 0x0b);
	assert_int_equal(pic_read(&pic, 0x20), 0x04); /* the master has its input 2 in service */
	pic_write(&pic, 0xa0, 0x0b);
	assert_int_equal(pic_read(&pic, 0xa0), 0x01);
	pic_write(&pic, 0xa0, 0x60); /* specific EOI, input 0 */
	pic_write(&pic, 0x20, 0x62);
	assert_int_equal(pic_read(&pic, 0x20), 0);
}

static void a_request_that_has_gone_gives_the_spurious_vector(void **state)
{
	struct pic pic = programmed();

	pic_set_line(&pic, 4, true);
	pic_set_line(&pic, 4, false);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	pic_write(&pic, 0x20, 0x0b);
	assert_int_equal(pic_read(&pic, 0x20), 0);
}

static void a_level_input_is_requested_again_while_it_is_high(void **state)
{
	struct pic pic = programmed();

	pic_write(&pic, 0x4d1, 0x08); /* input 11 */
	pic_write(&pic, 0x4d0, 0xff);
	assert_int_equal(pic_read(&pic, 0x4d1), 0x08);
	assert_int_equal(pic_read(&pic, 0x4d0), 0xf8); /* 0, 1 and 2 stay edges */
	pic_set_line(&pic, 11, true);
	assert_int_equal(pic_acknowledge(&pic), 0x3b);
	pic_write(&pic, 0xa0, 0x20);
	pic_write(&pic, 0x20, 0x20);
	assert_true(pic_pending(&pic));
	pic_set_line(&pic, 11, false);
	assert_false(pic_pending(&pic));
}

static void polling_acknowledges(void **state)
{
	struct pic pic = programmed();

	pic_set_line(&pic, 6, true);
	pic_write(&pic, 0x20, 0x0c);
	assert_int_equal(pic_read(&pic, 0x20), 0x86);
	assert_false(pic_pending(&pic));
	pic_write(&pic, 0x20, 0x0c);
	assert_int_equal(pic_read(&pic, 0x20), 0);
}

static void automatic_eoi_leaves_nothing_in_service(void **state)
{
	struct pic pic = programmed();

	pic_write(&pic, 0x20, 0x11);
	pic_write(&pic, 0x21, 0x20);
	pic_write(&pic, 0x21, 0x04);
	pic_write(&pic, 0x21, 0x03);
	pic_set_line(&pic, 0, true);
	assert_int_equal(pic_acknowledge(&pic), 0x20);
	pic_set_line(&pic, 5, true);
	assert_true(pic_pending(&pic));
}

static void rotation_makes_the_served_input_the_lowest(void **state)
{
	struct pic pic = programmed();

	pic_set_line(&pic, 0, true);
	assert_int_equal(pic_acknowledge(&pic), 0x30);
	pic_write(&pic, 0x20, 0xa0); /* rotate on non-specific EOI */
	pic_set_line(&pic, 0, false);
	pic_set_line(&pic, 0, true);
	pic_set_line(&pic, 7, true);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_edge_is_requested_once_and_delivered_once),
		cmocka_unit_test(a_masked_input_waits_until_it_is_unmasked),
		cmocka_unit_test(a_lower_priority_waits_for_the_end_of_a_higher_one),
		cmocka_unit_test(the_slave_delivers_through_the_cascade),
		cmocka_unit_test(a_request_that_has_gone_gives_the_spurious_vector),
		cmocka_unit_test(a_level_input_is_requested_again_while_it_is_high),
		cmocka_unit_test(polling_acknowledges),
		cmocka_unit_test(automatic_eoi_leaves_nothing_in_service),
		cmocka_unit_test(rotation_makes_the_served_input_the_lowest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
