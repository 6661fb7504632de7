/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: the first C code: what the loader and the firmware say is read, checked and copied into
 * `struct boot_info`, then the rooms are started in the order of <arch/init.h>.
 *
 * Everything is read before arch_init(), while the boot tables still map the first 4 GiB; nothing
 * of the loader's memory is referred to later but the modules.
 */
#include <arch/cpu.h>
#include <arch/init.h>
#include <asm/cpuid.h>
#include <asm/image.h>
#include <asm/layout.h>
#include <hv/main.h>
#include <lib/boot_phase.h>
#include <lib/log.h>
#include "multiboot.h"
#include "parse.h"
#include "tests/selftest/selftest.h"

#define LOG_THIS LOG_BOOT

/* The boot tables map no more (asm/image.h). */
#define BOOT_TABLES_END BIT(32)

/* entry.S: the TSC at the entry. */
extern const u64 boot_entry_ticks;

/* entry.S: magic is the loader's EAX, information its EBX. */
void boot_main(u32 magic, u32 information) __noreturn;

static struct boot_info boot_info;
static struct boot_map boot_map;

/*
 * All below 4 GiB can be read but the image: a pointer into it is wrong, and its target was zeroed
 * or never written.
 */
static bool read_machine(void *context, u64 address, void *to, size_t length)
{
	const struct hpa_range *image = context;

	if (length > BOOT_TABLES_END || address > BOOT_TABLES_END - length)
		return false;
	if (address < image->end.raw && image->start.raw < address + length)
		return false;
	__builtin_memcpy(to, arch_hpa_to_virt((struct hpa){address}), length);
	return true;
}

/*
 * For an error of the loader: no panic, since no invariant is broken. The reason is in the log.
 */
static void __noreturn give_up(void)
{
	log_error("cannot start without that; stopping");
	arch_machine_end(false);
}

/*
 * Machine addresses end where the CPU's do (SDM vol. 2A, CPUID leaf 80000008h), or the direct map.
 */
static u64 address_limit(void)
{
	u32 bits = cpuid_has_leaf(0x80000008) ? cpuid(0x80000008, 0).eax & 0xff : 36;

	return MIN(1ull << bits, DIRECT_MAP_END - DIRECT_MAP_BASE);
}

static void parse_loader(const struct boot_reader *reader, u32 magic, u32 information,
			 struct boot_info *info)
{
	unsigned protocol = magic == MB1_LOADER_MAGIC ? 1 : magic == MB2_LOADER_MAGIC ? 2 : 0;

	if (!protocol) {
		log_error("EAX is 0x%x: not started by a multiboot loader (0x%x, or 0x%x for "
			  "multiboot 2)",
			  magic, MB1_LOADER_MAGIC, MB2_LOADER_MAGIC);
		give_up();
	}
	boot_map.limit = address_limit();
	if (protocol == 1 ? multiboot1_parse(reader, information, info, &boot_map)
			  : multiboot2_parse(reader, information, info, &boot_map))
		give_up();
	log_info("loader '%s', multiboot %u, command line '%s'", info->loader, protocol,
		 info->command_line);
}

static void apply_log_option(void)
{
	const char *bad;
	size_t length;

	if (log_set_levels(boot_option_text("log"), &bad, &length))
		log_error("command line: log: '%.*s' is neither a level nor subsystem=level",
			  (int)length, bad);
}

static const char *const type_names[] = {
	[BOOT_MEMORY_USABLE] = "usable", [BOOT_MEMORY_RESERVED] = "reserved",
	[BOOT_MEMORY_ACPI] = "ACPI",	 [BOOT_MEMORY_NVS] = "ACPI NVS",
	[BOOT_MEMORY_BAD] = "bad",
};

