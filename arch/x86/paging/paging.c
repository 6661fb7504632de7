/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paging.c: the hypervisor's own page tables.
 *
 * Why: boot leaves tables that map 4 GiB readable, writable and executable, at its own address too.
 * The final ones hold W^X: no machine page is both writable and executable, not even by two
 * addresses, so the image's text and rodata are read-only in the direct map as well. Nothing is
 * mapped below the middle of the address space, so a NULL pointer faults.
 *
 *     direct map   RAM, ACPI tables, NVS           RW, but the image's text and rodata: R
 *     APIC         4 KiB                           RW, uncached
 *     stacks       holes as guard pages            RW
 *     image        text RX, rodata and IDT R, data RW, the guard page of CPU 0's stack not mapped
 *
 * The frame allocator needs the direct map, and the tables need frames: so tables and stacks come
 * from an early allocator, which takes pages from the largest usable range that boot's tables
 * reach; the rest becomes frames.
 */
#define LOG_THIS LOG_CPU

#include <asm/paging.h>
#include <arch/cpu.h>
#include <arch/pgtable.h>
#include <asm/apic_regs.h>
#include <asm/cpuid.h>
#include <asm/desc.h>
#include <asm/image.h>
#include <asm/layout.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/stacks.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>
#include <mm/walk.h>

#define BOOT_MAPPED (4ull << 30)
#define ATTR_RW	    (PT_READ | PT_WRITE | PT_GLOBAL)
#define ATTR_RX	    (PT_READ | PT_EXEC | PT_GLOBAL)
#define ATTR_R	    (PT_READ | PT_GLOBAL)

/* The early allocator: [next, end) is free. */
static struct {
	unsigned index; /* which of info->usable it takes from */
	struct hpa next, end;
} early;

static struct pgtable host_table;

static int early_alloc(void *context, struct hpa *page)
{
	if (early.next.raw + PAGE_SIZE > early.end.raw)
		return ERR_NO_MEMORY;
	*page = early.next;
	early.next.raw += PAGE_SIZE;
	arch_page_zero(arch_hpa_to_virt(*page));
	return 0;
}

/* The tables only grow. */
static void early_free(void *context, struct hpa page)
{
}

static void *early_virt(void *context, struct hpa page)
{
	return arch_hpa_to_virt(page);
}

static const struct pgtable_memory early_memory = {
	.alloc = early_alloc,
	.free = early_free,
	.virt = early_virt,
};

static void early_init(const struct boot_info *info)
{
	for (unsigned i = 0; i < info->usable_count; i++) {
		struct hpa start = info->usable[i].start;
		struct hpa end = {MIN(info->usable[i].end.raw, BOOT_MAPPED)};

		if (end.raw > start.raw && end.raw - start.raw > early.end.raw - early.next.raw) {
			early.index = i;
			early.next = start;
			early.end = end;
		}
	}
}

static void must_succeed(int err, const char *what)
{
	if (err)
		panic("host page tables: %s: %s", what, error_name(err));
}

static void map_pages(u64 start, u64 end, struct hpa to, unsigned attr, const char *what)
{
	unsigned max_level = cpuid_has(CPUID_PAGE_1G) ? 2 : 1;

	must_succeed(pgtable_map(&host_table, start, end, to, attr, max_level), what);
}

static bool in_direct_map(enum boot_memory_type type)
{
	return type == BOOT_MEMORY_USABLE || type == BOOT_MEMORY_ACPI || type == BOOT_MEMORY_NVS;
}

static void map_memory(const struct boot_info *info)
{
	u64 text = image_to_hpa(image_text_start).raw,
	    rodata_end = image_to_hpa(image_rodata_end).raw;

	for (unsigned i = 0; i < info->memory_count; i++) {
		struct hpa start = {ALIGN_UP(info->memory[i].range.start.raw, PAGE_SIZE)};
		struct hpa end = {ALIGN_DOWN(info->memory[i].range.end.raw, PAGE_SIZE)};

		if (in_direct_map(info->memory[i].type) && start.raw < end.raw)
			map_pages(DIRECT_MAP_BASE + start.raw, DIRECT_MAP_BASE + end.raw, start,
				  ATTR_RW, "memory");
	}
	must_succeed(pgtable_protect(&host_table, DIRECT_MAP_BASE + text,
				     DIRECT_MAP_BASE + rodata_end, PT_READ),
		     "the image in the direct map");
}

static void map_image_part(const char *start, const char *end, unsigned attr)
{
	map_pages((u64)start, (u64)end, image_to_hpa(start), attr, "the image");
}

static void map_image(void)
{
	const char *idt_page = (const char *)idt;

	map_image_part(image_text_start, image_text_end, ATTR_RX);
	map_image_part(image_rodata_start, image_rodata_end, ATTR_R);
	map_image_part(image_data_start, image_data_end, ATTR_RW);
	map_image_part(idt_page, idt_page + PAGE_SIZE, ATTR_R);
	must_succeed(pgtable_unmap(&host_table, (u64)boot_stack_guard, (u64)boot_stack_bottom),
		     "the boot stack's guard page");
}

static void map_stack(struct stack stack)
{
	for (u64 at = stack.bottom; at < stack.top; at += PAGE_SIZE) {
		struct hpa page;

		must_succeed(early_alloc(NULL, &page), "stacks");
		map_pages(at, at + PAGE_SIZE, page, ATTR_RW, "stacks");
	}
}

static void map_stacks(unsigned cpus)
{
	for (unsigned cpu = 0; cpu < MIN(cpus, (unsigned)ARCH_CPUS_MAX); cpu++)
		for (enum stack_kind kind = 0; kind < STACKS; kind++)
			if (cpu || kind != STACK_MAIN)
				map_stack(stack_of(cpu, kind));
}

/* Where this CPU's APIC answers. The MADT may be wrong; what the CPU says is so by definition. */
static struct hpa apic_page(const struct boot_info *info)
{
	struct hpa page = {rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS};

	if (page.raw != info->local_apic.raw)
		log_warn("the MADT has the local APIC at 0x%lx, the CPU at 0x%lx: going by the CPU",
			 info->local_apic.raw, page.raw);
	return page;
}

/* What is left of the usable ranges becomes frames. */
static void hand_over(const struct boot_info *info)
{
	static struct frame_range ranges[BOOT_USABLE_MAX];

	_Static_assert(BOOT_USABLE_MAX <= FRAME_RANGES_MAX, "frame_init() takes any map of boot");
	for (unsigned i = 0; i < info->usable_count; i++) {
		ranges[i].start = i == early.index ? early.next : info->usable[i].start;
		ranges[i].end = info->usable[i].end;
	}
	must_succeed(frame_init(ranges, info->usable_count), "frames");
}

void paging_init(const struct boot_info *info)
{
	struct percpu *cpu = percpu();

	early_init(info);
	must_succeed(pgtable_init(&host_table, &host_format, &early_memory), "root");
	map_memory(info);
	map_image();
	map_stacks(info->cpu_count);
	map_pages(APIC_MMIO, APIC_MMIO + PAGE_SIZE, apic_page(info),
		  PT_READ | PT_WRITE | PT_UNCACHED | PT_GLOBAL, "local APIC");
	write_cr3(host_table.root.raw);
	desc_use_stacks(cpu);
	log_debug("host tables: %lu pages", host_table.tables);
	hand_over(info);
}

struct pgtable *paging_table(void)
{
	return &host_table;
}

struct hpa paging_root(void)
{
	return host_table.root;
}
