/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h: work of the hypervisor itself that the run loop polls between two turns of vCPUs: page
 * merging, the terminal, the control channel, lifetimes, the display, the progress line.
 */
#ifndef SAMEPAGE_HV_JOBS_H
#define SAMEPAGE_HV_JOBS_H

#include <lib/types.h>

/*
 * run	one bounded step if it is time; `idle`: this CPU has no vCPU to run. True: more can be done
 *	at once
 * due	the tick by which an idle CPU must call run() again, TICK_NEVER
 */
struct job {
	const char *name;
	bool (*run)(bool idle);
	u64 (*due)(void);
};

/*
 * Owner of a CPU, no vCPU running on it, no locks held. One step of each job; true: one of them can
 * do more at once, so an idle CPU must not sleep.
 */
bool jobs_run(bool idle);
u64 jobs_due(void);

/* The tick by which a vCPU's turn ends for the sake of a job; TICK_NEVER: it has its slice. */
u64 jobs_turn_end(void);

#endif
