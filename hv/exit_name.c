/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_name.c: the words for exit reasons, in logs and in the summary.
 */
#include <arch/exit.h>

static const char *const names[HV_EXIT_REASONS] = {
	[HV_EXIT_INTERRUPT] = "interrupt",
	[HV_EXIT_TIMESLICE] = "timeslice",
	[HV_EXIT_SHADOW] = "shadow",
	[HV_EXIT_CPUID] = "cpuid",
	[HV_EXIT_HYPERCALL] = "hypercall",
	[HV_EXIT_PIO] = "pio",
	[HV_EXIT_MSR_READ] = "msr_read",
	[HV_EXIT_MSR_WRITE] = "msr_write",
	[HV_EXIT_STAGE2] = "stage2",
	[HV_EXIT_STAGE2_BROKEN] = "stage2_broken",
	[HV_EXIT_HLT] = "hlt",
	[HV_EXIT_PAUSE] = "pause",
	[HV_EXIT_TSC] = "tsc",
	[HV_EXIT_CR] = "cr",
	[HV_EXIT_XSETBV] = "xsetbv",
	[HV_EXIT_CACHE] = "cache",
	[HV_EXIT_VIRT_INSN] = "virt_insn",
	[HV_EXIT_EXCEPTION] = "exception",
	[HV_EXIT_IRQ_WINDOW] = "irq_window",
	[HV_EXIT_NMI_WINDOW] = "nmi_window",
	[HV_EXIT_PML_FULL] = "pml_full",
	[HV_EXIT_SHUTDOWN] = "shutdown",
	[HV_EXIT_INIT_SIPI] = "init_sipi",
	[HV_EXIT_ENTRY_FAILED] = "entry_failed",
	[HV_EXIT_UNKNOWN] = "unknown",
};

const char *hv_exit_name(enum hv_exit_reason reason)
{
	return reason < HV_EXIT_REASONS ? names[reason] : "?";
}
