/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svm.c: the AMD-V back end's table of operations, and turning SVM on and off (AMD APM vol. 2,
 * 15.3, 15.4).
 */
#include "svm.h"
#include <arch/cpu.h>
#include <asm/apic.h>
#include <asm/cpuid.h>
#include <asm/insn.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/xsave.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>

#define LOG_THIS LOG_SVM

#define CPUID_SVM_LEAF 0x8000000a
#define VM_CR_SVMDIS   BIT(4)

u32 svm_features;

static struct svm_cpu svm_cpus[ARCH_CPUS_MAX];

struct svm_cpu *svm_this_cpu(void)
{
	return &svm_cpus[percpu_id()];
}

static bool svm_supported(const char **why)
{
	if (!cpuid_has_leaf(0x80000001) || !(cpuid(0x80000001, 0).ecx & BIT(2))) {
		*why = "the CPU does not offer SVM (CPUID 8000_0001 ECX bit 2)";
		return false;
	}
	if (!cpuid_has_leaf(CPUID_SVM_LEAF) || !(cpuid(CPUID_SVM_LEAF, 0).edx & SVM_FEATURE_NP)) {
		*why = "SVM without nested paging (CPUID 8000_000A EDX bit 0)";
		return false;
	}
	if (cpuid(CPUID_SVM_LEAF, 0).ebx < 2) {
		*why = "SVM offers no ASID for a guest (CPUID 8000_000A EBX)";
		return false;
	}
	return true;
}

/* VM_CR is missing on some emulated CPUs; then nothing can have disabled SVM. */
static bool svm_disabled_by_firmware(void)
{
	u64 vm_cr = 0;

	return rdmsr_safe(MSR_AMD_VM_CR, &vm_cr) && vm_cr & VM_CR_SVMDIS;
}

static int svm_alloc_frame(struct hpa *out)
{
	struct mfn mfn;
	int err = frame_alloc(0, FRAME_HYPERVISOR, FRAME_ZERO, &mfn);

	if (!err)
		*out = mfn_to_hpa(mfn);
	return err;
}

static int svm_cpu_alloc(struct svm_cpu *cpu)
{
	int err = 0;

	if (!cpu->hsave.raw)
		err = svm_alloc_frame(&cpu->hsave);
	if (!err && !cpu->host_vmcb.raw)
		err = svm_alloc_frame(&cpu->host_vmcb);
	return err;
}

/* What is the same on every CPU is found out by the first. */
static void svm_first_cpu(void)
{
	svm_features = cpuid(CPUID_SVM_LEAF, 0).edx;
	svm_permmap_init();
	svm_cr_init();
	log_info("nested paging, %u ASIDs, next RIP %s, decode assists %s, clean bits %s",
		 cpuid(CPUID_SVM_LEAF, 0).ebx, svm_features & SVM_FEATURE_NRIPS ? "yes" : "no",
		 svm_features & SVM_FEATURE_DECODE_ASSIST ? "yes" : "no",
		 svm_features & SVM_FEATURE_CLEAN ? "yes" : "no");
}

static int svm_cpu_enable(void)
{
	struct svm_cpu *cpu = svm_this_cpu();
	int err;

	if (svm_disabled_by_firmware()) {
		log_error("cpu%u: SVM is disabled by the firmware (VM_CR.SVMDIS): turn it on in "
			  "the setup",
			  percpu_id());
		return ERR_UNSUPPORTED;
	}
	err = svm_cpu_alloc(cpu);
	if (err)
		return err;
	if (percpu_id() == 0)
		svm_first_cpu();
	xsave_cpu_enable();
	apic_timer_disarm(); /* timer_deadline is TICK_NEVER from now on */
	asid_init(&cpu->asids, cpuid(CPUID_SVM_LEAF, 0).ebx);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_AMD_VM_HSAVE_PA, cpu->hsave.raw);
	asm volatile("vmsave %%rax" : : "a"(cpu->host_vmcb.raw) : "memory");
	return 0;
}

/* The frames stay for the next cpu_enable. */
static void svm_cpu_disable(void)
{
	wrmsr(MSR_AMD_VM_HSAVE_PA, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}

/*
 * A timer interrupt may be early: armed for an older deadline, or for one further away than the
 * timer counts. Then the next run() arms it again.
 */
void svm_host_window(struct svm_vcpu *svm, struct hv_exit *exit)
{
	cpu_irq_window();
	if (arch_ticks() >= svm->cpu->deadline)
		exit->reason = HV_EXIT_TIMESLICE;
}

static unsigned svm_cpl(struct arch_vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb.save.cpl;
}

static u64 svm_cr4(struct arch_vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb.save.cr4;
}

/*
 * Each change of CR0 (but for TS and MP), CR4 and EFER exits, or comes by set_state(), and
 * invalidates all translations: a new serial.
 */
static u64 svm_code_mode(const struct svm_vcpu *svm)
{
	return svm->serial << 16 | svm->vmcb.save.cs.attrib;
}

static void svm_get_code(struct arch_vcpu *vcpu, struct guest_code *code)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	const struct vmcb_save *save = &svm->vmcb.save;

	*code = (struct guest_code){save->rip, save->cr3, save->cs.base, svm_code_mode(svm)};
}

static bool svm_skip_code(struct arch_vcpu *vcpu, const struct guest_code *code,
			  const struct hv_exit *exit)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	const struct vmcb_save *save = &svm->vmcb.save;

	if (save->rip != code->rip || save->cr3 != code->cr3 || save->cs.base != code->base ||
	    svm_code_mode(svm) != code->mode)
		return false;
	svm_skip_insn(vcpu, exit);
	return true;
}

const struct virt_ops svm_ops = {
	.name = "svm",
	.feature = "AMD SVM with nested paging (CPUID 8000_0001 ECX bit 2, 8000_000A EDX bit 0)",
	.stage2 = &npt_format,
	.supported = svm_supported,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.vcpu_init = svm_vcpu_init,
	.vcpu_fini = svm_vcpu_fini,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.run = svm_run,
	.cpl = svm_cpl,
	.cr4 = svm_cr4,
	.get_code = svm_get_code,
	.skip_code = svm_skip_code,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.can_inject = svm_can_inject,
	.inject = svm_inject,
	.set_irq_window = svm_set_irq_window,
	.set_nmi_window = svm_set_nmi_window,
	.drop_events = svm_drop_events,
	.trap = svm_trap,
	.complete_exit = svm_complete_exit,
	.skip_insn = svm_skip_insn,
	.write_cr = svm_write_cr,
	.set_stage2 = svm_set_stage2,
	.flush_stage2 = svm_flush_stage2,
	.pml_enable = NULL, /* AMD-V has no page-modification log */
	.pml_drain = NULL,
	.dump = svm_dump,
	.exit_name = svm_exit_name,
};
