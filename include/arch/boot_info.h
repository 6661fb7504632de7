/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_info.h: what boot learned about the machine, copied out of the boot loader's and the
 * firmware's memory.
 *
 * Everything here has been checked: ranges do not wrap, strings end, counts fit. What was missing
 * or broken has been reported and left out, so a reader needs no second check. Constant once
 * boot_main() has filled it in.
 */
#ifndef SAMEPAGE_ARCH_BOOT_INFO_H
#define SAMEPAGE_ARCH_BOOT_INFO_H

#include <arch/addr.h>
#include <lib/types.h>

#define BOOT_NAME_MAX	       64
#define BOOT_COMMAND_LINE_MAX  1024
#define BOOT_MODULE_LINE_MAX   2304 /* a VM of VM_ARG_MAX and its other words */
#define BOOT_MEMORY_MAX	       256
#define BOOT_MODULES_MAX       96
#define BOOT_USABLE_MAX	       (BOOT_MEMORY_MAX + BOOT_MODULES_MAX + 1) /* a hole splits one range */
#define BOOT_CPUS_MAX	       64
#define BOOT_IOAPICS_MAX       8
#define BOOT_IRQ_OVERRIDES_MAX 16

struct hpa_range {
	struct hpa start, end;
};

/* The numbers of the firmware's E820 map, which multiboot hands on (ACPI 15). */
enum boot_memory_type {
	BOOT_MEMORY_USABLE = 1,
	BOOT_MEMORY_RESERVED = 2,
	BOOT_MEMORY_ACPI =
		3, /* the firmware's tables: usable once they are read; left as they are */
	BOOT_MEMORY_NVS = 4, /* never to be touched */
	BOOT_MEMORY_BAD = 5,
};

struct boot_memory {
	struct hpa_range range;
	enum boot_memory_type type;
};

/*
 * A file the boot loader put in memory. Its frames are in no usable range: they stay as they are.
 */
struct boot_module {
	struct hpa_range range;
	char command_line[BOOT_MODULE_LINE_MAX];
};

/* From the MADT (ACPI 5.2.12). */
struct boot_cpu {
	u32 apic_id;
	u32 acpi_uid;
};

struct boot_ioapic {
	u32 id;
	struct hpa address;
	u32 gsi_base;
};

struct boot_irq_override {
	u8 isa_irq;
	u32 gsi;
	u16 flags; /* bits 1-0 polarity, 3-2 trigger mode (ACPI table 5.26) */
};

struct boot_info {
	char loader[BOOT_NAME_MAX];
	char command_line[BOOT_COMMAND_LINE_MAX];

	/* The firmware's map: sorted, no overlaps, byte exact. */
	struct boot_memory memory[BOOT_MEMORY_MAX];
	unsigned memory_count;
	/* RAM that may be allocated: page aligned, sorted; without image, modules, first MiB. */
	struct hpa_range usable[BOOT_USABLE_MAX];
	unsigned usable_count;
	/* A page below 1 MiB for the AP trampoline; 0: there is none, and only CPU 0 runs. */
	struct hpa trampoline;
	struct hpa_range image;

	struct boot_module modules[BOOT_MODULES_MAX];
	unsigned module_count;

	/* The RSDP as found; rsdp_length 0: there is none, and the machine has one CPU. */
	u8 rsdp[36];
	unsigned rsdp_length;

	/* CPUs to bring up, at least one; the first is the boot CPU, wherever it was listed. */
	struct boot_cpu cpus[BOOT_CPUS_MAX];
	unsigned cpu_count;
	struct hpa local_apic; /* 0xfee00000 unless the MADT says otherwise */
	struct boot_ioapic ioapics[BOOT_IOAPICS_MAX];
	unsigned ioapic_count;
	struct boot_irq_override overrides[BOOT_IRQ_OVERRIDES_MAX];
	unsigned override_count;
};

/*
 * Options of the hypervisor's command line: name=value words separated by blanks, quoted as a shell
 * would. docs/boot.md lists them, boot/options.c has the table. Valid from arch_init() on; any
 * context.
 *
 * The value given, or the table's default. `name` must be in the table, and of that kind.
 */
const char *boot_option_text(const char *name);
u64 boot_option_number(const char *name);

/* Option `place` of the table, as it is in force; false: past the last. text: NULL for a number. */
struct boot_option_view {
	const char *name, *text;
	u64 number;
};
bool boot_option_view(unsigned place, struct boot_option_view *out);

#endif
