/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaiming.h: reclaim of cold pages of all VMs when no frame is left, before a vCPU has to wait.
 */
#ifndef SAMEPAGE_HV_RECLAIMING_H
#define SAMEPAGE_HV_RECLAIMING_H

#include <lib/types.h>

/* The hypervisor's command line: reclaim=yes|off. Once, before any VM; fini when all have ended. */
void reclaiming_init(void);
void reclaiming_fini(void);

/*
 * Reclaims some frames of the pages that are cold for the longest time; false: none found yet.
 * Looks at a bounded number of pages; the next call continues there. No locks held.
 */
bool reclaiming_make_room(void);

/* Its counts, for the summary. */
void reclaiming_summary(void);

#endif
