/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virt.c: which virtualization back end this machine has.
 */
#include <arch/virt.h>
#include <arch/cpu.h>
#include <asm/errata.h>
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_CPU

const struct virt_ops *virt;

static const struct virt_ops *const candidates[] = {&vmx_ops, &svm_ops};

static void explain_none(const char *const why[])
{
	log_error("this machine offers no virtualization that Samepage can use; looked for:");
	for (unsigned i = 0; i < ARRAY_SIZE(candidates); i++)
		log_error("  %s: %s", candidates[i]->feature, why[i]);
	log_error("to get it: on a real machine turn VT-x or SVM on in the firmware setup;");
	log_error("  QEMU without KVM: -cpu max (SVM; QEMU emulates no VMX);");
	log_error("  QEMU with KVM: -cpu host, and kvm_intel or kvm_amd loaded with nested=1;");
	log_error("  Bochs: cpu: model=tigerlake or another one with EPT");
}

int arch_virt_init(void)
{
	const char *why[ARRAY_SIZE(candidates)];

	for (unsigned i = 0; i < ARRAY_SIZE(candidates); i++) {
		int err;

		why[i] = "not in CPUID";
		if (!candidates[i]->supported(&why[i]))
			continue;
		err = candidates[i]->cpu_enable();
		if (err) {
			why[i] = error_name(err);
			continue;
		}
		virt = candidates[i];
		log_info("back end %s: %s", virt->name, virt->feature);
		errata_init();
		return 0;
	}
	explain_none(why);
	return ERR_UNSUPPORTED;
}

u64 arch_guest_cpus(void)
{
	unsigned cpus = arch_cpu_count();
	u64 all = cpus < 64 ? BIT(cpus) - 1 : ~0ull;

	return cpus > 1 && errata.shared_x87 ? all & ~BIT(0) : all;
}
