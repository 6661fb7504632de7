/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enable.c: turning VMX on and off, CPU by CPU, and the table of operations.
 *
 * Locking: none. The boot CPU fills vmx_caps and the bitmaps before any other CPU runs; they are
 * constant after. All CPUs must agree in what they can do, because a vCPU may run on any of them.
 */
#define LOG_THIS LOG_VMX

#include "vmx.h"
#include <arch/cpu.h>
#include <asm/cpuid.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/xsave.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>

/* IA32_FEATURE_CONTROL, SDM 24.7. */
#define FEATURE_LOCKED BIT(0)
#define FEATURE_VMX    BIT(2)

/* Offsets from MSR_VMX_BASIC, appendix A. */
enum {
	VMX_MISC = 5,
	VMX_CR0_FIXED0,
	VMX_CR0_FIXED1,
	VMX_CR4_FIXED0,
	VMX_CR4_FIXED1,
	VMX_SECONDARY = 11,
	VMX_EPT_VPID,
	VMX_TRUE_PIN,
	VMX_TRUE_PRIMARY,
	VMX_TRUE_EXIT,
	VMX_TRUE_ENTRY
};

struct vmx_caps vmx_caps;
u8 vmx_msr_bitmap[PAGE_SIZE] __aligned(PAGE_SIZE);
u8 vmx_io_bitmap[2][PAGE_SIZE] __aligned(PAGE_SIZE);

/* [c] only the CPU itself */
struct vmx_cpu {
	struct mfn vmxon;
	bool on;
	struct vmx_vcpu *current;
};

static struct vmx_cpu vmx_cpus[ARCH_CPUS_MAX];

struct vmx_vcpu **vmx_current(void)
{
	return &vmx_cpus[percpu_id()].current;
}

static u64 capability(unsigned offset)
{
	return rdmsr(MSR_VMX_BASIC + offset);
}

/* The true MSRs exist where BASIC says so; vmx_select() refuses the CPU otherwise. */
static void read_capability(struct vmx_capability *cap)
{
	*cap = (struct vmx_capability){
		.basic = capability(0),
		.misc = capability(VMX_MISC),
		.cr0_fixed0 = capability(VMX_CR0_FIXED0),
		.cr0_fixed1 = capability(VMX_CR0_FIXED1),
		.cr4_fixed0 = capability(VMX_CR4_FIXED0),
		.cr4_fixed1 = capability(VMX_CR4_FIXED1),
	};
	if (!(cap->basic & BASIC_TRUE_CONTROLS))
		return;
	cap->allowed[PIN] = capability(VMX_TRUE_PIN);
	cap->allowed[PRIMARY] = capability(VMX_TRUE_PRIMARY);
	cap->allowed[ON_EXIT] = capability(VMX_TRUE_EXIT);
	cap->allowed[ON_ENTRY] = capability(VMX_TRUE_ENTRY);
	if (!(cap->allowed[PRIMARY] >> 32 & PRIMARY_SECONDARY_ON))
		return;
	cap->allowed[SECONDARY] = capability(VMX_SECONDARY);
	if (cap->allowed[SECONDARY] >> 32 & (SECONDARY_EPT | SECONDARY_VPID))
		cap->ept = capability(VMX_EPT_VPID);
}

static bool select_caps(struct vmx_caps *caps, const char **why)
{
	struct vmx_capability cap;
	u64 feature = rdmsr(MSR_FEATURE_CONTROL);

	if ((feature & FEATURE_LOCKED) && !(feature & FEATURE_VMX)) {
		*why = "the CPU has VMX, but the firmware has locked it off (IA32_FEATURE_CONTROL)";
		return false;
	}
	read_capability(&cap);
	return vmx_select(&cap, caps, why);
}

bool vmx_supported(const char **why)
{
	struct vmx_caps caps;

	if (!cpuid_has(CPUID_VMX)) {
		*why = "CPUID.1:ECX.5 is 0: this CPU has no VMX, or does not show it";
		return false;
	}
	return select_caps(&caps, why);
}

