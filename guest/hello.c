/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.c: the first guest: says hello and what machine it finds itself on.
 */
#include <guest.h>

static void print_map(void)
{
	u64 at = guest_info->map, end = at + guest_info->map_length;

	while (at < end) {
		const struct multiboot_map_entry *entry = (const void *)at;

		print("memory: %08x%08x, %u KiB\n", entry->base_high, entry->base_low,
		      entry->length_low >> 10);
		at += entry->size + 4;
	}
}

static void print_modules(void)
{
	const struct multiboot_module *module = (const void *)(u64)guest_info->modules;

	for (unsigned i = 0; i < guest_info->module_count; i++)
		print("module %u: %u bytes, '%s'\n", i, module[i].end - module[i].start,
		      (const char *)(u64)module[i].command_line);
}

void guest_main(void)
{
	struct cpuid r = cpuid(MACHINE_CPUID_SIGNATURE, 0);
	char name[13] = {0};

	for (unsigned i = 0; i < 4; i++) {
		name[i] = (char)(r.ebx >> 8 * i);
		name[4 + i] = (char)(r.ecx >> 8 * i);
		name[8 + i] = (char)(r.edx >> 8 * i);
	}
	print("hello, world, from a guest of %s\n", name);
	print("command line: '%s', loader: %s\n", (const char *)(u64)guest_info->command_line,
	      (const char *)(u64)guest_info->loader_name);
	print_map();
	print_modules();
}
