/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.c: the table of jobs. A step of each is bounded: a ready vCPU waits for one of each at most.
 */
#include <hv/jobs.h>
#include <arch/ticks.h>
#include <hv/control.h>
#include <hv/display.h>
#include <hv/lifetime.h>
#include <hv/merging.h>
#include <hv/mirrors.h>
#include <hv/progress.h>
#include <hv/terminal.h>
#include <hv/virtio.h>

static const struct job jobs[] = {
	{"merging", merging_step, merging_alarm}, {"terminal", terminal_poll, terminal_alarm},
	{"control", control_poll, control_alarm}, {"lifetime", lifetime_poll, lifetime_alarm},
	{"display", display_poll, display_alarm}, {"progress", progress_poll, progress_alarm},
	{"virtio", virtio_poll, virtio_alarm},	  {"mirrors", mirrors_poll, mirrors_alarm},
};

bool jobs_run(bool idle)
{
	bool more = false;

	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		more |= jobs[i].run(idle);
	return more;
}

u64 jobs_due(void)
{
	u64 due = TICK_NEVER;

	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		due = MIN(due, jobs[i].due());
	return due;
}

u64 jobs_turn_end(void)
{
	return control_turn_end();
}
