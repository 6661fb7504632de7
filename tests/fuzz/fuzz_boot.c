/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_boot.c: the boot path's parsers on memory that a loader or a firmware got wrong.
 *
 *     byte 0            1 or 2: the protocol, anything else is taken modulo 2
 *     bytes 1 to 4      where the boot information is (EBX)
 *     the rest          machine memory from address 0 on; there is nothing behind it
 *
 * Checked for every input: BOOT-1 and BOOT-2 by ASan and the time limit, BOOT-3 (strings end,
 * counts fit) and BOOT-4 (usable ranges are aligned, sorted and disjoint) here.
 */
#include <string.h>
#include "boot/parse.h"
#include "fuzz.h"

struct memory {
	const u8 *bytes;
	size_t size;
};

static bool read_memory(void *context, u64 address, void *to, size_t length)
{
	const struct memory *memory = context;

	if (address > memory->size || length > memory->size - address)
		return false;
	memcpy(to, memory->bytes + address, length);
	return true;
}

static void check_memory(const struct boot_info *info)
{
	u64 end = 0;

	fuzz_check(info->usable_count <= BOOT_USABLE_MAX, "BOOT-3: too many usable ranges");
	for (unsigned i = 0; i < info->usable_count; i++) {
		const struct hpa_range *range = &info->usable[i];

		fuzz_check(IS_ALIGNED(range->start.raw | range->end.raw, PAGE_SIZE),
			   "BOOT-4: a usable range is not page aligned");
		fuzz_check(range->start.raw < range->end.raw, "BOOT-4: a usable range is empty");
		fuzz_check(range->start.raw >= end, "BOOT-4: usable ranges overlap");
		fuzz_check(range->end.raw <= info->image.start.raw ||
				   range->start.raw >= info->image.end.raw,
			   "BOOT-4: the image is usable");
		end = range->end.raw;
	}
	for (unsigned i = 0; i < info->module_count; i++)
		fuzz_check(info->modules[i].range.start.raw <= info->modules[i].range.end.raw,
			   "BOOT-3: a module ends before it starts");
}

static void check_counts(const struct boot_info *info)
{
	fuzz_check(info->memory_count <= BOOT_MEMORY_MAX, "BOOT-3: memory_count");
	fuzz_check(info->module_count <= BOOT_MODULES_MAX, "BOOT-3: module_count");
	fuzz_check(info->cpu_count <= BOOT_CPUS_MAX, "BOOT-3: cpu_count");
	fuzz_check(info->ioapic_count <= BOOT_IOAPICS_MAX, "BOOT-3: ioapic_count");
	fuzz_check(info->override_count <= BOOT_IRQ_OVERRIDES_MAX, "BOOT-3: override_count");
	fuzz_check(memchr(info->loader, 0, sizeof(info->loader)), "BOOT-3: loader has no end");
	fuzz_check(memchr(info->command_line, 0, sizeof(info->command_line)),
		   "BOOT-3: command_line has no end");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct boot_info info;
	static struct boot_map map;
	struct memory memory = {data + 5, size - 5};
	struct boot_reader reader = {read_memory, &memory};
	u32 address;
	int error;

	if (size < 5)
		return 0;
	fuzz_init();
	memset(&info, 0, sizeof(info));
	memset(&map, 0, sizeof(map));
	map.limit = 1ull << 46;
	info.image = (struct hpa_range){{0x100000}, {0x180000}};
	memcpy(&address, data + 1, sizeof(address));
	error = data[0] % 2 ? multiboot1_parse(&reader, address, &info, &map)
			    : multiboot2_parse(&reader, address, &info, &map);
	if (!error) {
		options_parse(info.command_line);
		memory_sanitize(&map, &info);
		memory_check_modules(&info);
		memory_find_usable(&info);
		memory_find_trampoline(&info);
		check_memory(&info);
	}
	acpi_parse(&reader, &info);
	check_counts(&info);
	return 0;
}
