/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.c: from the RSDP to the CPUs, through good and broken tables (BOOT-1, BOOT-2, BOOT-3).
 */
#include "sim/boot_world.h"

/* The BIOS's area, where the search for an RSDP ends up. */
#define BASE 0xe0000
#define SIZE 0x20000

struct acpi {
	struct boot_world *world;
	u64 rsdp, rsdt, xsdt, madt;
	u64 entries; /* the MADT's first entry */
	u32 madt_length;
};

static u64 put_header(struct boot_world *world, const char *signature, u32 length)
{
	u64 at = put(world, signature, 4);

	put32(world, length);
	put(world, "\1\0OEMID TABLE   \0\0\0\0\0\0\0\0\0\0\0\0", 28);
	return at;
}

static void sum_table(struct acpi *acpi, u64 table)
{
	u32 length;

	memcpy(&length, acpi->world->bytes + (table + 4 - BASE), 4);
	put_checksum(acpi->world, table, length, table + 9);
}

static void put_local_apic(struct boot_world *world, u8 id, u32 flags)
{
	put(world, (u8[]){0, 8, (u8)(id + 1), id}, 4);
	put32(world, flags);
}

static void put_x2apic(struct boot_world *world, u32 id, u32 flags)
{
	put(world, (u8[]){9, 16, 0, 0}, 4);
	put32(world, id);
	put32(world, flags);
	put32(world, id + 1);
}

static struct acpi good_acpi(void)
{
	struct acpi acpi = {.world = world_new(BASE, SIZE),
			    .madt_length = 44 + 8 * 3 + 16 + 12 + 10};
	struct boot_world *world = acpi.world;

	world->end = 0x100;
	acpi.madt = put_header(world, "APIC", acpi.madt_length);
	put32(world, 0xfed00000);
	put32(world, 1);
	acpi.entries = BASE + world->end;
	put_local_apic(world, 0, 1);
	put_local_apic(world, 2, 1);
	put_local_apic(world, 4, 0); /* disabled */
	put_x2apic(world, 0x1000, 1);
	put(world, (u8[]){1, 12, 7, 0}, 4);
	put32(world, 0xfec00000);
	put32(world, 24);
	put(world, (u8[]){2, 10, 0, 0, 2, 0, 0, 0, 5, 0}, 10);
	sum_table(&acpi, acpi.madt);
	acpi.rsdt = put_header(world, "RSDT", 36 + 4);
	put32(world, (u32)acpi.madt);
	sum_table(&acpi, acpi.rsdt);
	acpi.xsdt = put_header(world, "XSDT", 36 + 8);
	put64(world, acpi.madt);
	sum_table(&acpi, acpi.xsdt);
	put_align(world, 16);
	acpi.rsdp = put(world, "RSD PTR \0OEMID \2", 16);
	put32(world, (u32)acpi.rsdt);
	put32(world, 36);
	put64(world, acpi.xsdt);
	put32(world, 0);
	put_checksum(world, acpi.rsdp, 20, acpi.rsdp + 8);
	put_checksum(world, acpi.rsdp, 36, acpi.rsdp + 32);
	return acpi;
}

static void parse(struct acpi *acpi)
{
	acpi_parse(&acpi->world->reader, &acpi->world->info);
	assert_sound(&acpi->world->info, &acpi->world->map);
}

static void the_madt_names_cpus_and_controllers(void **state)
{
	struct acpi acpi = good_acpi();
	struct boot_info *info = &acpi.world->info;

	parse(&acpi);
	assert_int_equal(info->cpu_count, 3);
	assert_int_equal(info->cpus[1].apic_id, 2);
	assert_int_equal(info->cpus[1].acpi_uid, 3);
	assert_int_equal(info->cpus[2].apic_id, 0x1000);
	assert_int_equal(info->local_apic.raw, 0xfed00000);
	assert_int_equal(info->ioapic_count, 1);
	assert_int_equal(info->ioapics[0].id, 7);
	assert_int_equal(info->ioapics[0].address.raw, 0xfec00000);
	assert_int_equal(info->ioapics[0].gsi_base, 24);
	assert_int_equal(info->override_count, 1);
	assert_int_equal(info->overrides[0].gsi, 2);
	assert_int_equal(info->overrides[0].flags, 5);
	assert_int_equal(info->rsdp_length, 36);
	assert_string_equal(sim_console(), "");
	world_free(acpi.world);
}

