/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage2.c: the EPT pointer, its flushes, and page-modification logging.
 *
 * Translations are cached under the EPT pointer's root (and, for combined ones, the VPID); an exit
 * flushes nothing. What has to be flushed when is decided in mm (mm/tlb.h).
 */
#include "vmx.h"
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>

/* SDM 25.6.11. */
#define EPTP_WB	    6
#define EPTP_LEVELS ((4 - 1) << 3)
#define EPTP_AD	    BIT(6)

/* SDM 29.3.6: the index counts down from the page's last entry and is 0xffff once it is full. */
#define PML_ENTRIES 512
#define PML_START   (PML_ENTRIES - 1)

u64 vmx_eptp(struct hpa root)
{
	return root.raw | EPTP_WB | EPTP_LEVELS | (vmx_caps.ept_ad ? EPTP_AD : 0);
}

void vmx_set_stage2(struct arch_vcpu *vcpu, struct hpa root)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before = vmx_borrow(v);

	v->eptp = vmx_eptp(root);
	vmcs_write(VMCS_EPT_POINTER, v->eptp);
	vmx_return(v, before);
}

void vmx_flush_stage2(struct arch_vcpu *vcpu)
{
	vmx_invept(vmx_caps.invept_one ? INV_SINGLE : INV_ALL, vmx_of(vcpu)->eptp);
}

static int pml_on(struct vmx_vcpu *v)
{
	struct mfn page;
	int err = frame_alloc(0, FRAME_HYPERVISOR, FRAME_ZERO, &page);

	if (err)
		return err;
	v->pml = mfn_to_hpa(page);
	v->secondary |= SECONDARY_PML;
	vmcs_write(VMCS_PML_ADDRESS, v->pml.raw);
	vmcs_write(VMCS_GUEST_PML_INDEX, PML_START);
	vmcs_write(VMCS_SECONDARY_CONTROLS, v->secondary);
	return 0;
}

static void pml_off(struct vmx_vcpu *v)
{
	v->secondary &= ~SECONDARY_PML;
	vmcs_write(VMCS_SECONDARY_CONTROLS, v->secondary);
	frame_free(hpa_to_mfn(v->pml), 0);
	v->pml.raw = 0;
}

int vmx_pml_enable(struct arch_vcpu *vcpu, bool on)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before;
	int err = 0;

	if (!vmx_caps.pml)
		return ERR_UNSUPPORTED;
	if (on == (v->pml.raw != 0))
		return 0;
	before = vmx_borrow(v);
	if (on)
		err = pml_on(v);
	else
		pml_off(v);
	vmx_return(v, before);
	return err;
}

/*
 * The newest entries first: taking them from the low end and moving the index up leaves a log that
 * the CPU can go on with, however few the caller had room for. Bochs 2.7 keeps the low 12 bits of
 * the address, the manual clears them.
 */
unsigned vmx_pml_drain(struct arch_vcpu *vcpu, struct gpa *out, unsigned max)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before;
	const u64 *log;
	unsigned next, taken;

	if (!v->pml.raw)
		return 0;
	before = vmx_borrow(v);
	log = arch_hpa_to_virt(v->pml);
	next = (u16)(vmcs_read(VMCS_GUEST_PML_INDEX) + 1);
	for (taken = 0; taken < max && next + taken < PML_ENTRIES; taken++)
		out[taken].raw = log[next + taken] & ~(PAGE_SIZE - 1);
	if (taken)
		vmcs_write(VMCS_GUEST_PML_INDEX, (u16)(next + taken - 1));
	vmx_return(v, before);
	return taken;
}
