/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.h: the lines that the hypervisor prints last.
 */
#ifndef SAMEPAGE_HV_SUMMARY_H
#define SAMEPAGE_HV_SUMMARY_H

#include <hv/control.h>
#include <lib/types.h>

/* All VMs have ended. One line a VM, then its exits by reason. */
void summary_vms(void);

/* The result of the audits (mm/audit.h): of each VM when it had ended, and of all memory now. */
bool summary_audit(struct control_verdict *verdict);

/* Every frame that was free before the first VM is free again; else prints which kind is not. */
bool summary_frames(u64 free_before, struct control_verdict *verdict);

#endif