static void the_loaders_rsdp_comes_first(void **state)
{
	struct acpi acpi = good_acpi();
	struct boot_info *info = &acpi.world->info;

	info->rsdp_length = 36;
	memcpy(info->rsdp, acpi.world->bytes + (acpi.rsdp - BASE), 36);
	memset(acpi.world->bytes + (acpi.rsdp - BASE), 0, 36);
	parse(&acpi);
	assert_int_equal(info->cpu_count, 3);
	world_free(acpi.world);
}

static void a_broken_rsdp_of_the_loader_is_replaced_by_the_bioss(void **state)
{
	struct acpi acpi = good_acpi();

	acpi.world->info.rsdp_length = 20;
	memcpy(acpi.world->info.rsdp, "RSD PTR ", 8);
	acpi.world->info.rsdp[10] = 1;
	parse(&acpi);
	assert_said("the loader's RSDP is broken");
	assert_int_equal(acpi.world->info.cpu_count, 3);
	world_free(acpi.world);
}

static void without_an_rsdp_there_is_one_cpu(void **state)
{
	struct acpi acpi = good_acpi();

	acpi.world->bytes[acpi.rsdp - BASE + 33]++; /* revision 2: all 36 bytes count */
	parse(&acpi);
	assert_said("no RSDP");
	assert_int_equal(acpi.world->info.cpu_count, 0);
	assert_int_equal(acpi.world->info.rsdp_length, 0);
	assert_int_equal(acpi.world->info.local_apic.raw, 0xfee00000);
	world_free(acpi.world);
}

/* Makes the RSDP one of revision 0, which ends after 20 bytes: what follows is anything. */
static void make_version_1(struct acpi *acpi)
{
	u8 *rsdp = acpi->world->bytes + (acpi->rsdp - BASE);

	rsdp[15] = 0;
	memset(rsdp + 20, 0x5a, 16);
	put_checksum(acpi->world, acpi->rsdp, 20, acpi->rsdp + 8);
}

static void a_version_1_rsdp_leads_through_the_rsdt(void **state)
{
	struct acpi acpi = good_acpi();

	make_version_1(&acpi);
	poke32(acpi.world, acpi.xsdt, 0);
	parse(&acpi);
	assert_int_equal(acpi.world->info.cpu_count, 3);
	assert_int_equal(acpi.world->info.rsdp_length, 20);
	assert_string_equal(sim_console(), "");
	world_free(acpi.world);
}

static void the_loader_may_give_a_version_1_rsdp(void **state)
{
	struct acpi acpi = good_acpi();
	struct boot_info *info = &acpi.world->info;

	make_version_1(&acpi);
	info->rsdp_length = 20;
	memcpy(info->rsdp, acpi.world->bytes + (acpi.rsdp - BASE), 20);
	memset(acpi.world->bytes + (acpi.rsdp - BASE), 0, 36);
	parse(&acpi);
	assert_int_equal(info->cpu_count, 3);
	world_free(acpi.world);
}

static void a_short_rsdp_may_lie_at_the_very_end(void **state)
{
	struct acpi acpi = good_acpi();
	u8 *end = acpi.world->bytes + SIZE;

	make_version_1(&acpi);
	memcpy(end - 32, acpi.world->bytes + (acpi.rsdp - BASE), 20);
	memset(acpi.world->bytes + (acpi.rsdp - BASE), 0, 36);
	parse(&acpi);
	assert_int_equal(acpi.world->info.cpu_count, 3);
	world_free(acpi.world);
}

