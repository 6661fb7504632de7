/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h: lines without a request: start, vm-end, sample, end. CPU 0.
 */
#ifndef SAMEPAGE_HV_CONTROL_EVENTS_H
#define SAMEPAGE_HV_CONTROL_EVENTS_H

#include <hv/control.h>

/* Before the VMs run. The first line is sent by events_step(). */
void events_start(void);

/* Sends one line that is due; false: there is none. The channel has room. */
bool events_step(u64 now);

/* A line of the machine's end; false: that was the last. The VMs are still listed. */
bool events_end_figures(void);
void events_end(const struct control_verdict *verdict);

#endif
