/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mptable.c: the MP tables, read as a kernel reads them (MPTABLE-1).
 */
#include <hv/config.h>
#include <hv/mptable.h>
#include "sim/bytes.h"
#include "sim/sim.h"

static u8 tables[MPTABLE_SIZE];

/* What the entries say. */
struct seen {
	unsigned entries, cpus, boot_cpus, buses, ioapics, locals;
	u32 irqs;
	u8 pin_of_irq_0;
};

static size_t read_entry(const u8 *entry, struct seen *seen)
{
	seen->entries++;
	switch (entry[0]) {
	case 0:
		assert_int_equal(entry[1], seen->cpus);
		assert_int_equal(entry[3] & 1, 1);
		seen->boot_cpus += entry[3] >> 1 & 1;
		seen->cpus++;
		return 20;
	case 1:
		assert_memory_equal(entry + 2, "ISA   ", 6);
		seen->buses++;
		return 8;
	case 2:
		assert_int_equal(get(entry + 4, 4), 0xfec00000);
		seen->ioapics++;
		return 8;
	case 3:
		seen->irqs |= 1u << entry[5];
		if (entry[5] == 0)
			seen->pin_of_irq_0 = entry[7];
		else
			assert_int_equal(entry[7], entry[5]);
		return 8;
	default:
		assert_int_equal(entry[0], 4);
		seen->locals++;
		return 8;
	}
}

static void sums_lengths_and_entries_agree(void **state)
{
	for (unsigned vcpus = 1; vcpus <= VM_VCPUS_MAX; vcpus++) {
		size_t used = mptable_build(vcpus, tables, (struct gpa){MPTABLE_GPA});
		const u8 *header = tables + (get(tables + 4, 4) - MPTABLE_GPA);
		struct seen seen = {0};
		size_t at = 44;

		assert_true(used <= MPTABLE_SIZE);
		assert_memory_equal(tables, "_MP_", 4);
		assert_int_equal(sum(tables, 16), 0);
		assert_memory_equal(header, "PCMP", 4);
		assert_ptr_equal(header + get(header + 4, 2), tables + used);
		assert_int_equal(sum(header, get(header + 4, 2)), 0);
		assert_int_equal(get(header + 36, 4), 0xfee00000);
		while (at < get(header + 4, 2))
			at += read_entry(header + at, &seen);
		assert_int_equal(at, get(header + 4, 2));
		assert_int_equal(seen.entries, get(header + 34, 2));
		assert_int_equal(seen.cpus, vcpus);
		assert_int_equal(seen.boot_cpus, 1);
		assert_int_equal(seen.buses, 1);
		assert_int_equal(seen.ioapics, 1);
		assert_int_equal(seen.locals, 2);
		assert_int_equal(seen.irqs, 0xffff & ~4);
		assert_int_equal(seen.pin_of_irq_0, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_lengths_and_entries_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
