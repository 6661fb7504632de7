/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr_policy.c: the MSRs a guest reaches without an exit, each with the reason why it may.
 *
 * An MSR is here when (a) the hardware or vcpu_load / vcpu_put keep the guest's value apart from
 * the others', and (b) the CPU itself raises #GP for a value that could hurt. Every other MSR
 * exits, to the table in hv/. EFER is not here: the two vendors differ (SVM must hide SVME), so
 * each back end says how it deals with it.
 */
#include <asm/msr.h>
#include <arch/virt.h>

const struct msr_passthrough msr_passthrough[] = {
	{MSR_TSC, true, false, "RDMSR adds the TSC offset as RDTSC does; a write exits"},
	{MSR_SYSENTER_CS, true, true, "the VMCS, VMSAVE and VMLOAD hold it"},
	{MSR_SYSENTER_ESP, true, true, "the VMCS, VMSAVE and VMLOAD hold it"},
	{MSR_SYSENTER_EIP, true, true, "the VMCS, VMSAVE and VMLOAD hold it"},
	{MSR_PAT, true, true, "the VMCS and the VMCB hold it; the CPU refuses a reserved type"},
	{MSR_STAR, true, true, "switched with the vCPU: the hypervisor has no SYSCALL"},
	{MSR_LSTAR, true, true, "switched with the vCPU; the CPU demands a canonical address"},
	{MSR_CSTAR, true, true, "switched with the vCPU; the CPU demands a canonical address"},
	{MSR_SFMASK, true, true, "switched with the vCPU"},
	{MSR_FS_BASE, true, true, "part of the segment state, WRFSBASE reaches it too"},
	{MSR_GS_BASE, true, true, "part of the segment state, the exit loads the host's"},
	{MSR_KERNEL_GS_BASE, true, true, "switched with the vCPU: the hypervisor has no SWAPGS"},
	{0, false, false, NULL},
};