/* The first KiB of the extended BIOS data area, with its segment at 0x40e. */
static void the_ebda_may_hold_the_rsdp(void **state)
{
	static const struct {
		u16 segment;
		u32 at;
		unsigned cpus;
	} places[] = {
		{0x9fc0, 0x9fc00, 3},	     {0x9fc0, 0x9fc00 + 1024 - 48, 3},
		{0x9fc0, 0x9fc00 + 1024, 0}, {0x400, 0x4000, 3},
		{0x3ff, 0x3ff0, 0},	     {0, 0x10, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct acpi acpi = good_acpi();
		struct boot_world *low = world_new(0, BASE + SIZE);

		memcpy(low->bytes + BASE, acpi.world->bytes, SIZE);
		memcpy(low->bytes + places[i].at, low->bytes + acpi.rsdp, 36);
		memset(low->bytes + acpi.rsdp, 0, 36);
		low->bytes[0x40e] = (u8)places[i].segment;
		low->bytes[0x40f] = (u8)(places[i].segment >> 8);
		acpi_parse(&low->reader, &low->info);
		assert_int_equal(low->info.cpu_count, places[i].cpus);
		world_free(low);
		world_free(acpi.world);
	}
}

static void a_broken_xsdt_is_said_and_the_rsdt_taken(void **state)
{
	struct acpi acpi = good_acpi();

	acpi.world->bytes[acpi.xsdt - BASE + 20]++;
	parse(&acpi);
	assert_said("the XSDT at 0xe");
	assert_said("has a wrong checksum: ignored");
	assert_int_equal(acpi.world->info.cpu_count, 3);
	world_free(acpi.world);
}

static void a_madt_with_a_wrong_sum_is_not_believed(void **state)
{
	struct acpi acpi = good_acpi();

	acpi.world->bytes[acpi.madt - BASE + 50]++;
	parse(&acpi);
	assert_said("the APIC at 0xe0100 has a wrong checksum");
	assert_said("no MADT");
	assert_int_equal(acpi.world->info.cpu_count, 0);
	world_free(acpi.world);
}

static void tables_of_impossible_lengths_are_refused(void **state)
{
	static const u32 lengths[] = {0, 35, (1 << 20) + 1, 0xffffffff};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct acpi acpi = good_acpi();

		poke32(acpi.world, acpi.madt + 4, lengths[i]);
		parse(&acpi);
		assert_said("there is no APIC");
		assert_said("no MADT");
		assert_int_equal(acpi.world->info.cpu_count, 0);
		world_free(acpi.world);
	}
}

static void a_table_that_ends_outside_memory_is_refused(void **state)
{
	struct acpi acpi = good_acpi();

	poke32(acpi.world, acpi.madt + 4, SIZE);
	parse(&acpi);
	assert_said("cannot be read to its end");
	assert_said("no MADT");
	assert_int_equal(acpi.world->info.cpu_count, 0);
	world_free(acpi.world);
}

static void a_table_with_a_cut_header_is_refused(void **state)
{
	struct acpi acpi = good_acpi();

	memcpy(acpi.world->bytes + SIZE - 16, "APIC", 4);
	poke32(acpi.world, acpi.xsdt + 36, BASE + SIZE - 16);
	sum_table(&acpi, acpi.xsdt);
	parse(&acpi);
	assert_said("the APIC at 0xffff0 cannot be read");
	assert_said("no MADT");
	assert_int_equal(acpi.world->info.cpu_count, 0);
	world_free(acpi.world);
}

static void a_root_entry_that_is_not_whole_does_not_count(void **state)
{
	struct acpi acpi = good_acpi();

	poke32(acpi.world, acpi.xsdt + 4, 36 + 7);
	sum_table(&acpi, acpi.xsdt);
	parse(&acpi);
	assert_said("no MADT");
	world_free(acpi.world);
}

/* A MADT of these bytes after its header takes the place of the good one. */
static void replace_madt(struct acpi *acpi, const void *content, u32 length)
{
	acpi->world->end = 0x1000;
	acpi->madt = put_header(acpi->world, "APIC", 36 + length);
	put(acpi->world, content, length);
	sum_table(acpi, acpi->madt);
	poke32(acpi->world, acpi->xsdt + 36, (u32)acpi->madt);
	sum_table(acpi, acpi->xsdt);
}

static void a_madt_without_entries_is_said(void **state)
{
	static const u8 content[8];

	for (u32 length = 0; length <= 8; length++) {
		struct acpi acpi = good_acpi();

		replace_madt(&acpi, content, length);
		parse(&acpi);
		if (length < 8)
			assert_said("ends before its first entry");
		else
			assert_not_said("ends before");
		assert_int_equal(acpi.world->info.cpu_count, 0);
		assert_int_equal(acpi.world->info.local_apic.raw, 0xfee00000);
		if (length == 8)
			assert_said("lists no CPU that is enabled");
		world_free(acpi.world);
	}
}

