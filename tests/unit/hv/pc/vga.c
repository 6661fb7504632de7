/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga.c: the registers that a driver reads back, and which rows of a screen are shown.
 */
#include <hv/vga.h>
#include "sim/sim.h"

static struct screen screen;
static u16 cells[VGA_CELLS];
static char shown[4096];

static int power_on(void **state)
{
	memset(&screen, 0, sizeof(screen));
	for (unsigned i = 0; i < VGA_CELLS; i++)
		cells[i] = 0x0720;
	return 0;
}

static void show(void *context, const char *text, size_t len)
{
	strncat(shown, text, len);
	strcat(shown, "|");
}

static void write_row(unsigned row, const char *text)
{
	for (unsigned i = 0; i < VGA_COLUMNS; i++) {
		cells[row * VGA_COLUMNS + i] = 0x0700 | (*text ? (u8)*text : ' ');
		text += *text != 0;
	}
}

static void scroll(void)
{
	memmove(cells, cells + VGA_COLUMNS, (VGA_CELLS - VGA_COLUMNS) * sizeof(u16));
	write_row(VGA_ROWS - 1, "");
}

static void expect(unsigned cursor_row, const char *text)
{
	shown[0] = '\0';
	screen_update(&screen, cells, cursor_row, show, NULL);
	assert_string_equal(shown, text);
}

static void rows_are_shown_when_they_change(void **state)
{
	expect(VGA_ROWS, "");
	write_row(0, "one");
	write_row(3, "  four");
	expect(VGA_ROWS, "one|  four|");
	expect(VGA_ROWS, "");
	write_row(0, "One");
	write_row(3, "");
	expect(VGA_ROWS, "One|");
}

static void rows_that_scrolled_are_not_shown_again(void **state)
{
	char text[16];

	for (unsigned i = 0; i < VGA_ROWS; i++) {
		snprintf(text, sizeof(text), "row %u", i);
		write_row(i, text);
	}
	screen_update(&screen, cells, VGA_ROWS, show, NULL);
	scroll();
	write_row(24, "new");
	expect(VGA_ROWS, "new|");
	for (unsigned i = 0; i < 3; i++)
		scroll();
	write_row(22, "a");
	write_row(23, "b");
	write_row(24, "c");
	expect(VGA_ROWS, "a|b|c|");
	for (unsigned i = 0; i < VGA_ROWS; i++)
		scroll();
	expect(VGA_ROWS, "");
	write_row(0, "after a clear");
	expect(VGA_ROWS, "after a clear|");
}

static void the_cursors_row_is_shown_when_it_rests(void **state)
{
	write_row(0, "$ l");
	expect(0, "");
	write_row(0, "$ ls");
	expect(0, "");
	expect(0, "$ ls|");
	expect(0, "");
	write_row(0, "$ ls -l");
	expect(0, "");
	expect(1, "$ ls -l|"); /* the cursor has left it */
}

static void other_characters_are_question_marks(void **state)
{
	write_row(0, "a\xdb\x01z");
	cells[1 + 3] = 0;
	expect(VGA_ROWS, "a??z|");
}

static void index_and_data_are_kept(void **state)
{
	static const u16 groups[] = {0x3c4, 0x3ce, 0x3d4};
	struct vga vga;

	vga_init(&vga);
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++) {
		vga_write(&vga, groups[i], (u8)(i + 1));
		vga_write(&vga, groups[i] + 1, (u8)(0x40 + i));
		assert_int_equal(vga_read(&vga, groups[i], 0), i + 1);
		assert_int_equal(vga_read(&vga, groups[i] + 1, 0), 0x40 + i);
	}
	vga_write(&vga, 0x3d4, 0xff); /* an index past the end */
	vga_write(&vga, 0x3d5, 1);
	assert_int_equal(vga_read(&vga, 0x3d5, 0), 1);
	vga_write(&vga, 0x3d4, 0x0e);
	vga_write(&vga, 0x3d5, 0x07);
	vga_write(&vga, 0x3d4, 0x0f);
	vga_write(&vga, 0x3d5, 0xcf);
	assert_int_equal(vga_cursor(&vga), 0x7cf);
	assert_int_equal(vga_start(&vga), 0);
}

static void the_attribute_port_takes_index_and_data_in_turn(void **state)
{
	struct vga vga;

	vga_init(&vga);
	vga_write(&vga, 0x3c0, 0x10);
	vga_write(&vga, 0x3c0, 0x0c);
	assert_int_equal(vga_read(&vga, 0x3c1, 0), 0x0c);
	vga_write(&vga, 0x3c0, 0x11);
	(void)vga_read(&vga, 0x3da, 0); /* an index is next */
	vga_write(&vga, 0x3c0, 0x10);
	assert_int_equal(vga_read(&vga, 0x3c1, 0), 0x0c);
}

static void the_retrace_comes_and_goes(void **state)
{
	struct vga vga;
	unsigned on = 0;

	vga_init(&vga);
	for (u64 now = 0; now < 1000000; now += 100)
		on += vga_read(&vga, 0x3da, now) >> 3 & 1;
	assert_in_range(on, 600, 800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rows_are_shown_when_they_change, power_on),
		cmocka_unit_test_setup(rows_that_scrolled_are_not_shown_again, power_on),
		cmocka_unit_test_setup(the_cursors_row_is_shown_when_it_rests, power_on),
		cmocka_unit_test_setup(other_characters_are_question_marks, power_on),
		cmocka_unit_test(index_and_data_are_kept),
		cmocka_unit_test(the_attribute_port_takes_index_and_data_in_turn),
		cmocka_unit_test(the_retrace_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
