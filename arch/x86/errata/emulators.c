/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emulators.c: the faults of QEMU 7.2's emulation of AMD-V (TCG). Each flag is explained in
 * <asm/errata.h>, in docs/svm.md and where it is used; the one of CPU 0 here.
 *
 * QEMU's emulation, a thread for each CPU (seen in 7.2): restoring x87 state on any CPU (FLDENV,
 * FRSTOR, FXRSTOR, XRSTOR; a guest's, too) also writes a word of CPU 0's, without a lock. If CPU 0
 * enters or leaves a guest just then, what it wrote there is lost: that it is in a guest, under
 * nested paging, without interrupts. What follows is a #NPF for the hypervisor's own next
 * instruction (its exit overwrites the VMCB with the host's state), or a reset of the machine.
 *
 *     CPU 0: #VMEXIT                      CPU 1: XRSTOR
 *     ---------------                     -------------
 *                                         old = CPU 0's word      (in a guest)
 *     word = not in a guest
 *                                         word = old & ~IGNNE     (in a guest, again)
 *     fetch at RIP: nested page walk
 *
 * With that emulator CPU 0 runs guests only when it is the only CPU or when a VM's configuration
 * names it.
 */
#include <arch/virt.h>
#include <asm/cpuid.h>
#include <asm/errata.h>
#include <lib/log.h>

#define LOG_THIS LOG_CPU

#define CPUID_HYPERVISOR_LEAF 0x40000000

struct errata errata;

/* "TCGTCGTCGTCG" in EBX, ECX, EDX. */
static bool is_qemu_emulation(void)
{
	struct cpuid_regs id;

	if (!cpuid_has(CPUID_HYPERVISOR))
		return false;
	id = cpuid(CPUID_HYPERVISOR_LEAF, 0);
	return id.ebx == 0x54474354 && id.ecx == 0x43544743 && id.edx == 0x47435447;
}

void errata_init(void)
{
	bool faulty = virt == &svm_ops && is_qemu_emulation();

	errata = (struct errata){
		.lost_shadow = faulty,
		.late_timer = faulty,
		.free_xsetbv = faulty,
		.no_breakpoints = faulty,
		.stale_vector = faulty,
		.shared_x87 = faulty,
	};
	if (faulty)
		log_info("errata of QEMU's emulation: guests have no breakpoints and leave CPU 0 "
			 "out");
}
