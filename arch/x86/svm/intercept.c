/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept.c: what makes a guest exit, and why (AMD APM vol. 2, 15.9 to 15.14).
 *
 * The rest needs no exit under nested paging: CR2, CR3, DRs, INVLPG, INT n, exceptions. The two
 * windows (event.c) add VINTR and IRET while they are open.
 */
#include <asm/errata.h>
#include "svm.h"

static const struct {
	u8 word;
	u8 bit;
	const char *why;
} intercepts[] = {
	{INTERCEPT_CR, 8, "CR8 is the task priority of a local APIC, which hv models"},
	{INTERCEPT_CR, 16 + 8, "the same; V_TPR would have to follow it at every exit"},
	{INTERCEPT_CR, 16 + 4, "CR4 may only hold features with a state that is kept apart (cr.c)"},
	{INTERCEPT_EXCEPTION, 1, "#DB while delivering #DB never ends otherwise (CVE-2015-8104)"},
	{INTERCEPT_EXCEPTION, 17, "#AC while delivering #AC never ends otherwise (CVE-2015-5307)"},
	{INTERCEPT_EXCEPTION, 18, "#MC is the machine's, not the guest's"},
	{INTERCEPT_MISC1, 0, "INTR: host interrupts, kicks and the time slice"},
	{INTERCEPT_MISC1, 1, "NMI: the host's"},
	{INTERCEPT_MISC1, 2, "SMI: taken by the host once GIF is set, not with guest state loaded"},
	{INTERCEPT_MISC1, 3, "INIT: the host's"},
	{INTERCEPT_MISC1, 5, "CR0, but for TS and MP: QEMU's TCG takes values that no CPU takes"},
	{INTERCEPT_MISC1, 15, "RDPMC would read the host's counters"},
	{INTERCEPT_MISC1, 18, "CPUID: the policy says what a guest sees"},
	{INTERCEPT_MISC1, 22, "INVD would discard dirty cache lines of others"},
	{INTERCEPT_MISC1, 24, "HLT: the CPU has other work"},
	{INTERCEPT_MISC1, 26, "INVLPGA takes any ASID"},
	{INTERCEPT_MISC1, 27, "IN, OUT: every port is a device model's (permmap.c)"},
	{INTERCEPT_MISC1, 28, "RDMSR, WRMSR: those not in the permission map"},
	{INTERCEPT_MISC1, 29, "a task switch cannot begin again after a #NPF in its middle"},
	{INTERCEPT_MISC1, 31, "SHUTDOWN would stop the machine"},
	{INTERCEPT_MISC2, 0, "VMRUN: the CPU demands it; no nesting"},
	{INTERCEPT_MISC2, 1, "VMMCALL: hypercalls"},
	{INTERCEPT_MISC2, 2, "VMLOAD takes machine addresses"},
	{INTERCEPT_MISC2, 3, "VMSAVE takes machine addresses"},
	{INTERCEPT_MISC2, 4, "STGI: GIF is the host's"},
	{INTERCEPT_MISC2, 5, "CLGI: GIF is the host's"},
	{INTERCEPT_MISC2, 6, "SKINIT would start another hypervisor"},
	{INTERCEPT_MISC2, 9, "WBINVD stalls the whole machine"},
	{INTERCEPT_MISC2, 10, "MONITOR is not offered"},
	{INTERCEPT_MISC2, 11, "MWAIT would put the CPU to sleep"},
	{INTERCEPT_MISC2, 12, "MWAIT on an armed monitor: the same"},
	{INTERCEPT_MISC2, 13, "XSETBV: XCR0 is switched with the vCPU and must be valid"},
	{INTERCEPT_MISC2, 14, "RDPRU would read the host's counters"},
	{INTERCEPT_MISC3, 0, "INVLPGB is not offered"},
	{INTERCEPT_MISC3, 1, "INVLPGB with an illegal operand: the same"},
	{INTERCEPT_MISC3, 2, "INVPCID is not offered"},
	{INTERCEPT_MISC3, 3, "MCOMMIT is not offered"},
	{INTERCEPT_MISC3, 4, "TLBSYNC is not offered"},
};

/* A spinning guest gives way after so many PAUSEs that come within so many cycles (APM 15.14.4). */
#define PAUSE_COUNT 3000

/* Reads and writes of DR7, where guests may have no breakpoints. */
#define DR7_ACCESS (1u << 7 | 1u << (16 + 7))

void svm_intercept_init(struct vmcb_control *control)
{
	for (unsigned i = 0; i < ARRAY_SIZE(intercepts); i++)
		control->intercept[intercepts[i].word] |= 1u << intercepts[i].bit;
	if (svm_features & SVM_FEATURE_PAUSE_FILTER) {
		control->intercept[INTERCEPT_MISC1] |= 1u << 23;
		control->pause_filter_count = PAUSE_COUNT;
	}
	if (errata.no_breakpoints)
		control->intercept[INTERCEPT_DR] |= DR7_ACCESS;
}
