/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042.c: the keyboard controller as drivers use it, and typed text as scan codes.
 */
#include <hv/i8042.h>
#include "sim/sim.h"

static struct i8042 kbc;

static int power_on(void **state)
{
	i8042_init(&kbc);
	return 0;
}

static void command(u8 value)
{
	assert_false(i8042_write(&kbc, 0x64, value));
}

static void data(u8 value)
{
	assert_false(i8042_write(&kbc, 0x60, value));
}

static void expect(const u8 *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_true(i8042_irq(&kbc));
		assert_true(i8042_read(&kbc, 0x64) & 1);
		assert_int_equal(i8042_read(&kbc, 0x60), bytes[i]);
	}
	assert_false(i8042_irq(&kbc));
	assert_false(i8042_read(&kbc, 0x64) & 1);
}

#define EXPECT(...) expect((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static void the_controller_tests_itself(void **state)
{
	command(0xaa);
	EXPECT(0x55);
	command(0xab);
	EXPECT(0x00);
	command(0xa9);
	EXPECT(0xff); /* no mouse */
}

static void its_command_register_keeps_what_is_written(void **state)
{
	command(0x20);
	EXPECT(0x65);
	command(0x60);
	data(0x75);
	command(0x20);
	EXPECT(0x75);
	command(0x60);
	data(0x64);
	command(0x20);
	assert_false(i8042_irq(&kbc)); /* its interrupt is off */
	assert_int_equal(i8042_read(&kbc, 0x60), 0x64);
}

/* FEh and its kin pulse the reset line, and so does bit 0 of the output port. */
static void it_resets_the_cpu(void **state)
{
	assert_true(i8042_write(&kbc, 0x64, 0xfe));
	assert_true(i8042_write(&kbc, 0x64, 0xf0));
	assert_false(i8042_write(&kbc, 0x64, 0xff));
	command(0xd1);
	assert_true(i8042_write(&kbc, 0x60, 0x02));
	command(0xd1);
	data(0xdf); /* A20 as ever */
	command(0xd0);
	assert_int_equal(i8042_read(&kbc, 0x60) & 3, 3);
}

static void the_keyboard_answers_its_commands(void **state)
{
	data(0xff);
	EXPECT(0xfa, 0xaa);
	data(0xf2);
	EXPECT(0xfa, 0xab, 0x41);
	data(0xed);
	EXPECT(0xfa);
	data(0x07);
	EXPECT(0xfa);
	data(0xee);
	EXPECT(0xee);
	data(0xf0);
	EXPECT(0xfa);
	data(0);
	EXPECT(0xfa, 0x01); /* set 1 */
	data(0xf0);
	EXPECT(0xfa);
	data(2);
	EXPECT(0xfe);
	data(0x55); /* no command */
	EXPECT(0xfe);
}

static void typed_characters_are_keys_of_a_us_keyboard(void **state)
{
	i8042_type(&kbc, 'a');
	EXPECT(0x1e, 0x9e);
	i8042_type(&kbc, 'A');
	EXPECT(0x2a, 0x1e, 0x9e, 0xaa);
	i8042_type(&kbc, '\n');
	EXPECT(0x1c, 0x9c);
	i8042_type(&kbc, 0x7f);
	EXPECT(0x0e, 0x8e);
	i8042_type(&kbc, ' ');
	EXPECT(0x39, 0xb9);
	i8042_type(&kbc, '?');
	EXPECT(0x2a, 0x35, 0xb5, 0xaa);
	i8042_type(&kbc, 3); /* Ctrl-C */
	EXPECT(0x1d, 0x2e, 0xae, 0x9d);
	i8042_type(&kbc, (char)0xe4);
	assert_false(i8042_irq(&kbc));
}

static void each_printable_character_has_a_key(void **state)
{
	for (char c = ' '; c <= '~'; c++) {
		i8042_type(&kbc, c);
		assert_true(i8042_irq(&kbc));
		while (i8042_irq(&kbc))
			assert_in_range(i8042_read(&kbc, 0x60) & 0x7f, 1, 0x39);
	}
}

static void there_is_room_until_the_queue_is_full_or_the_keyboard_is_off(void **state)
{
	unsigned typed = 0;

	while (i8042_has_room(&kbc) && typed < 100) {
		i8042_type(&kbc, 'x');
		typed++;
	}
	assert_int_equal(typed, 7);
	i8042_type(&kbc, 'x');
	assert_int_equal(kbc.count, 14);
	while (i8042_irq(&kbc))
		(void)i8042_read(&kbc, 0x60);
	assert_true(i8042_has_room(&kbc));
	command(0xad);
	assert_false(i8042_has_room(&kbc));
	command(0xae);
	assert_true(i8042_has_room(&kbc));
	data(0xf5);
	EXPECT(0xfa);
	assert_false(i8042_has_room(&kbc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_controller_tests_itself, power_on),
		cmocka_unit_test_setup(its_command_register_keeps_what_is_written, power_on),
		cmocka_unit_test_setup(it_resets_the_cpu, power_on),
		cmocka_unit_test_setup(the_keyboard_answers_its_commands, power_on),
		cmocka_unit_test_setup(typed_characters_are_keys_of_a_us_keyboard, power_on),
		cmocka_unit_test_setup(each_printable_character_has_a_key, power_on),
		cmocka_unit_test_setup(there_is_room_until_the_queue_is_full_or_the_keyboard_is_off,
				       power_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
