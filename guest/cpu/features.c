/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.c: CPUID and the instructions agree: one that CPUID shows runs, one that it hides raises
 * #UD. Those that no control can take from a guest are listed all the same: they may run.
 */
#include <guest.h>

enum { EAX, EBX, ECX, EDX };

static u8 page[4096] __attribute__((aligned(4096)));

#define INSTRUCTION(name, code, ...)                     \
	static void name(void *operand)                  \
	{                                                \
		u64 a = 0, c = 0, d = 0;                 \
                                                         \
		asm volatile(code                        \
			     : "+a"(a), "+c"(c), "+d"(d) \
			     : "D"(operand), "S"(page)   \
			     : "memory");                \
	}

INSTRUCTION(run_rdtscp, "rdtscp")
INSTRUCTION(run_rdpid, ".byte 0xf3, 0x0f, 0xc7, 0xf8")
INSTRUCTION(run_invpcid, "movl $2, %%eax; .byte 0x66, 0x0f, 0x38, 0x82, 0x06")
INSTRUCTION(run_rdrand, ".byte 0x0f, 0xc7, 0xf0")
INSTRUCTION(run_rdseed, ".byte 0x0f, 0xc7, 0xf8")
INSTRUCTION(run_monitor, "movq %%rsi, %%rax; monitor")
INSTRUCTION(run_mwait, "mwait")
INSTRUCTION(run_monitorx, "movq %%rsi, %%rax; .byte 0x0f, 0x01, 0xfa")
INSTRUCTION(run_vmxon, "vmxon (%%rsi)")
INSTRUCTION(run_vmrun, "movq %%rsi, %%rax; vmrun")
INSTRUCTION(run_stgi, "stgi")
INSTRUCTION(run_skinit, "skinit")
INSTRUCTION(run_getsec, "getsec")
INSTRUCTION(run_rdpru, ".byte 0x0f, 0x01, 0xfd")
INSTRUCTION(run_mcommit, ".byte 0xf3, 0x0f, 0x01, 0xfa")
INSTRUCTION(run_invlpgb, ".byte 0x0f, 0x01, 0xfe")
INSTRUCTION(run_tlbsync, ".byte 0x0f, 0x01, 0xff")
INSTRUCTION(run_encls, ".byte 0x0f, 0x01, 0xcf")
INSTRUCTION(run_enclu, ".byte 0x0f, 0x01, 0xd7")
INSTRUCTION(run_tpause, ".byte 0x66, 0x0f, 0xae, 0xf0")
INSTRUCTION(run_pconfig, ".byte 0x0f, 0x01, 0xc5")
INSTRUCTION(run_vmfunc, "movl $1, %%eax; .byte 0x0f, 0x01, 0xd4")
INSTRUCTION(run_xsaves, ".byte 0x48, 0x0f, 0xc7, 0x2e")
INSTRUCTION(run_rdpkru, ".byte 0x0f, 0x01, 0xee")
INSTRUCTION(run_incssp, ".byte 0xf3, 0x0f, 0xae, 0xe8")
INSTRUCTION(run_clac, "clac")
INSTRUCTION(run_rdfsbase, ".byte 0xf3, 0x48, 0x0f, 0xae, 0xc0")
INSTRUCTION(run_xgetbv, "xgetbv")
INSTRUCTION(run_movbe, ".byte 0x0f, 0x38, 0xf0, 0x06")
INSTRUCTION(run_adcx, ".byte 0x66, 0x0f, 0x38, 0xf6, 0xc1")
INSTRUCTION(run_movdiri, ".byte 0x0f, 0x38, 0xf9, 0x06")
INSTRUCTION(run_serialize, ".byte 0x0f, 0x01, 0xe8")
INSTRUCTION(run_clzero, "movq %%rsi, %%rax; .byte 0x0f, 0x01, 0xfc")
INSTRUCTION(run_xbegin, ".byte 0xc7, 0xf8, 0, 0, 0, 0")
INSTRUCTION(run_clwb, ".byte 0x66, 0x0f, 0xae, 0x36")
INSTRUCTION(run_clflushopt, ".byte 0x66, 0x0f, 0xae, 0x3e")

#define CR4_FSGSBASE BIT(16)
#define CR4_OSXSAVE  BIT(18)

/*
 * free: it may run although it is hidden, because a back end has no control for it and it shows no
 * state of the host. TPAUSE: QEMU 7.2 takes it for MFENCE.
 */