static void entries_that_name_no_cpu_are_left_out(void **state)
{
	static const u8 content[] = {
		0,    0,  0, 0,	   1,	 0,    0,    0, /* */
		0xfe, 2,				/* an unknown type, as short as can be */
		0,    8,  1, 0xff, 1,	 0,    0,    0, /* the xAPIC's broadcast */
		9,    16, 0, 0,	   0xff, 0xff, 0xff, 0xff, 1, 0,
		0,    0,  0, 0,	   0,	 0,			 /* and the x2APIC's */
		2,    10, 0, 16,   0,	 0,    0,    0,	   0, 0, /* ISA has 16 interrupts */
		0,    8,  1, 5,	   1,	 0,    0,    0,
	};
	struct acpi acpi = good_acpi();

	replace_madt(&acpi, content, sizeof(content));
	parse(&acpi);
	assert_int_equal(acpi.world->info.cpu_count, 1);
	assert_int_equal(acpi.world->info.cpus[0].apic_id, 5);
	assert_int_equal(acpi.world->info.override_count, 0);
	assert_said("the override of interrupt 16 is ignored");
	world_free(acpi.world);
}

static void the_local_apics_address_may_be_overridden(void **state)
{
	static const struct {
		u64 address, taken;
	} cases[] = {
		{0xfeb00000, 0xfeb00000}, {0x123400000000, 0x123400000000},
		{0xfeb00800, 0xfed00000}, {1ull << 52, 0xfed00000},
		{~0xfffull, 0xfed00000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct acpi acpi = good_acpi();
		struct __packed {
			u32 local_apic, flags;
			u8 type, length;
			u16 reserved;
			u64 address;
		} content = {0xfed00000, 1, 5, 12, 0, cases[i].address};

		replace_madt(&acpi, &content, sizeof(content));
		parse(&acpi);
		assert_int_equal(acpi.world->info.local_apic.raw, cases[i].taken);
		world_free(acpi.world);
	}
}

static void an_entry_that_lies_about_its_length_ends_the_madt(void **state)
{
	static const u8 lengths[] = {0, 1, 55, 255}; /* 54 bytes are left */

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct acpi acpi = good_acpi();

		acpi.world->bytes[acpi.entries - BASE + 8 + 1] = lengths[i];
		sum_table(&acpi, acpi.madt);
		parse(&acpi);
		assert_said("table ends here");
		assert_int_equal(acpi.world->info.cpu_count, 1);
		world_free(acpi.world);
	}
}

static void an_entry_too_short_for_its_type_is_left_out(void **state)
{
	struct acpi acpi = good_acpi();
	u8 *second = acpi.world->bytes + (acpi.entries - BASE + 8);

	memcpy(second, (u8[]){0, 4, 0, 0, 0xff, 4, 0, 0},
	       8); /* four bytes, and four of an unknown type */
	sum_table(&acpi, acpi.madt);
	parse(&acpi);
	assert_said("a MADT entry of type 0 has 4 bytes, 8 needed");
	assert_int_equal(acpi.world->info.cpu_count, 2);
	world_free(acpi.world);
}

static void a_cpu_that_is_listed_twice_counts_once(void **state)
{
	struct acpi acpi = good_acpi();

	acpi.world->end = 0x1000;
	acpi.madt = put_header(acpi.world, "APIC", 44 + 8 * 70);
	put64(acpi.world, 0);
	for (u8 i = 0; i < 70; i++)
		put_local_apic(acpi.world, i / 2, 1);
	sum_table(&acpi, acpi.madt);
	poke32(acpi.world, acpi.xsdt + 36, (u32)acpi.madt);
	sum_table(&acpi, acpi.xsdt);
	parse(&acpi);
	assert_int_equal(acpi.world->info.cpu_count, 35);
	assert_int_equal(acpi.world->info.local_apic.raw, 0xfee00000);
	world_free(acpi.world);
}

