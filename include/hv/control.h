/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h: the control channel: requests and events, a JSON object a line, on the second serial
 * port. docs/control.md has the schema.
 *
 * CPU 0 polls the port between two turns of vCPUs, and does all of the channel's work; so nothing
 * here takes a lock, and a request never delays an exit.
 *
 * Invariants:
 * CONTROL-1  A reader that stalls costs its replies, which are dropped and counted; the machine
 *            does not wait for it, but for a second at its end.
 * CONTROL-2  Whatever a request's bytes are, the answer is one line, an error or a result, and the
 *            next line is a new request.
 */
#ifndef SAMEPAGE_HV_CONTROL_H
#define SAMEPAGE_HV_CONTROL_H

#include <lib/types.h>

/* Finds the port. Before the VMs run; CPU 0. */
void control_start(void);

/* A job (jobs.h). Acts on CPU 0 only, and only where there is a port. */
bool control_poll(bool idle);
u64 control_alarm(void);

/* trace_dump=yes: sends the rings of the trace, when the VMs have ended. */
void control_send_trace(void);

/* The machine ends: the last event, and what is left to send. */
void control_end(bool good);

#endif
