/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.c: cost of a round trip to the hypervisor in TSC ticks, which are instructions where the
 * emulator counts them. The loop around the exit is included; an empty loop is shown for
 * comparison.
 *
 *     mm         the memory core instead: faults, copy-on-write breaks, taking a right away
 *     apic       registers of the local APIC by memory instead, with board=pc
 *     count=N    round trips a measurement, at most 1000      tries=N    measurements; the best counts
 */
#include <guest.h>

#define COUNT_MAX   1000u
#define APIC_PAGE   0xfee00000ul
#define APIC_ID	    0x20
#define APIC_TPR    0x80
#define APIC_ISR    0x100
#define PAGE	    4096ul
#define FAULT_PAGE  (16ul << 20)
#define SECOND_PAGE (24ul << 20)

static unsigned count, tries;

static void do_nothing(unsigned i)
{
	asm volatile("" : : "r"(i));
}

static void do_cpuid(unsigned i)
{
	cpuid(0, 0);
}

static void do_cpuid_features(unsigned i)
{
	cpuid(1, 0);
}

/* A ping has no arguments, so none are loaded. */
static void do_hypercall(unsigned i)
{
	u64 number = HYPERCALL_PING;

	if (guest_is_amd)
		asm volatile("vmmcall" : "+a"(number) : : "memory");
	else
		asm volatile("vmcall" : "+a"(number) : : "memory");
}

static void do_pio_read(unsigned i)
{
	in8(MACHINE_PORT_UART + 5);
}

static void do_pio_write(unsigned i)
{
	out8(MACHINE_PORT_UART + 7, (u8)i);
}

static void do_msr_read(unsigned i)
{
	rdmsr(MACHINE_MSR_SCRATCH);
}

static void do_msr_write(unsigned i)
{
	wrmsr(MACHINE_MSR_SCRATCH, i);
}

/* A page that has a frame but no second-level entry: `prepare` took the entry away. */
static void do_fault(unsigned i)
{
	*(volatile u64 *)(FAULT_PAGE + i * PAGE);
}

/* A page that is private, shared, or not there yet, as `prepare` left it. */
static void do_write(unsigned i)
{
	*(volatile u64 *)(FAULT_PAGE + i * PAGE) = i;
}

/* Registers of the local APIC by its page. */
static void do_apic_read(unsigned i)
{
	*(volatile u32 *)(APIC_PAGE + APIC_ID);
}

static void do_apic_read_isr(unsigned i)
{
	*(volatile u32 *)(APIC_PAGE + APIC_ISR);
}

static void do_apic_write(unsigned i)
{
	*(volatile u32 *)(APIC_PAGE + APIC_TPR) = 0;
}

static void do_protect(unsigned i)
{
	hypercall(HYPERCALL_PROTECT, FAULT_PAGE / PAGE + i, 1, HYPERCALL_ACCESS_READ, 0);
}

static u64 measure(void (*operation)(unsigned), bool (*prepare)(void))
{
	u64 best = ~0ul;

	for (unsigned try = 0; try < tries; try++) {
		u64 start, ticks;

		if (prepare && !prepare())
			return 0;
		start = rdtsc();
		for (unsigned i = 0; i < count; i++)
			operation(i);
		ticks = rdtsc() - start;
		best = ticks < best ? ticks : best;
	}
	return best / count;
}

static bool drop_mappings(void)
{
	return hypercall(HYPERCALL_UNMAP, FAULT_PAGE / PAGE, count, 0, 0) == 0;
}

static void touch_all(void)
{
	for (unsigned i = 0; i < count; i++)
		do_write(i);
}

static bool discard_pages(void)
{
	return hypercall(HYPERCALL_DISCARD, FAULT_PAGE / PAGE, count, 0, 0) == 0;
}

/* Each page shares a frame with another one and is mapped, so only the break is measured. */
static bool share_pages(void)
{
	for (unsigned i = 0; i < count; i++) {
		*(volatile u64 *)(SECOND_PAGE + i * PAGE) = i;
		do_write(i);
		if (hypercall(HYPERCALL_SHARE, FAULT_PAGE / PAGE + i, SECOND_PAGE / PAGE + i, 0, 0))
			return false;
		do_fault(i);
	}
	return true;
}

/* Writable for the hypervisor's tables and for the CPU's. */
static bool unprotect_pages(void)
{
	s64 result =
		hypercall(HYPERCALL_PROTECT, FAULT_PAGE / PAGE, count, HYPERCALL_ACCESS_WRITE, 0);

	touch_all();
	return result == 0;
}

struct row {
	const char *name;
	void (*operation)(unsigned);
	bool (*prepare)(void);
};

static const struct row exit_rows[] = {
	{"empty_loop", do_nothing, NULL},
	{"cpuid", do_cpuid, NULL},
	{"cpuid_features", do_cpuid_features, NULL},
	{"hypercall", do_hypercall, NULL},
	{"pio", do_pio_read, NULL},
	{"pio_write", do_pio_write, NULL},
	{"msr_read", do_msr_read, NULL},
	{"msr_write", do_msr_write, NULL},
	{"fault", do_fault, drop_mappings},
};

static const struct row apic_rows[] = {
	{"apic_read", do_apic_read, NULL},
	{"apic_read_isr", do_apic_read_isr, NULL},
	{"apic_write", do_apic_write, NULL},
};

static const struct row memory_rows[] = {
	{"fault_first_touch", do_write, discard_pages},
	{"fault_fill", do_fault, drop_mappings},
	{"cow_break", do_write, share_pages},
	{"protect", do_protect, unprotect_pages},
};

static void measure_all(const struct row *rows, unsigned rows_count)
{
	for (unsigned i = 0; i < rows_count; i++) {
		u64 ticks = measure(rows[i].operation, rows[i].prepare);

		if (ticks)
			print("bench: %s %lu instructions\n", rows[i].name, ticks);
	}
}

void guest_main(void)
{
	count = (unsigned)option_number("count", COUNT_MAX) % (COUNT_MAX + 1);
	tries = (unsigned)option_number("tries", 5);
	if (!check(count > 0, "count is 1 to %u", COUNT_MAX))
		return;
	touch_all();
	if (option("mm"))
		measure_all(memory_rows, ARRAY_SIZE(memory_rows));
	else if (option("apic"))
		measure_all(apic_rows, ARRAY_SIZE(apic_rows));
	else
		measure_all(exit_rows, ARRAY_SIZE(exit_rows));
}