static void no_more_than_our_capacity_of_anything(void **state)
{
	struct acpi acpi = good_acpi();

	acpi.world->end = 0x1000;
	acpi.madt = put_header(acpi.world, "APIC", 44 + (16 + 12 + 10) * 100);
	put64(acpi.world, 0);
	for (u32 i = 0; i < 100; i++) {
		put_x2apic(acpi.world, i, 1);
		put(acpi.world, (u8[12]){1, 12}, 12);
		put(acpi.world, (u8[10]){2, 10}, 10);
	}
	sum_table(&acpi, acpi.madt);
	poke32(acpi.world, acpi.xsdt + 36, (u32)acpi.madt);
	sum_table(&acpi, acpi.xsdt);
	parse(&acpi);
	assert_int_equal(acpi.world->info.cpu_count, BOOT_CPUS_MAX);
	assert_int_equal(acpi.world->info.ioapic_count, BOOT_IOAPICS_MAX);
	assert_int_equal(acpi.world->info.override_count, BOOT_IRQ_OVERRIDES_MAX);
	world_free(acpi.world);
}

static void a_root_that_lists_nonsense_is_walked_to_its_end(void **state)
{
	static const u64 places[] = {0, 0xffffffffffffffff, 0x7ffffffffffff, BASE + SIZE - 3};
	struct acpi acpi = good_acpi();

	acpi.world->end = 0x2000;
	acpi.xsdt = put_header(acpi.world, "XSDT", 36 + 8 * 5 + 7);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		put64(acpi.world, places[i]);
	put64(acpi.world, acpi.madt);
	sum_table(&acpi, acpi.xsdt);
	poke32(acpi.world, acpi.rsdp + 24, (u32)acpi.xsdt);
	put_checksum(acpi.world, acpi.rsdp, 36, acpi.rsdp + 32);
	parse(&acpi);
	assert_said("a table at 0x0 is listed and cannot be read");
	assert_said("a table at 0xffffffffffffffff is listed and cannot be read");
	assert_int_equal(acpi.world->info.cpu_count, 3);
	world_free(acpi.world);
}

/* Damage at every byte of the tables, with the sums put right again so that it is believed. */
static void believed_damage_is_harmless(void **state)
{
	static const u8 damages[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

	for (size_t at = 0x100; at < 0x200; at++) {
		for (size_t d = 0; d < ARRAY_SIZE(damages); d++) {
			struct acpi acpi = good_acpi();

			acpi.world->bytes[at] = damages[d];
			put_checksum(acpi.world, acpi.madt, acpi.madt_length, acpi.madt + 9);
			put_checksum(acpi.world, acpi.rsdt, 40, acpi.rsdt + 9);
			put_checksum(acpi.world, acpi.xsdt, 44, acpi.xsdt + 9);
			put_checksum(acpi.world, acpi.rsdp, 20, acpi.rsdp + 8);
			put_checksum(acpi.world, acpi.rsdp, 36, acpi.rsdp + 32);
			parse(&acpi);
			world_free(acpi.world);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_madt_names_cpus_and_controllers),
		cmocka_unit_test(the_loaders_rsdp_comes_first),
		cmocka_unit_test(a_broken_rsdp_of_the_loader_is_replaced_by_the_bioss),
		cmocka_unit_test(without_an_rsdp_there_is_one_cpu),
		cmocka_unit_test(a_version_1_rsdp_leads_through_the_rsdt),
		cmocka_unit_test(the_loader_may_give_a_version_1_rsdp),
		cmocka_unit_test(a_short_rsdp_may_lie_at_the_very_end),
		cmocka_unit_test(the_ebda_may_hold_the_rsdp),
		cmocka_unit_test(a_table_with_a_cut_header_is_refused),
		cmocka_unit_test(a_root_entry_that_is_not_whole_does_not_count),
		cmocka_unit_test(a_madt_without_entries_is_said),
		cmocka_unit_test(entries_that_name_no_cpu_are_left_out),
		cmocka_unit_test(the_local_apics_address_may_be_overridden),
		cmocka_unit_test(a_broken_xsdt_is_said_and_the_rsdt_taken),
		cmocka_unit_test(a_madt_with_a_wrong_sum_is_not_believed),
		cmocka_unit_test(tables_of_impossible_lengths_are_refused),
		cmocka_unit_test(a_table_that_ends_outside_memory_is_refused),
		cmocka_unit_test(an_entry_that_lies_about_its_length_ends_the_madt),
		cmocka_unit_test(an_entry_too_short_for_its_type_is_left_out),
		cmocka_unit_test(a_cpu_that_is_listed_twice_counts_once),
		cmocka_unit_test(no_more_than_our_capacity_of_anything),
		cmocka_unit_test(a_root_that_lists_nonsense_is_walked_to_its_end),
		cmocka_unit_test(believed_damage_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