static void parse_memory(struct boot_info *info)
{
	u64 bytes = 0;

	memory_sanitize(&boot_map, info);
	memory_check_modules(info);
	memory_find_usable(info);
	memory_find_trampoline(info);
	for (unsigned i = 0; i < info->memory_count; i++)
		log_debug("memory 0x%012lx-0x%012lx %s", info->memory[i].range.start.raw,
			  info->memory[i].range.end.raw, type_names[info->memory[i].type]);
	for (unsigned i = 0; i < info->usable_count; i++)
		bytes += info->usable[i].end.raw - info->usable[i].start.raw;
	for (unsigned i = 0; i < info->module_count; i++)
		log_info("module %u at 0x%lx, %lu bytes: '%s'", i, info->modules[i].range.start.raw,
			 info->modules[i].range.end.raw - info->modules[i].range.start.raw,
			 info->modules[i].command_line);
	if (!bytes) {
		log_error("the memory map leaves no usable memory above 1 MiB");
		give_up();
	}
	log_info("memory: %lu MiB usable in %u pieces", bytes >> 20, info->usable_count);
}

/* The initial APIC ID of this CPU: 32 bits from leaf 0xb where there is one, else 8 (SDM
 * vol. 3A, 9.4.6). */
static u32 boot_cpu_apic_id(void)
{
	if (cpuid_has_leaf(0xb) && cpuid(0xb, 0).ebx)
		return cpuid(0xb, 0).edx;
	return cpuid(1, 0).ebx >> 24;
}

/* Puts the boot CPU first, adds it if the firmware lacks it, and keeps no more CPUs than the
 * command line allows. */
static void choose_cpus(struct boot_info *info)
{
	struct boot_cpu boot = {.apic_id = boot_cpu_apic_id()};
	unsigned found = 0, limit = (unsigned)boot_option_number("cpus");

	while (found < info->cpu_count && info->cpus[found].apic_id != boot.apic_id)
		found++;
	if (found < info->cpu_count) {
		boot = info->cpus[found];
	} else {
		if (info->cpu_count)
			log_warn("acpi: the MADT does not list the boot CPU, APIC %u",
				 boot.apic_id);
		found = info->cpu_count = MIN(info->cpu_count + 1, BOOT_CPUS_MAX);
		found--;
	}
	for (; found; found--)
		info->cpus[found] = info->cpus[found - 1];
	info->cpus[0] = boot;
	if (!info->trampoline.raw)
		limit = 1;
	info->cpu_count = MIN(info->cpu_count, limit);
	log_info("CPUs: %u to bring up, local APIC at 0x%lx, %u I/O APICs", info->cpu_count,
		 info->local_apic.raw, info->ioapic_count);
}

/* All CPUs, once all are up. */
static void run_selftest(void)
{
	if (IS_ENABLED(CONFIG_SELFTEST))
		selftest_run();
	else if (*boot_option_text("selftest") && !arch_cpu_id())
		log_error("command line: selftest: not in this image (CONFIG_SELFTEST)");
}

static void ap_main(void)
{
	run_selftest();
	hv_ap_main();
}

void __no_stack_protector boot_main(u32 magic, u32 information)
{
	struct boot_info *info = &boot_info;
	struct boot_reader reader = {read_machine, &info->image};

	arch_early_init();
	boot_phases_begin(boot_entry_ticks);
	boot_phase_end(BOOT_PHASE_ENTRY, arch_ticks());
	info->image = (struct hpa_range){image_to_hpa(image_start), image_to_hpa(image_end)};
	log_info("Samepage: image at 0x%lx-0x%lx", info->image.start.raw, info->image.end.raw);
	parse_loader(&reader, magic, information, info);
	options_parse(info->command_line);
	apply_log_option();
	parse_memory(info);
	acpi_parse(&reader, info);
	choose_cpus(info);
	boot_phase_end(BOOT_PHASE_LOADER, arch_ticks());
	arch_init(info);
	arch_smp_start(ap_main);
	boot_phase_end(BOOT_PHASE_CPUS, arch_ticks());
	run_selftest();
	hv_main(info);
}
