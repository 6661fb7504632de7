/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.c: the hypervisor's CR0, CR4 and EFER.
 *
 * Protections are a table: a bit of CR4 and the CPUID feature that allows it. What a CPU lacks is
 * left out, and the log says so. The FPU is on, but the hypervisor never uses it: its registers are
 * the guest's.
 */
#define LOG_THIS LOG_CPU

#include <asm/features.h>
#include <asm/cpuid.h>
#include <asm/msr.h>
#include <asm/regs.h>
#include <lib/log.h>
#include <lib/format.h>

#define PRED_CMD_IBPB BIT(0)

static const struct {
	u64 cr4;
	u64 feature;
	const char *name;
} features[] = {
	{CR4_PGE, CPUID_PGE, "PGE"},	     {CR4_OSFXSR | CR4_OSXMMEXCPT, CPUID_FXSR, "FXSR"},
	{CR4_OSXSAVE, CPUID_XSAVE, "XSAVE"}, {CR4_SMEP, CPUID_SMEP, "SMEP"},
	{CR4_SMAP, CPUID_SMAP, "SMAP"},	     {CR4_UMIP, CPUID_UMIP, "UMIP"},
};

/* [I] set by CPU 0 before any other CPU runs */
static bool has_ibpb;

void features_enable(void)
{
	u64 cr4 = CR4_PAE | CR4_MCE | CR4_DE;

	for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
		if (cpuid_has(features[i].feature))
			cr4 |= features[i].cr4;
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	write_cr4(cr4);
	wrmsr(MSR_EFER, features_efer());
	if (cpuid_has(CPUID_RDTSCP))
		wrmsr(MSR_TSC_AUX, 0); /* a guest may be able to read it */
	has_ibpb = cpuid_has(CPUID_IBPB) || cpuid_has(CPUID_IBPB_AMD);
}

u64 features_efer(void)
{
	return EFER_LME | EFER_LMA | (cpuid_has(CPUID_NX) ? EFER_NXE : 0);
}

void features_clear_branches(void)
{
	if (has_ibpb)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

void features_log(void)
{
	char on[80] = "", missing[80] = "";
	size_t on_len = 0, missing_len = 0;

	if (!cpuid_has(CPUID_NX))
		panic("this CPU has no NX (CPUID.80000001H:EDX[20]): turn \"execute disable\" on "
		      "in the firmware");
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		if (cpuid_has(features[i].feature))
			on_len += format_text(on + on_len, sizeof(on) - on_len, " %s",
					      features[i].name);
		else
			missing_len +=
				format_text(missing + missing_len, sizeof(missing) - missing_len,
					    " %s", features[i].name);
	}
	log_info("on: WP NX%s%s%s", on, missing_len ? "; missing:" : "", missing);
}
