/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h: exit qualifications as pure functions (SDM 28.2.1), and the rule of double faults.
 */
#ifndef SAMEPAGE_VMX_DECODE_H
#define SAMEPAGE_VMX_DECODE_H

#include <arch/exit.h>
#include <lib/types.h>

/* Table 28-5. Leaves `address` alone: it is in a field of its own. */
void vmx_decode_io(u64 qualification, struct hv_exit_pio *pio);

/* Table 28-7. Leaves gpa and gva alone. */
void vmx_decode_ept_violation(u64 qualification, struct hv_exit_stage2 *fault);

/* Table 28-3. False for CLTS and LMSW, which cannot exit (cr.c), and for what is no CR we know. */
bool vmx_decode_cr(u64 qualification, struct hv_exit_cr *cr);

/* DR6 as #DB leaves it, from DR6 before and the qualification (table 28-1). */
u64 vmx_debug_status(u64 dr6, u64 qualification);

/* What a second exception makes of one whose delivery raised it, SDM vol. 3A table 6-5. */
#define VMX_MERGED_TO_SHUTDOWN 32
unsigned vmx_merge_exceptions(unsigned first, unsigned second);

#endif
