/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram.c: the map of ram.h.
 */
#include <hv/ram.h>
#include <abi/machine.h>

bool ram_range(u64 memory, unsigned n, struct ram_range *out)
{
	const u64 high = memory - MIN(memory, (u64)MACHINE_DEVICES_START);
	const struct ram_range all[RAM_RANGES_MAX] = {
		{0, MIN(memory, (u64)MACHINE_HOLE_START)},
		{MACHINE_HOLE_END, MIN(memory, (u64)MACHINE_DEVICES_START)},
		{MACHINE_DEVICES_END, MACHINE_DEVICES_END + high},
	};

	if (n >= RAM_RANGES_MAX || all[n].start >= all[n].end)
		return false;
	*out = all[n];
	return true;
}

bool ram_contains(u64 memory, u64 gpa, u64 size)
{
	struct ram_range range;

	for (unsigned n = 0; ram_range(memory, n, &range); n++) {
		if (gpa >= range.start && gpa < range.end)
			return size <= range.end - gpa;
	}
	return false;
}

u64 ram_low_end(u64 memory)
{
	return MIN(memory, (u64)MACHINE_DEVICES_START);
}

u64 ram_end(u64 memory)
{
	struct ram_range range = {0, 0};

	for (unsigned n = 0; ram_range(memory, n, &range);)
		n++;
	return range.end;
}
