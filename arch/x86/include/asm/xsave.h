/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xsave.h: the guest's x87, SSE, AVX and AVX-512 registers, and XCR0 that says which it may use.
 *
 * The hypervisor is compiled without a single FPU instruction, so the registers stay the guest's
 * from load to put; no exit saves or restores them.
 */
#ifndef SAMEPAGE_ASM_XSAVE_H
#define SAMEPAGE_ASM_XSAVE_H

#include <arch/virt.h>
#include <lib/types.h>

/*
 * Turns SSE, and XSAVE where the CPU has it, on for this CPU: CR0.MP, NE, not EM, not TS;
 * CR4.OSFXSR, OSXMMEXCPT, OSXSAVE. Called by both back ends' cpu_enable, before anything reads CR0
 * or CR4 as host state.
 */
void xsave_cpu_enable(void);

/* The save area, in the state after RESET and FNINIT; xcr0 = x87. ERR_NO_MEMORY. */
int xsave_vcpu_init(struct arch_vcpu *vcpu) __must_check;
void xsave_vcpu_fini(struct arch_vcpu *vcpu);

/* The vCPU's registers and XCR0 into the CPU, and back. Called by vcpu_load and vcpu_put. */
void xsave_load(struct arch_vcpu *vcpu);
void xsave_put(struct arch_vcpu *vcpu);

#endif
