/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gva.c: a guest's own page tables, in each paging mode.
 *
 * Guest memory is an array; what lies outside it cannot be read.
 */
#include "sim/sim.h"
#include <arch/regs.h>
#include <hv/gva.h>
#include <hv/vm_memory.h>

#define WORDS 4096

#define P  1ull
#define W  2ull
#define U  4ull
#define PS 0x80ull

const struct virt_ops *virt;

static u64 memory[WORDS];
static bool rom;
static u64 *flips; /* another vCPU's write to an entry, before the next swap */

int vm_read_memory(struct vm *vm, struct gpa from, void *to, size_t len)
{
	if (from.raw + len < from.raw || from.raw + len > sizeof(memory))
		return ERR_RANGE;
	memcpy(to, (u8 *)memory + from.raw, len);
	return 0;
}

int vm_swap_memory(struct vm *vm, struct gpa at, size_t len, u64 old, u64 new, bool *swapped)
{
	u8 *word = (u8 *)memory + at.raw;

	if (rom)
		return ERR_PERMISSION;
	if (flips)
		*flips ^= W;
	flips = NULL;
	*swapped = memcmp(word, &old, len) == 0;
	if (*swapped)
		memcpy(word, &new, len);
	return 0;
}

static struct guest_state state;
static struct gpa found;
static unsigned allowed;

static int read_memory(void *context, struct gpa from, void *to, size_t len)
{
	if (from.raw + len < from.raw || from.raw + len > sizeof(memory))
		return ERR_RANGE;
	memcpy(to, (u8 *)memory + from.raw, len);
	return 0;
}

static int walk(u64 gva)
{
	return gva_walk(&state, read_memory, NULL, (struct gva){gva}, &found, &allowed, NULL);
}

static void assert_walks(u64 gva, u64 gpa, unsigned rights)
{
	assert_int_equal(walk(gva), 0);
	assert_int_equal(found.raw, gpa);
	assert_int_equal(allowed, rights);
}

static int start(void **unused)
{
	memset(memory, 0, sizeof(memory));
	state = (struct guest_state){.cr0 = CR0_PG, .cr3 = 0x1000};
	return 0;
}

static void set64(u64 table, unsigned index, u64 entry)
{
	memory[table / 8 + index] = entry;
}

static void set32(u64 table, unsigned index, u32 entry)
{
	((u32 *)memory)[table / 4 + index] = entry;
}

static void without_paging_addresses_are_physical_and_32_bit(void **unused)
{
	state.cr0 = 0;
	assert_walks(0x1234567890, 0x34567890, HV_READ | HV_WRITE | GVA_USER);
}

static void long_mode_has_four_levels(void **unused)
{
	state.efer = EFER_LMA;
	set64(0x1000, 1, 0x2000 | P | W | U);
	set64(0x2000, 2, 0x3000 | P | W | U);
	set64(0x3000, 3, 0x4000 | P | W | U);
	set64(0x4000, 4, 0x8000000abc000 | P | W | U | BIT(63));
	assert_walks(1ull << 39 | 2ull << 30 | 3 << 21 | 4 << 12 | 0x567, 0x8000000abc567,
		     HV_READ | HV_WRITE | GVA_USER);
	assert_int_equal(walk(1ull << 39 | 2ull << 30 | 3 << 21 | 5 << 12), ERR_NOT_FOUND);
	assert_int_equal(walk(0), ERR_NOT_FOUND);
}

static void large_pages_of_long_mode_end_the_walk(void **unused)
{
	state.efer = EFER_LMA;
	set64(0x1000, 0, 0x2000 | P | W);
	set64(0x2000, 1, 0x40000000 | P | W | PS);
	set64(0x2000, 2, 0x3000 | P | W);
	set64(0x3000, 5, 0x00e00000 | P | PS);
	assert_walks(0x40123456, 0x40123456, HV_READ | HV_WRITE);
	assert_walks(0x80a12345, 0x00e12345, HV_READ);
}

static void rights_are_those_of_the_weakest_level(void **unused)
{
	state.efer = EFER_LMA;
	set64(0x1000, 0, 0x2000 | P | U);
	set64(0x2000, 0, 0x3000 | P | W | U);
	set64(0x3000, 0, 0x4000 | P | W);
	set64(0x4000, 0, 0x5000 | P | W | U);
	assert_walks(0x10, 0x5010, HV_READ);
}

static void pae_has_three_levels_and_no_rights_at_the_top(void **unused)
{
	state.cr4 = CR4_PAE;
	state.cr3 = 0x1020;
	set64(0x1020, 3, 0x2000 | P);
	set64(0x2000, 1, 0x3000 | P | W | U);
	set64(0x3000, 2, 0x7000 | P | W | U);
	set64(0x2000, 2, 0x600000 | P | W | PS);
	assert_walks(0xc0202abc, 0x7abc, HV_READ | HV_WRITE | GVA_USER);
	assert_walks(0xc0412345, 0x612345, HV_READ | HV_WRITE);
}

static void legacy_mode_has_two_levels_and_4_mib_pages_by_pse(void **unused)
{
	set32(0x1000, 1, 0x2000 | P | W | U);
	set32(0x2000, 3, 0x9000 | P | W);
	set32(0x1000, 2, 0x00c00000 | P | W | PS | 1 << 13);
	assert_walks(0x403123, 0x9123, HV_READ | HV_WRITE);
	state.cr4 = CR4_PSE;
	assert_walks(0x812345, 0x100c12345, HV_READ | HV_WRITE);
}

