/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errata.c: faults of machines, and what is done about them.
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
 * So where that emulator is, CPU 0 runs guests only when it is the only CPU or when a VM's
 * configuration names it.
 */
#include <arch/cpu.h>
#include <arch/virt.h>
#include <asm/cpuid.h>

#define CPUID_HYPERVISOR_LEAF  0x40000000
#define CPUID_UNDER_HYPERVISOR BIT(31) /* leaf 1 ECX: what Intel and AMD leave to hypervisors */

/* "TCGTCGTCGTCG" in EBX, ECX, EDX. */
static bool is_qemu_emulation(void)
{
	struct cpuid_regs id;

	if (!(cpuid(1, 0).ecx & CPUID_UNDER_HYPERVISOR))
		return false;
	id = cpuid(CPUID_HYPERVISOR_LEAF, 0);
	return id.ebx == 0x54474354 && id.ecx == 0x43544743 && id.edx == 0x47435447;
}

u64 arch_guest_cpus(void)
{
	unsigned cpus = arch_cpu_count();
	u64 all = cpus < 64 ? BIT(cpus) - 1 : ~0ull;

	return cpus > 1 && virt == &svm_ops && is_qemu_emulation() ? all & ~BIT(0) : all;
}
