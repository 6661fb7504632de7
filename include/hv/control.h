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
#include <mm/audit.h>

/* Finds the port. Before the VMs run; CPU 0. */
void control_start(void);

/* A job (jobs.h). Acts on CPU 0 only, and only where there is a port. */
bool control_poll(bool idle);
u64 control_alarm(void);

/* trace_dump=yes: sends the rings of the trace, when the VMs have ended. */
void control_send_trace(void);

/* The monitor: the keyboard comes to it; a byte of it. For terminal_start(). */
void monitor_open(void);
void monitor_type(char c);

/* The tick by which a turn of a vCPU on this CPU ends, because bytes are under way; TICK_NEVER. */
u64 control_turn_end(void);

/* A VM of the boot modules is not started; for the event `start`. Before control_start(). */
void control_vm_refused(const char *name);

/*
 * The machine ends. First the last figures, with the VMs still listed; then the last event and what
 * is left to send. Both wait for a reader that reads (CONTROL-1). CPU 0, no other CPU runs.
 *
 * faults	of the audits; audit: what they examined
 * frames_missing	free frames before the first VM, less those that are free now
 */
struct control_verdict {
	bool good;
	u64 faults;
	struct audit_report audit;
	s64 frames_missing;
};
void control_end_figures(void);
void control_end(const struct control_verdict *verdict);

#endif
