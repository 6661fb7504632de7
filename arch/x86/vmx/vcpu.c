/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.c: creation and destruction of a vCPU; what moves between VMCS and CPU at load and at put.
 *
 *                          vcpu_load               run                     vcpu_put
 *     VMCS                 VMPTRLD                 guest state by CPU      VMCLEAR
 *     MSRs, DR0-6, CR2     WRMSR, MOV              keep the guest's        RDMSR, MOV
 *     FPU                  XRSTOR                  keeps the guest's       XSAVE
 *     host state           written if the vCPU     -                       -
 *                          was on another CPU
 *
 * None of them moves at an exit, because the hypervisor uses none: it has no SYSCALL, no page
 * fault, no breakpoint and no FPU code.
 *
 * Invariants:
 * VMX-1  a VMCS is active on at most one CPU, because put clears it.
 * VMX-2  a vCPU that comes to a CPU it was not on last finds no translations of its own there,
 *        however old: its VPID and its EPT root are flushed, which also covers recycled tags of
 *        vCPUs and tables that are gone.
 */
#include "vmx.h"
#include <arch/cpu.h>
#include <asm/desc.h>
#include <asm/cpuid.h>
#include <asm/features.h>
#include <asm/guest.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/xsave.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>

_Static_assert(sizeof(struct vmx_vcpu) <= PAGE_SIZE, "a vCPU's own state has one frame");

static const u32 switched_msrs[SW_MSRS] = {
	[SW_STAR] = MSR_STAR,
	[SW_LSTAR] = MSR_LSTAR,
	[SW_CSTAR] = MSR_CSTAR,
	[SW_SFMASK] = MSR_SFMASK,
	[SW_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
	[SW_TSC_AUX] = MSR_TSC_AUX,
};

/* VPIDs in use, a bit each [a]; 0 is the host's. A vCPU takes four frames, so 4096 are enough. */
#define VPIDS 4096
static u64 vpids[VPIDS / 64] = {1};

static u16 vpid_alloc(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(vpids); i++) {
		u64 used = ck_pr_load_64(&vpids[i]);

		while (~used) {
			unsigned bit = __builtin_ctzll(~used);

			if (ck_pr_cas_64_value(&vpids[i], used, used | BIT(bit), &used))
				return i * 64 + bit;
		}
	}
	return 0;
}

static void vpid_free(u16 vpid)
{
	if (vpid)
		ck_pr_and_64(&vpids[vpid / 64], ~BIT(vpid % 64));
}

/* SW_TSC_AUX is last, and not on every CPU. */
static unsigned switched_count(void)
{
	return vmx_caps.control[SECONDARY] & SECONDARY_RDTSCP ? SW_MSRS : SW_TSC_AUX;
}

/*
 * PAUSEs at most a gap apart are one loop; one that lasts longer than the window exits (SDM
 * 25.6.13). The gap is longer than a spin loop's body, the window longer than a lock is held by a
 * CPU that runs.
 */
#define PLE_GAP	   128
#define PLE_WINDOW 4096