/* On the boot CPU: what all vCPUs will use. On the others: that it is there too. */
static int agree_on_caps(void)
{
	struct vmx_caps caps;
	const char *why = NULL;

	if (!vmx_supported(&why)) {
		log_error("cpu%u: %s", percpu_id(), why);
		return ERR_UNSUPPORTED;
	}
	select_caps(&caps, &why);
	if (vmx_caps.revision && memcmp(&caps, &vmx_caps, sizeof(caps))) {
		log_error("cpu%u offers other VMX controls than the boot CPU", percpu_id());
		return ERR_UNSUPPORTED;
	}
	if (vmx_caps.revision)
		return 0;
	vmx_caps = caps;
	memset(vmx_io_bitmap, 0xff, sizeof(vmx_io_bitmap));
	memset(vmx_msr_bitmap, 0xff, sizeof(vmx_msr_bitmap));
	vmx_msr_bitmap_build(vmx_msr_bitmap, msr_passthrough);
	/* The controls switch EFER and the CPU checks what the guest writes, SDM 27.2.1, 28.3.1. */
	vmx_msr_bitmap_allow(vmx_msr_bitmap, MSR_EFER, true, true);
	vmx_msr_bitmap_allow(vmx_msr_bitmap, MSR_TSC_AUX, cpuid_has(CPUID_RDTSCP),
			     cpuid_has(CPUID_RDTSCP));
	log_info("EPT%s, VPID, unrestricted guest%s; timer ticks once in %u",
		 caps.ept_ad ? " with A/D" : "", caps.pml ? ", PML" : "", 1u << caps.timer_shift);
	return 0;
}

static bool vmxon(struct hpa region)
{
	bool ok;

	asm volatile("vmxon %1" : "=@cca"(ok) : "m"(region.raw) : "memory");
	return ok;
}

static void unlock_feature(void)
{
	u64 feature = rdmsr(MSR_FEATURE_CONTROL);

	if (!(feature & FEATURE_LOCKED))
		wrmsr(MSR_FEATURE_CONTROL, feature | FEATURE_LOCKED | FEATURE_VMX);
}

int vmx_cpu_enable(void)
{
	struct vmx_cpu *cpu = &vmx_cpus[percpu_id()];
	int err = agree_on_caps();

	if (err)
		return err;
	err = frame_alloc(0, FRAME_HYPERVISOR, FRAME_ZERO, &cpu->vmxon);
	if (err)
		return err;
	xsave_cpu_enable();
	unlock_feature();
	write_cr0(read_cr0() | vmx_caps.cr0_fixed0);
	write_cr4(read_cr4() | vmx_caps.cr4_fixed0);
	*(u32 *)arch_hpa_to_virt(mfn_to_hpa(cpu->vmxon)) = vmx_caps.revision;
	if (!vmxon(mfn_to_hpa(cpu->vmxon))) {
		write_cr4(read_cr4() & ~CR4_VMXE);
		frame_free(cpu->vmxon, 0);
		log_error("cpu%u: VMXON failed", percpu_id());
		return ERR_UNSUPPORTED;
	}
	cpu->on = true;
	percpu()->on_nmi = vmx_nmi;
	percpu()->guest_ipi = IPI_NMI;
	/* Whatever ran here before us may have left translations under our tags. */
	vmx_invept(INV_ALL, 0);
	return 0;
}

void vmx_cpu_disable(void)
{
	struct vmx_cpu *cpu = &vmx_cpus[percpu_id()];

	if (!cpu->on)
		return;
	cpu->on = false;
	percpu()->on_nmi = NULL;
	percpu()->guest_ipi = IPI_IRQ;
	asm volatile("vmxoff" : : : "cc", "memory");
	write_cr4(read_cr4() & ~CR4_VMXE);
	frame_free(cpu->vmxon, 0);
}

const struct virt_ops vmx_ops = {
	.name = "vmx",
	.feature = "Intel VT-x with EPT and unrestricted guest (CPUID.1:ECX.5)",
	.stage2 = &ept_format,
	.supported = vmx_supported,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_fini = vmx_vcpu_fini,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.run = vmx_run,
	.cpl = vmx_cpl,
	.cr4 = vmx_cr4,
	.get_code = vmx_get_code,
	.skip_code = vmx_skip_code,
	.get_state = vmx_get_state,
	.set_state = vmx_set_state,
	.can_inject = vmx_can_inject,
	.inject = vmx_inject,
	.set_irq_window = vmx_set_irq_window,
	.set_nmi_window = vmx_set_nmi_window,
	.drop_events = vmx_drop_events,
	.skip_insn = vmx_skip_insn,
	.write_cr = vmx_write_cr,
	.set_stage2 = vmx_set_stage2,
	.flush_stage2 = vmx_flush_stage2,
	.pml_enable = vmx_pml_enable,
	.pml_drain = vmx_pml_drain,
	.dump = vmx_dump,
	.exit_name = vmx_exit_name,
};
