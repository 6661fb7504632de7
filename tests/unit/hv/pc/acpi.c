/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.c: a guest's ACPI tables hold together (ACPI-1), and ACPICA's disassembler reads their AML.
 */
#include <hv/acpi.h>
#include <hv/config.h>
#include <unistd.h>
#include "sim/bytes.h"
#include "sim/sim.h"

#define AT ACPI_TABLES_GPA

static u8 *tables;
static size_t used;

static void build(unsigned vcpus)
{
	const struct acpi_machine machine = {vcpus, true};

	tables = malloc(ACPI_TABLES_SIZE);
	assert_int_equal(acpi_build(&machine, tables, ACPI_TABLES_SIZE, (struct gpa){AT}, &used),
			 0);
	assert_true(used <= ACPI_TABLES_SIZE);
}

/*
 * The table that a pointer names: inside the buffer, of this name and, but for the FACS, of sum
 * zero.
 */
static const u8 *follow(u64 gpa, const char *signature)
{
	const u8 *table = tables + (gpa - AT);
	u64 length;

	assert_in_range(gpa, AT, AT + used - 8);
	length = get(table + 4, 4);
	assert_true(length <= AT + used - gpa);
	assert_memory_equal(table, signature, 4);
	if (strcmp(signature, "FACS") != 0)
		assert_int_equal(sum(table, length), 0);
	return table;
}

static const u8 *xsdt(void)
{
	assert_memory_equal(tables, "RSD PTR ", 8);
	assert_int_equal(sum(tables, 20), 0);
	assert_int_equal(sum(tables, 36), 0);
	return follow(get(tables + 24, 8), "XSDT");
}

static const u8 *fadt(void)
{
	return follow(get(xsdt() + 36, 8), "FACP");
}

/* ACPI-1, for every number of CPUs. */
static void sums_are_zero_and_pointers_stay_inside(void **state)
{
	for (unsigned vcpus = 1; vcpus <= VM_VCPUS_MAX; vcpus++) {
		build(vcpus);
		assert_int_equal(get(xsdt() + 4, 4), 36 + 2 * 8);
		follow(get(xsdt() + 44, 8), "APIC");
		assert_int_equal(get(fadt() + 4, 4), 244);
		assert_ptr_equal(follow(get(follow(get(tables + 16, 4), "RSDT") + 36, 4), "FACP"),
				 fadt());
		follow(get(follow(get(tables + 16, 4), "RSDT") + 40, 4), "APIC");
		follow(get(fadt() + 36, 4), "FACS");
		follow(get(fadt() + 40, 4), "DSDT");
		follow(get(fadt() + 132, 8), "FACS");
		follow(get(fadt() + 140, 8), "DSDT");
		free(tables);
	}
}

static void the_madt_names_each_cpu_once(void **state)
{
	for (unsigned vcpus = 1; vcpus <= VM_VCPUS_MAX; vcpus++) {
		const u8 *madt, *end;
		unsigned cpus = 0, io = 0;

		build(vcpus);
		madt = follow(get(xsdt() + 44, 8), "APIC");
		end = madt + get(madt + 4, 4);
		for (const u8 *at = madt + 44; at < end; at += at[1]) {
			assert_true(at[1] >= 2 && at + at[1] <= end);
			if (at[0] == 0) {
				assert_int_equal(at[3], cpus);
				cpus++;
			}
			io += at[0] == 1;
		}
		assert_int_equal(cpus, vcpus);
		assert_int_equal(io, 1);
		free(tables);
	}
}

static void a_buffer_too_small_is_refused_and_not_overrun(void **state)
{
	size_t needed;

	build(2);
	needed = used;
	free(tables);
	for (size_t size = 0; size < needed; size += 13) {
		u8 *small = malloc(size ? size : 1);

		assert_int_equal(acpi_build(&(struct acpi_machine){2, true}, small, size,
					    (struct gpa){AT}, &used),
				 ERR_RANGE);
		assert_int_equal(used, needed);
		free(small);
	}
}

static void save(const char *path, const u8 *table)
{
	FILE *out = fopen(path, "wb");
	u64 length = get(table + 4, 4);

	assert_non_null(out);
	assert_int_equal(fwrite(table, 1, length, out), length);
	fclose(out);
}

static bool has_line(const char *path, const char *words)
{
	FILE *in = fopen(path, "r");
	char line[256];
	bool found = false;

	assert_non_null(in);
	while (!found && fgets(line, sizeof(line), in))
		found = strstr(line, words) != NULL;
	fclose(in);
	return found;
}

/* Disassembled and compiled again without an error, it is AML; then it must say what we mean. */
static void acpica_reads_the_dsdt(void **state)
{
	char folder[] = "/tmp/samepage-acpi-XXXXXX", path[64], command[256];

	assert_non_null(mkdtemp(folder));
	build(3);
	snprintf(path, sizeof(path), "%s/dsdt.aml", folder);
	save(path, follow(get(fadt() + 140, 8), "DSDT"));
	free(tables);
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d dsdt.aml >log 2>&1 && iasl -p again dsdt.dsl >>log 2>&1",
		 folder);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/dsdt.dsl", folder);
	assert_true(has_line(path, "Device (CP00)"));
	assert_true(has_line(path, "Device (CP02)"));
	assert_false(has_line(path, "Device (CP03)"));
	assert_true(has_line(path, "PNP0501"));
	assert_true(has_line(path, "Name (_S5, Package"));
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_zero_and_pointers_stay_inside),
		cmocka_unit_test(the_madt_names_each_cpu_once),
		cmocka_unit_test(a_buffer_too_small_is_refused_and_not_overrun),
		cmocka_unit_test(acpica_reads_the_dsdt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