static const struct {
	u32 leaf, subleaf;
	u8 reg, bit;
	bool free;
	const char *name;
	void (*run)(void *);
} rows[] = {
	{1, 0, ECX, 3, false, "MONITOR", run_monitor},
	{1, 0, ECX, 3, false, "MWAIT", run_mwait},
	{1, 0, ECX, 5, false, "VMXON", run_vmxon},
	{1, 0, ECX, 6, false, "GETSEC", run_getsec},
	{1, 0, ECX, 22, true, "MOVBE", run_movbe},
	{1, 0, ECX, 26, false, "XGETBV", run_xgetbv},
	{1, 0, ECX, 30, true, "RDRAND", run_rdrand},
	{7, 0, EBX, 0, false, "RDFSBASE", run_rdfsbase},
	{7, 0, EBX, 2, false, "ENCLS", run_encls},
	{7, 0, EBX, 2, false, "ENCLU", run_enclu},
	{7, 0, EBX, 10, false, "INVPCID", run_invpcid},
	{7, 0, EBX, 11, true, "XBEGIN", run_xbegin},
	{7, 0, EBX, 18, true, "RDSEED", run_rdseed},
	{7, 0, EBX, 19, true, "ADCX", run_adcx},
	{7, 0, EBX, 20, true, "CLAC", run_clac},
	{7, 0, EBX, 23, true, "CLFLUSHOPT", run_clflushopt},
	{7, 0, EBX, 24, true, "CLWB", run_clwb},
	{7, 0, ECX, 3, false, "RDPKRU", run_rdpkru},
	{7, 0, ECX, 5, true, "TPAUSE", run_tpause},
	{7, 0, ECX, 7, true, "INCSSP", run_incssp},
	{7, 0, ECX, 22, true, "RDPID", run_rdpid},
	{7, 0, ECX, 27, true, "MOVDIRI", run_movdiri},
	{7, 0, EDX, 14, true, "SERIALIZE", run_serialize},
	{7, 0, EDX, 18, false, "PCONFIG", run_pconfig},
	{0xd, 1, EAX, 3, true, "XSAVES", run_xsaves},
	{0x80000001, 0, ECX, 2, false, "VMRUN", run_vmrun},
	{0x80000001, 0, ECX, 2, false, "STGI", run_stgi},
	{0x80000001, 0, ECX, 12, false, "SKINIT", run_skinit},
	{0x80000001, 0, ECX, 29, false, "MONITORX", run_monitorx},
	{0x80000001, 0, EDX, 27, true, "RDTSCP", run_rdtscp},
	{0x80000008, 0, EBX, 0, true, "CLZERO", run_clzero},
	{0x80000008, 0, EBX, 3, false, "INVLPGB", run_invlpgb},
	{0x80000008, 0, EBX, 3, false, "TLBSYNC", run_tlbsync},
	{0x80000008, 0, EBX, 4, false, "RDPRU", run_rdpru},
	{0x80000008, 0, EBX, 8, false, "MCOMMIT", run_mcommit},
	{0, 0, EAX, 31, false, "VMFUNC", run_vmfunc}, /* no bit of its own: never shown */
};

static bool is_shown(unsigned i)
{
	struct cpuid r;
	u32 value[4];

	if (cpuid(rows[i].leaf & 0xf0000000, 0).eax < rows[i].leaf)
		return false;
	r = cpuid(rows[i].leaf, rows[i].subleaf);
	value[EAX] = r.eax;
	value[EBX] = r.ebx;
	value[ECX] = r.ecx;
	value[EDX] = r.edx;
	return value[rows[i].reg] >> rows[i].bit & 1;
}

static void enable_cr4(void)
{
	u64 cr4;

	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	if (cpuid(1, 0).ecx & BIT(26))
		cr4 |= CR4_OSXSAVE;
	if (cpuid(7, 0).ebx & BIT(0))
		cr4 |= CR4_FSGSBASE;
	asm volatile("movq %0, %%cr4" : : "r"(cr4));
}

void guest_main(void)
{
	unsigned shown = 0, wrong = 0;

	enable_cr4();
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct guest_fault fault = catch_fault(rows[i].run, page);
		bool ud = fault.vector == VECTOR_UD, is = is_shown(i);
		bool good = is ? !ud : ud || rows[i].free;

		shown += is;
		wrong += !good;
		if (!good)
			print("%s is %s and ends with vector %u\n", rows[i].name,
			      is ? "shown" : "hidden", fault.vector);
	}
	check(shown > 0, "CPUID shows %u of %u", shown, (unsigned)ARRAY_SIZE(rows));
	check(wrong == 0, "the instructions agree: %u do not", wrong);
}
