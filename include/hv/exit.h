/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.h: names of exits, and the end of a VM by an exit that is not handled.
 */
#ifndef SAMEPAGE_HV_EXIT_H
#define SAMEPAGE_HV_EXIT_H

#include <arch/exit.h>
#include <hv/verdict.h>

struct vcpu;

/* The name of a reason, "cpuid"; "?" for a number out of range. Any context. */
const char *hv_exit_name(enum hv_exit_reason reason);

/*
 * The guest did what hv does not handle: dumps its state and stops its VM. Returns EXIT_RESCHEDULE.
 */
enum exit_verdict exit_unhandled(struct vcpu *vcpu, const struct hv_exit *exit, const char *what);

#endif
