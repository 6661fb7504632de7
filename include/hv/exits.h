/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.h: what hv does about each reason a guest stops running. docs/exits.md has the table in
 * words.
 */
#ifndef SAMEPAGE_HV_EXITS_H
#define SAMEPAGE_HV_EXITS_H

#include <arch/exit.h>
#include <hv/vm.h>

/* What the run loop does next. */
enum exit_verdict {
	EXIT_RESUME,	 /* enter the guest again, where it was or where an event takes it */
	EXIT_NEXT_INSN,	 /* the same, behind the instruction that exited */
	EXIT_RESCHEDULE, /* choose a vCPU afresh */
};

/* Owner, loaded, outside the guest; no locks held. */
typedef enum exit_verdict (*exit_handler)(struct vcpu *vcpu, const struct hv_exit *exit);

/* Indexed by enum hv_exit_reason; no entry is NULL. */
extern const exit_handler exit_handlers[HV_EXIT_REASONS];

/* Handlers that live in files of their own. */
enum exit_verdict exit_pio(struct vcpu *vcpu, const struct hv_exit *exit);
enum exit_verdict exit_hypercall(struct vcpu *vcpu, const struct hv_exit *exit);

/*
 * The guest did what hv does not handle: dumps its state and stops its VM. Returns EXIT_RESCHEDULE.
 */
enum exit_verdict exit_unhandled(struct vcpu *vcpu, const struct hv_exit *exit, const char *what);

#endif
