/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errata.h: faults of machines that the hypervisor works around, a flag each. All are false where
 * the machine has none, and in a build without CONFIG_ERRATA_EMULATORS (errata/none.c).
 */
#ifndef SAMEPAGE_ASM_ERRATA_H
#define SAMEPAGE_ASM_ERRATA_H

#include <lib/types.h>

/*
 * All of AMD-V:
 *
 * lost_shadow     VMRUN does not load the interrupt shadow. An exit between STI and HLT is taken
 *                 for the HLT's: HV_EXIT_SHADOW (svm/exit.c)
 * late_timer      the APIC timer's interrupt is late by the guest's clock. RDTSC exits while a
 *                 guest waits for a tick: virt_ops.trap (svm/event.c)
 * free_xsetbv     XSETBV by a guest does not exit, so it enables components that are not offered.
 *                 They are initialised at put (xsave.c)
 * no_breakpoints  guests' breakpoints crash the emulator. DR7 is virtual (svm/insn.c)
 * stale_vector    an injected interrupt may be delivered twice. Interrupts are virtual ones
 *                 (svm/event.c)
 * shared_x87      restoring x87 state on any CPU may corrupt CPU 0. A guest runs there only if its
 *                 VM names it (errata/emulators.c)
 */
struct errata {
	bool lost_shadow, late_timer, free_xsetbv, no_breakpoints, stale_vector, shared_x87;
};

/* [I] after errata_init(), on CPU 0 and before any vCPU. */
extern struct errata errata;
void errata_init(void);

#endif