static void write_controls(struct vmx_vcpu *v)
{
	if (v->secondary & SECONDARY_PAUSE_LOOP) {
		vmcs_write(VMCS_PLE_GAP, PLE_GAP);
		vmcs_write(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
	vmcs_write(VMCS_PIN_CONTROLS, vmx_caps.control[PIN]);
	vmcs_write(VMCS_PRIMARY_CONTROLS, v->primary);
	vmcs_write(VMCS_SECONDARY_CONTROLS, v->secondary);
	vmcs_write(VMCS_EXIT_CONTROLS, vmx_caps.control[ON_EXIT]);
	vmcs_write(VMCS_ENTRY_CONTROLS, vmx_caps.control[ON_ENTRY]);
	/*
	 * #DB and #AC: delivered without an exit, a guest can make each delivery raise the next and
	 * the CPU never comes back (CVE-2015-5307, CVE-2015-8104). #MC is the machine's, not the
	 * guest's.
	 */
	vmcs_write(VMCS_EXCEPTION_BITMAP, BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC));
	vmcs_write(VMCS_PAGE_FAULT_MASK, 0);
	vmcs_write(VMCS_PAGE_FAULT_MATCH, 0);
	vmcs_write(VMCS_CR3_TARGET_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_ENTRY_INTERRUPTION_INFO, 0);
	vmcs_write(VMCS_IO_BITMAP_A, arch_virt_to_hpa(vmx_io_bitmap[0]).raw);
	vmcs_write(VMCS_IO_BITMAP_B, arch_virt_to_hpa(vmx_io_bitmap[1]).raw);
	vmcs_write(VMCS_MSR_BITMAP, arch_virt_to_hpa(vmx_msr_bitmap).raw);
	vmcs_write(VMCS_VPID, v->vpid);
	vmcs_write(VMCS_EPT_POINTER, v->eptp);
	vmcs_write(VMCS_CR0_GUEST_HOST_MASK, CR0_OWNED);
	vmcs_write(VMCS_CR4_GUEST_HOST_MASK, CR4_OWNED | ~CR4_GUEST);
	vmcs_write(VMCS_VMCS_LINK_POINTER, ~0ull);
	vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
}

/* What is the same on every CPU. */
static void write_host_constants(void)
{
	vmcs_write(VMCS_HOST_CS_SELECTOR, SEL_CODE);
	vmcs_write(VMCS_HOST_SS_SELECTOR, SEL_DATA);
	vmcs_write(VMCS_HOST_DS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_ES_SELECTOR, 0);
	vmcs_write(VMCS_HOST_FS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_GS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_TR_SELECTOR, SEL_TSS);
	vmcs_write(VMCS_HOST_FS_BASE, 0);
	vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
	vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmcs_write(VMCS_HOST_RIP, (u64)vmx_exit_point);
}

static void write_host_state(void)
{
	vmcs_write(VMCS_HOST_CR0, read_cr0());
	vmcs_write(VMCS_HOST_CR3, read_cr3());
	vmcs_write(VMCS_HOST_CR4, read_cr4());
	vmcs_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmcs_write(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmcs_write(VMCS_HOST_GS_BASE, (u64)percpu());
	vmcs_write(VMCS_HOST_TR_BASE, (u64)&percpu()->tss);
	vmcs_write(VMCS_HOST_GDTR_BASE, gdtr_read().base);
	vmcs_write(VMCS_HOST_IDTR_BASE, idtr_read().base);
}

/* VMX-1. */
static void activate(struct vmx_vcpu *v)
{
	DEBUG_CHECK(v->active == NO_CPU || v->active == percpu_id());
	v->active = percpu_id();
	vmx_vmptrld(v->vmcs);
}

void vmx_clear(struct vmx_vcpu *v)
{
	vmx_vmclear(v->vmcs);
	v->active = NO_CPU;
	v->host = (struct vmx_host){0, false};
}

struct vmx_vcpu *vmx_borrow(struct vmx_vcpu *v)
{
	struct vmx_vcpu **current = vmx_current(), *before = *current;

	if (before != v) {
		activate(v);
		*current = v;
	}
	return before;
}

void vmx_return(struct vmx_vcpu *v, struct vmx_vcpu *before)
{
	if (before == v)
		return;
	vmx_clear(v);
	*vmx_current() = before;
	if (before)
		vmx_vmptrld(before->vmcs);
}

static void setup_vmcs(struct vmx_vcpu *v)
{
	struct vmx_vcpu *before;

	*(u32 *)arch_hpa_to_virt(v->vmcs) = vmx_caps.revision;
	vmx_vmclear(v->vmcs);
	before = vmx_borrow(v);
	write_controls(v);
	write_host_constants();
	vmx_write_reset_state(v);
	vmx_return(v, before);
}

/* It takes a VMREAD. */
static const u8 unknown_cpl = 3;

int vmx_vcpu_init(struct arch_vcpu *vcpu, const struct vcpu_setup *setup)
{
	struct mfn own, vmcs;
	struct vmx_vcpu *v;
	int err = frame_alloc(0, FRAME_HYPERVISOR, FRAME_ZERO, &own);

	if (err)
		return err;
	err = frame_alloc(0, FRAME_HYPERVISOR, FRAME_ZERO, &vmcs);
	if (err)
		goto no_vmcs;
	err = xsave_vcpu_init(vcpu);
	if (err)
		goto no_xsave;
	v = arch_hpa_to_virt(mfn_to_hpa(own));
	*v = (struct vmx_vcpu){
		.vcpu = vcpu,
		.vmcs = mfn_to_hpa(vmcs),
		.vpid = vpid_alloc(),
		.active = NO_CPU,
		.cpu = NO_CPU,
		.eptp = vmx_eptp(setup->stage2_root),
		.primary = vmx_caps.control[PRIMARY],
		.secondary = vmx_caps.control[SECONDARY],
	};
	err = ERR_NO_MEMORY;
	if (!v->vpid)
		goto no_vpid;
	vcpu->backend = v;
	vcpu->cpl = &unknown_cpl;
	setup_vmcs(v);
	return 0;
no_vpid:
	xsave_vcpu_fini(vcpu);
no_xsave:
	frame_free(vmcs, 0);
no_vmcs:
	frame_free(own, 0);
	return err;
}

void vmx_vcpu_fini(struct arch_vcpu *vcpu)
{
	struct vmx_vcpu *v = vmx_of(vcpu);

	if (!v)
		return;
	CHECK(!v->loaded);
	vmx_pml_enable(vcpu, false);
	vpid_free(v->vpid);
	xsave_vcpu_fini(vcpu);
	frame_free(hpa_to_mfn(v->vmcs), 0);
	vcpu->backend = NULL;
	frame_free(hpa_to_mfn(arch_virt_to_hpa(v)), 0);
}

static void load_registers(struct vmx_vcpu *v)
{
	for (unsigned i = 0; i < switched_count(); i++)
		wrmsr(switched_msrs[i], v->msr[i]);
	guest_load_breakpoints(v->dr);
	write_dr6(v->dr6);
	write_cr2(v->cr2);
}

static void save_registers(struct vmx_vcpu *v)
{
	for (unsigned i = 0; i < switched_count(); i++)
		v->msr[i] = rdmsr(switched_msrs[i]);
	guest_save_breakpoints(v->dr);
	v->dr6 = read_dr6();
	v->cr2 = read_cr2();
}

void vmx_vcpu_load(struct arch_vcpu *vcpu)
{
	struct vmx_vcpu *v = vmx_of(vcpu);

	CHECK(!*vmx_current());
	activate(v);
	*vmx_current() = v;
	v->loaded = true;
	if (v->cpu != percpu_id()) {
		v->cpu = percpu_id();
		write_host_state();
		vmx_invvpid(INV_SINGLE, v->vpid);
		vmx_flush_stage2(vcpu);
	}
	features_clear_branches();
	vmcs_write(VMCS_TSC_OFFSET, vcpu->tsc_offset);
	load_registers(v);
	xsave_load(vcpu);
}

void vmx_vcpu_put(struct arch_vcpu *vcpu)
{
	struct vmx_vcpu *v = vmx_of(vcpu);

	CHECK(*vmx_current() == v);
	xsave_put(vcpu);
	save_registers(v);
	vmx_clear(v);
	v->loaded = false;
	*vmx_current() = NULL;
}
