/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.c: choosing the VM-execution, exit and entry controls (SDM appendix A).
 *
 * Each control in the table has a reason to be on; a CPU without a needed one is refused with that
 * reason. A control outside the table stays off, so that no instruction or state reaches a guest by
 * default. A control that the CPU requires (default1) and that is not in the table is a refusal,
 * too: the exit table does not cover it.
 *
 * VMX-5  a guest cannot keep the CPU by exceptions alone: #DB and #AC exit.
 * VMX-7  a control is on only with a reason.
 */
#include "caps.h"

struct vmx_control {
	enum vmx_word word;
	u32 bit;
	bool needed;
	const char *refusal;
};

#define NEED(word, bit, name, reason)                                     \
	{                                                                 \
		word, bit, true, "VMX control missing: " name ": " reason \
	}
/* Used where the CPU has it; the reason is for the reader. */
#define USE(word, bit, reason)         \
	{                              \
		word, bit, false, NULL \
	}

/* clang-format off */
static const struct vmx_control controls[] = {
	NEED(PIN, PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting",
	     "a host interrupt must end the guest"),
	NEED(PIN, PIN_NMI, "NMI exiting", "a host NMI is not the guest's, and a kick is an NMI"),
	NEED(PIN, PIN_VIRTUAL_NMI, "virtual NMIs", "the CPU tracks when the guest blocks its NMIs"),
	NEED(PIN, PIN_PREEMPTION_TIMER, "VMX-preemption timer", "it ends time slices"),
	NEED(PRIMARY, PRIMARY_TSC_OFFSET, "use TSC offsetting", "each guest has a TSC of its own"),
	NEED(PRIMARY, PRIMARY_HLT, "HLT exiting", "an idle guest gives the CPU back"),
	NEED(PRIMARY, PRIMARY_MWAIT, "MWAIT exiting", "MWAIT would idle the CPU without an exit"),
	NEED(PRIMARY, PRIMARY_MONITOR, "MONITOR exiting", "no guest is offered MONITOR"),
	NEED(PRIMARY, PRIMARY_RDPMC, "RDPMC exiting", "the counters are the host's"),
	NEED(PRIMARY, PRIMARY_CR8_LOAD, "CR8-load exiting", "CR8 is the real APIC's priority"),
	NEED(PRIMARY, PRIMARY_CR8_STORE, "CR8-store exiting", "CR8 is the real APIC's priority"),
	NEED(PRIMARY, PRIMARY_IO_BITMAPS, "use I/O bitmaps", "every port is emulated"),
	NEED(PRIMARY, PRIMARY_MSR_BITMAPS, "use MSR bitmaps", "few MSRs may go without an exit"),
	NEED(PRIMARY, PRIMARY_SECONDARY_ON, "activate secondary controls", "EPT is among them"),
	NEED(SECONDARY, SECONDARY_EPT, "enable EPT", "guest memory is translated by it"),
	NEED(SECONDARY, SECONDARY_VPID, "enable VPID", "else every exit flushes the TLB"),
	NEED(SECONDARY, SECONDARY_UNRESTRICTED_GUEST, "unrestricted guest",
	     "guests start in real mode"),
	USE(SECONDARY, SECONDARY_WBINVD, "writing back all caches would slow every other guest"),
	USE(SECONDARY, SECONDARY_RDTSCP, "else RDTSCP is #UD though CPUID offers it"),
	USE(SECONDARY, SECONDARY_PAUSE_LOOP, "a vCPU that spins for another one gives way"),
	NEED(ON_EXIT, ON_EXIT_SAVE_DEBUG, "save debug controls", "DR7 is the guest's own"),
	NEED(ON_EXIT, ON_EXIT_HOST_64, "host address-space size", "the hypervisor is 64-bit code"),
	NEED(ON_EXIT, ON_EXIT_ACK_IRQ, "acknowledge interrupt on exit",
	     "the vector is dispatched without a second delivery"),
	NEED(ON_EXIT, ON_EXIT_SAVE_PAT, "save IA32_PAT", "the PAT is the guest's own"),
	NEED(ON_EXIT, ON_EXIT_LOAD_PAT, "load IA32_PAT", "the host has its own PAT"),
	NEED(ON_EXIT, ON_EXIT_SAVE_EFER, "save IA32_EFER", "guests write EFER without an exit"),
	NEED(ON_EXIT, ON_EXIT_LOAD_EFER, "load IA32_EFER", "the host has its own EFER"),
	NEED(ON_EXIT, ON_EXIT_SAVE_TIMER, "save VMX-preemption timer value",
	     "a slice goes on through exits"),
	NEED(ON_ENTRY, ON_ENTRY_LOAD_DEBUG, "load debug controls", "DR7 is the guest's own"),
	NEED(ON_ENTRY, ON_ENTRY_LOAD_PAT, "load IA32_PAT", "the PAT is the guest's own"),
	NEED(ON_ENTRY, ON_ENTRY_LOAD_EFER, "load IA32_EFER", "EFER is the guest's own"),
};
/* clang-format on */

