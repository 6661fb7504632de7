/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apart.c: system registers are kept apart. Two VMs with different seeds share a CPU; each writes
 * every register that only vcpu_load and vcpu_put switch, lets the other one run, and compares. The
 * FPU is in fpu.c.
 *
 *     seed=N    of the contents      rounds=N    how often
 */
#include <guest.h>

#define MSR_TSC 0x10
#define MSR_PAT 0x277

#define CR0_AM	    BIT(18)
#define CR4_TSD	    BIT(2)
#define CR4_OSXSAVE BIT(18)
#define CANONICAL   (BIT(47) - 1)

static u64 seed;

static u64 pattern(unsigned i)
{
	u64 x = (seed << 8 | i) * 0x9e3779b97f4a7c15;

	return (x ^ x >> 29) & CANONICAL;
}

#define ACCESS(name, insn_read, insn_write)              \
	static u64 read_##name(void)                     \
	{                                                \
		u64 value;                               \
                                                         \
		asm volatile(insn_read : "=r"(value));   \
		return value;                            \
	}                                                \
	static void write_##name(u64 value)              \
	{                                                \
		asm volatile(insn_write : : "r"(value)); \
	}
ACCESS(dr0, "mov %%dr0, %0", "mov %0, %%dr0")
ACCESS(dr1, "mov %%dr1, %0", "mov %0, %%dr1")
ACCESS(dr2, "mov %%dr2, %0", "mov %0, %%dr2")
ACCESS(dr3, "mov %%dr3, %0", "mov %0, %%dr3")
ACCESS(cr0, "mov %%cr0, %0", "mov %0, %%cr0")
ACCESS(cr2, "mov %%cr2, %0", "mov %0, %%cr2")
ACCESS(cr4, "mov %%cr4, %0", "mov %0, %%cr4")

static const struct {
	const char *name;
	u64 (*read)(void);
	void (*write)(u64);
} registers[] = {
	{"DR0", read_dr0, write_dr0}, {"DR1", read_dr1, write_dr1}, {"DR2", read_dr2, write_dr2},
	{"DR3", read_dr3, write_dr3}, {"CR2", read_cr2, write_cr2},
};

/* GS_BASE is the library's. mask: the bits that keep what is written. */
static const struct {
	const char *name;
	u32 index;
	u64 mask;
} msrs[] = {
	{"SYSENTER_CS", 0x174, 0xffff},	      {"SYSENTER_ESP", 0x175, ~0ul},
	{"SYSENTER_EIP", 0x176, ~0ul},	      {"STAR", 0xc0000081, ~0ul},
	{"LSTAR", 0xc0000082, ~0ul},	      {"CSTAR", 0xc0000083, ~0ul},
	{"SFMASK", 0xc0000084, 0xffffffff},   {"FS_BASE", 0xc0000100, ~0ul},
	{"KERNEL_GS_BASE", 0xc0000102, ~0ul}, {"SCRATCH", MACHINE_MSR_SCRATCH, ~0ul},
};

/* Entry 0, which the tables use, stays write-back; the others are one of the legal types. */
static u64 pat(void)
{
	static const u8 types[] = {0, 1, 4, 5, 6, 7};
	u64 value = 6;

	for (unsigned i = 1; i < 8; i++)
		value |= (u64)types[(seed + i) % ARRAY_SIZE(types)] << (8 * i);
	return value;
}

static u64 xcr0(void)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (u64)high << 32 | low;
}

static bool has_xsave;
static u64 expected_xcr0, expected_cr0, expected_cr4, tsc;

static void write_controls(void)
{
	has_xsave = cpuid(1, 0).ecx & BIT(26);
	expected_cr0 = (read_cr0() & ~CR0_AM) | (seed & 1 ? CR0_AM : 0);
	expected_cr4 =
		(read_cr4() & ~CR4_TSD) | (seed & 1 ? 0 : CR4_TSD) | (has_xsave ? CR4_OSXSAVE : 0);
	write_cr0(expected_cr0);
	write_cr4(expected_cr4);
	if (!has_xsave)
		return;
	expected_xcr0 = seed & 1 ? 3 : cpuid(0xd, 0).eax;
	asm volatile("xsetbv" : : "c"(0), "a"((u32)expected_xcr0), "d"(0));
}

static void write_all(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
		registers[i].write(pattern(i));
	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		wrmsr(msrs[i].index, pattern(100 + i) & msrs[i].mask);
	wrmsr(MSR_PAT, pat());
	write_controls();
	tsc = seed << 44;
	wrmsr(MSR_TSC, tsc);
}

static const char *changed(void)
{
	u64 now = rdtsc();

	if (now < tsc || now - tsc > BIT(43))
		return "TSC";
	tsc = now;
	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].read() != pattern(i))
			return registers[i].name;
	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		if (rdmsr(msrs[i].index) != (pattern(100 + i) & msrs[i].mask))
			return msrs[i].name;
	if (rdmsr(MSR_PAT) != pat())
		return "PAT";
	if (read_cr0() != expected_cr0 || read_cr4() != expected_cr4)
		return "CR0 or CR4";
	return has_xsave && xcr0() != expected_xcr0 ? "XCR0" : NULL;
}

void guest_main(void)
{
	u64 rounds = option_number("rounds", 40);
	const char *what;

	seed = option_number("seed", 1);
	write_all();
	what = changed();
	check(!what, "every register keeps what is written%s%s", what ? ", but for " : "",
	      what ? what : "");
	for (u64 i = 0; i < rounds && !what; i++) {
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
		what = changed();
	}
	check(!what, "registers unchanged over %lu turns of the other VM%s%s", rounds,
	      what ? ", but for " : "", what ? what : "");
}
