/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.h: how the hypervisor itself sets a CPU up.
 */
#ifndef SAMEPAGE_ASM_FEATURES_H
#define SAMEPAGE_ASM_FEATURES_H

#include <lib/types.h>

/* Turns protections and paging features on, on this CPU. Every CPU, before it uses the final
 * tables. */
void features_enable(void);

/* EFER as every CPU has it from its first instruction in long mode on (LMA apart). */
u64 features_efer(void);

/*
 * Clears the branch predictors (SDM vol. 4, IA32_PRED_CMD; AMD APM vol. 2, 3.2.9), so that one vCPU
 * does not steer the speculation of the next one on this CPU. Back ends call it at load. Nothing
 * where the CPU has no such barrier.
 */
void features_clear_branches(void);

/* Names what is on, and says what is missing. CPU 0, once. */
void features_log(void);

#endif