/*
 * The default1 class as the true capability MSRs still demand it (SDM A.2 to A.5): reserved bits
 * that are 1 and mean nothing.
 */
static const u32 reserved_ones[VMX_WORDS] = {
	[PIN] = 0x00000016,	[PRIMARY] = 0x04006172,	 [SECONDARY] = 0,
	[ON_EXIT] = 0x00036dfb, [ON_ENTRY] = 0x000011fb,
};

struct vmx_ept_need {
	u64 bits;
	const char *refusal;
};

static const struct vmx_ept_need ept_needs[] = {
	{EPT_CAP_WALK_4, "EPT lacks the 4-level walk: stage 2 has four levels"},
	{EPT_CAP_WB, "EPT cannot walk write-back tables: they are ordinary memory"},
	{EPT_CAP_2M, "EPT lacks 2 MiB leaves: stage 2 makes them"},
	{EPT_CAP_1G, "EPT lacks 1 GiB leaves: stage 2 makes them"},
	{EPT_CAP_INVEPT, "INVEPT is missing: stage 2 could not be changed"},
	{EPT_CAP_INVEPT_ALL, "INVEPT lacks the all-context type"},
	{EPT_CAP_INVVPID | EPT_CAP_INVVPID_ONE,
	 "INVVPID lacks the single-context type: a vCPU could not change CPUs"},
};

static bool select_control(const struct vmx_capability *cap, const struct vmx_control *c,
			   struct vmx_caps *out, const char **why)
{
	if (cap->allowed[c->word] >> 32 & c->bit) {
		out->control[c->word] |= c->bit;
		return true;
	}
	if (c->needed)
		*why = c->refusal;
	return !c->needed;
}

static bool select_ept(const struct vmx_capability *cap, struct vmx_caps *out, const char **why)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ept_needs); i++) {
		if ((cap->ept & ept_needs[i].bits) != ept_needs[i].bits) {
			*why = ept_needs[i].refusal;
			return false;
		}
	}
	out->ept_ad = cap->ept & EPT_CAP_AD;
	out->invept_one = cap->ept & EPT_CAP_INVEPT_ONE;
	out->pml = out->ept_ad && (cap->allowed[SECONDARY] >> 32 & SECONDARY_PML);
	return true;
}

static bool add_reserved_ones(const struct vmx_capability *cap, struct vmx_caps *out,
			      const char **why)
{
	for (unsigned w = 0; w < VMX_WORDS; w++) {
		u32 must = cap->allowed[w];

		if (must & ~(reserved_ones[w] | out->control[w])) {
			*why = "VMX insists on a control this back end does not have";
			return false;
		}
		out->control[w] |= must;
	}
	return true;
}

bool vmx_select(const struct vmx_capability *cap, struct vmx_caps *out, const char **why)
{
	*out = (struct vmx_caps){
		.revision = cap->basic & BASIC_REVISION,
		.timer_shift = cap->misc & BITS(4, 0),
		.cr0_fixed0 = cap->cr0_fixed0,
		.cr0_fixed1 = cap->cr0_fixed1,
		.cr4_fixed0 = cap->cr4_fixed0,
		.cr4_fixed1 = cap->cr4_fixed1,
	};
	if (!(cap->basic & BASIC_TRUE_CONTROLS)) {
		*why = "VMX lacks the true capability MSRs: CR3 accesses would all exit";
		return false;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
		if (!select_control(cap, &controls[i], out, why))
			return false;
	}
	return select_ept(cap, out, why) && add_reserved_ones(cap, out, why);
}
