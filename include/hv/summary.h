/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.h: the last thing the hypervisor says.
 */
#ifndef SAMEPAGE_HV_SUMMARY_H
#define SAMEPAGE_HV_SUMMARY_H

#include <lib/types.h>

/* All VMs have ended. One line a VM, then its exits by reason. */
void summary_vms(void);

/* Did all that mm kept agree (mm/audit.h) when each VM had ended, and does it now? */
bool summary_audit(void);

/* Is every frame that was free before the first VM free again? Says which kind is not. */
bool summary_frames(u64 free_before);

#endif
