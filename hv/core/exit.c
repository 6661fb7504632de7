/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.c: names of exit reasons, for logs and the summary, and exits that end a VM.
 */
#include <hv/exit.h>
#include <hv/vcpu.h>
#include <lib/log.h>

#define LOG_THIS LOG_VM

static const char *const exit_names[HV_EXIT_REASONS] = {
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
	[HV_EXIT_DR] = "dr",
	[HV_EXIT_XSETBV] = "xsetbv",
	[HV_EXIT_TASK_SWITCH] = "task_switch",
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
	return reason < HV_EXIT_REASONS ? exit_names[reason] : "?";
}

enum exit_verdict exit_unhandled(struct vcpu *vcpu, const struct hv_exit *exit, const char *what)
{
	log_error("%s: %s: %s (reason %lx, info %lx %lx); the VM is stopped", vcpu->vm->config.name,
		  what, virt->exit_name(exit->raw.reason), exit->raw.reason, exit->raw.info1,
		  exit->raw.info2);
	vcpu_dump(vcpu);
	vm_stop(vcpu->vm, VM_END_UNHANDLED, 0);
	return EXIT_RESCHEDULE;
}
