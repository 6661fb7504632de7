/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaiming.h: what is done when no frame is left, before a vCPU has to wait: cold pages of all
 * VMs give up theirs.
 */
#ifndef SAMEPAGE_HV_RECLAIMING_H
#define SAMEPAGE_HV_RECLAIMING_H

#include <lib/types.h>

/* The hypervisor's command line: reclaim=yes|off. Once, before any VM; fini when all have ended. */
void reclaiming_init(void);
void reclaiming_fini(void);

/* Takes some frames of pages that were not touched for the longest time. False: none was found yet.
 * Looks at a bounded number of pages, and goes on there the next time. No lock held. */
bool reclaiming_make_room(void);

/* What came of it, for the summary. */
void reclaiming_summary(void);

#endif
