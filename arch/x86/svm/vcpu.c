/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.c: creation and destruction of a vCPU; what moves at load and at put: FPU and XCR0
 * (xsave.c),
 * DR0-3, the ASID. What VMLOAD and VMRUN switch stays in the VMCB.
 */
#include <arch/cpu.h>
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
#include <lib/string.h>
#include <mm/frame.h>
#include "svm.h"

#define LOG_THIS LOG_SVM

static u64 last_serial;

static u64 svm_new_serial(void)
{
	return ck_pr_faa_64(&last_serial, 1) + 1;
}

/*
 * The ASID under which the vCPU's translations may be used on this CPU. A flush of the TLB that the
 * pool owes goes with the vCPU and comes back at put if it has not entered.
 */
static void svm_set_asid(struct svm_vcpu *svm, u32 asid)
{
	struct asid_pool *pool = &svm->cpu->asids;

	svm->vmcb.control.asid = asid;
	if (unlikely(pool->flush_pending)) {
		svm->vmcb.control.tlb_control = TLB_FLUSH_ALL;
		pool->flush_pending = false;
	}
	svm_dirty(svm, CLEAN_ASID);
}

static struct hpa svm_root(const struct svm_vcpu *svm)
{
	return (struct hpa){svm->vmcb.control.nested_cr3};
}

static void svm_take_asid(struct svm_vcpu *svm)
{
	svm_set_asid(svm, asid_get(&svm->cpu->asids, svm_root(svm), svm->serial));
}

static __always_inline void take_new_asid(struct svm_vcpu *svm)
{
	svm->serial = svm_new_serial();
	svm_set_asid(svm, asid_renew(&svm->cpu->asids, svm_root(svm), svm->serial));
}

void svm_drop_translations(struct svm_vcpu *svm)
{
	if (svm->cpu)
		take_new_asid(svm);
	else
		svm->serial = svm_new_serial();
}

/* The siblings' translations go too: they are under the slot's old serial (asid.h). */
void svm_flush_stage2(struct arch_vcpu *vcpu)
{
	take_new_asid(svm_of(vcpu));
}

void svm_set_stage2(struct arch_vcpu *vcpu, struct hpa root)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->vmcb.control.nested_cr3 = root.raw;
	svm_dirty(svm, CLEAN_NP);
	if (svm->cpu)
		svm_take_asid(svm);
}

static void svm_reset_control(struct vmcb_control *control, const struct vcpu_setup *setup)
{
	svm_intercept_init(control);
	control->iopm_pa = svm_iopm().raw;
	control->msrpm_pa = svm_msrpm().raw;
	control->virq = VIRQ_MASKING;
	control->nested_ctl = NESTED_CTL_NP;
	control->nested_cr3 = setup->stage2_root.raw;
}

static int svm_alloc(struct svm_vcpu **out)
{
	struct mfn mfn;
	int err = frame_alloc(SVM_VCPU_ORDER, FRAME_HYPERVISOR, FRAME_ZERO, &mfn);

	if (!err)
		*out = arch_hpa_to_virt(mfn_to_hpa(mfn));
	return err;
}

static void svm_free(const struct svm_vcpu *svm)
{
	frame_free(hpa_to_mfn(svm->vmcb_pa), SVM_VCPU_ORDER);
}

int svm_vcpu_init(struct arch_vcpu *vcpu, const struct vcpu_setup *setup)
{
	struct svm_vcpu *svm;
	int err = svm_alloc(&svm);

	if (err)
		return err;
	svm->vmcb_pa = arch_virt_to_hpa(svm);
	err = xsave_vcpu_init(vcpu);
	if (err) {
		svm_free(svm);
		return err;
	}
	svm->vcpu = vcpu;
	svm->serial = svm_new_serial();
	svm->fetch = setup->fetch;
	svm_insn_init(svm);
	svm_reset_control(&svm->vmcb.control, setup);
	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->backend = svm;
	vcpu->cpl = &svm->vmcb.save.cpl;
	err = svm_set_state(vcpu, &guest_reset_state);
	CHECK(!err);
	return 0;
}

void svm_vcpu_fini(struct arch_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (!svm)
		return;
	CHECK(!svm->cpu);
	xsave_vcpu_fini(vcpu);
	svm_free(svm);
	vcpu->backend = NULL;
}

/*
 * Another CPU than last time: its TLB may hold what the vCPU left there before it changed its page
 * tables elsewhere, and its cache of VMCBs an older copy (APM 15.15.2, 15.16.1).
 */
void svm_bind(struct svm_vcpu *svm, struct svm_cpu *cpu)
{
	svm->cpu = cpu;
	svm->host_vmcb = cpu->host_vmcb;
	if (svm->last_cpu != cpu) {
		svm->vmcb.control.clean = 0;
		svm->serial = svm_new_serial();
	}
	svm->last_cpu = cpu;
	svm_take_asid(svm);
}

/* A flush of the whole TLB that did not happen is owed by the next vCPU that enters. */
void svm_unbind(struct svm_vcpu *svm)
{
	if (svm->vmcb.control.tlb_control == TLB_FLUSH_ALL)
		svm->cpu->asids.flush_pending = true;
	svm->vmcb.control.tlb_control = TLB_FLUSH_NONE;
	svm->cpu = NULL;
}

void svm_vcpu_load(struct arch_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	CHECK(!svm->cpu);
	svm_bind(svm, svm_this_cpu());
	svm->vmcb.control.tsc_offset = vcpu->tsc_offset;
	svm_dirty(svm, CLEAN_INTERCEPTS);
	features_clear_branches();
	xsave_load(vcpu);
	guest_load_breakpoints(svm->dr);
	if (cpuid_has(CPUID_RDTSCP))
		wrmsr(MSR_TSC_AUX, svm->tsc_aux);
}

void svm_vcpu_put(struct arch_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	CHECK(svm->cpu == svm_this_cpu());
	guest_save_breakpoints(svm->dr);
	if (cpuid_has(CPUID_RDTSCP))
		svm->tsc_aux = rdmsr(MSR_TSC_AUX);
	xsave_put(vcpu);
	svm_unbind(svm);
}
