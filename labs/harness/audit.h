/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h: the auditor's faults as a message for a student, with the schedule where there is one.
 */
#ifndef SAMEPAGE_LABS_HARNESS_AUDIT_H
#define SAMEPAGE_LABS_HARNESS_AUDIT_H

#include "sim/explore.h"
#include "sim/sim.h"

#include <mm/audit.h>

static inline void lab_audit(void)
{
	struct audit_report report;
	char text[512] = "";

	if (!audit_run(0, &report))
		return;
	for (unsigned i = 0; i < AUDIT_FAULTS; i++) {
		size_t used = strlen(text);

		if (report.found[i])
			snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "",
				 audit_fault_name((enum audit_fault)i));
	}
	fail_msg("the auditor (docs/mm/audit.md) finds: %s%s%s", text,
		 *sched_trace() ? "; in the schedule" : "", sched_trace());
}

#endif