static void tables_outside_memory_are_an_error_not_a_crash(void **unused)
{
	state.efer = EFER_LMA;
	set64(0x1000, 0, BITS(51, 12) | P | W);
	assert_int_equal(walk(0), ERR_RANGE);
	state.cr3 = BITS(51, 12);
	assert_int_equal(walk(~0ull), ERR_RANGE);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

static int access_at(u64 gva, unsigned needed, bool write)
{
	return gva_access(NULL, &state, (struct gva){gva}, needed, write, &found, &allowed);
}

static void map_two_levels(void)
{
	state.efer = EFER_LMA;
	set64(0x1000, 0, 0x2000 | P | W | U);
	set64(0x2000, 0, 0x3000 | P | W | U);
	set64(0x3000, 1, 0x4000 | P | W | U);
	set64(0x4000, 2, 0x5000 | P | W | U);
}

#define AT_TWO_LEVELS 0x202000ull
#define A	      0x20ull
#define D	      0x40ull

static void an_access_sets_a_on_each_level_and_d_for_a_write(void **unused)
{
	map_two_levels();
	assert_int_equal(access_at(AT_TWO_LEVELS, HV_READ, false), 0);
	assert_int_equal(memory[0x1000 / 8] & (A | D), A);
	assert_int_equal(memory[0x2000 / 8] & (A | D), A);
	assert_int_equal(memory[0x3000 / 8 + 1] & (A | D), A);
	assert_int_equal(memory[0x4000 / 8 + 2], 0x5000 | P | W | U | A);
	assert_int_equal(access_at(AT_TWO_LEVELS, HV_READ | HV_WRITE, true), 0);
	assert_int_equal(memory[0x3000 / 8 + 1] & (A | D), A);
	assert_int_equal(memory[0x4000 / 8 + 2], 0x5000 | P | W | U | A | D);
}

static void an_access_that_is_not_allowed_sets_nothing(void **unused)
{
	map_two_levels();
	set64(0x4000, 2, 0x5000 | P);
	assert_int_equal(access_at(AT_TWO_LEVELS, HV_READ | HV_WRITE, true), 0);
	assert_int_equal(allowed & HV_WRITE, 0);
	assert_int_equal(memory[0x4000 / 8 + 2], 0x5000 | P);
}

static void entries_of_four_bytes_and_pdptes_keep_their_neighbours(void **unused)
{
	set32(0x1000, 0, 0x2000 | P | W | U);
	set32(0x2000, 1, 0x3000 | P | W | U);
	set32(0x2000, 2, 0x12345000);
	assert_int_equal(access_at(0x1000, HV_READ | HV_WRITE, true), 0);
	assert_int_equal(((u32 *)memory)[0x2000 / 4 + 1], 0x3000 | P | W | U | A | D);
	assert_int_equal(((u32 *)memory)[0x2000 / 4 + 2], 0x12345000);
	state.cr4 = CR4_PAE;
	set64(0x1000, 0, 0x2000 | P);
	set64(0x2000, 0, 0x3000 | P | W | U);
	set64(0x3000, 1, 0x4000 | P | W | U);
	assert_int_equal(access_at(0x1000, HV_READ, false), 0);
	assert_int_equal(memory[0x1000 / 8], 0x2000 | P);
	assert_int_equal(memory[0x2000 / 8] & A, A);
}

static void an_entry_that_changes_meanwhile_is_walked_again(void **unused)
{
	map_two_levels();
	flips = &memory[0x4000 / 8 + 2];
	assert_int_equal(access_at(AT_TWO_LEVELS, HV_READ | HV_WRITE, true), 0);
	assert_int_equal(allowed & HV_WRITE, 0);
	assert_int_equal(memory[0x4000 / 8 + 2] & (W | D), 0);
}

static void tables_in_rom_stay_as_they_are(void **unused)
{
	map_two_levels();
	rom = true;
	assert_int_equal(access_at(AT_TWO_LEVELS, HV_READ, false), 0);
	assert_int_equal(found.raw, 0x5000);
	assert_int_equal(memory[0x4000 / 8 + 2], 0x5000 | P | W | U);
	rom = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_access_sets_a_on_each_level_and_d_for_a_write, start),
		cmocka_unit_test_setup(an_access_that_is_not_allowed_sets_nothing, start),
		cmocka_unit_test_setup(entries_of_four_bytes_and_pdptes_keep_their_neighbours,
				       start),
		cmocka_unit_test_setup(an_entry_that_changes_meanwhile_is_walked_again, start),
		cmocka_unit_test_setup(tables_in_rom_stay_as_they_are, start),
		TEST(without_paging_addresses_are_physical_and_32_bit),
		TEST(long_mode_has_four_levels),
		TEST(large_pages_of_long_mode_end_the_walk),
		TEST(rights_are_those_of_the_weakest_level),
		TEST(pae_has_three_levels_and_no_rights_at_the_top),
		TEST(legacy_mode_has_two_levels_and_4_mib_pages_by_pse),
		TEST(tables_outside_memory_are_an_error_not_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
