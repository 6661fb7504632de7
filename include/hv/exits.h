/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.h: what hv does about each reason a guest stops running. docs/exits.md has the table in
 * words.
 */
#ifndef SAMEPAGE_HV_EXITS_H
#define SAMEPAGE_HV_EXITS_H

#include <arch/exit.h>
#include <hv/verdict.h>
#include <hv/vm.h>

/* Owner, loaded, outside the guest; no locks held. */
typedef enum exit_verdict (*exit_handler)(struct vcpu *vcpu, const struct hv_exit *exit);

/* Indexed by enum hv_exit_reason; no entry is NULL. */
extern const exit_handler exit_handlers[HV_EXIT_REASONS];

/* Handlers that live in files of their own; pio.h and mmio.h have two more. */
enum exit_verdict exit_hypercall(struct vcpu *vcpu, const struct hv_exit *exit);

/*
 * The guest did what hv does not handle: dumps its state and stops its VM. Returns EXIT_RESCHEDULE.
 */
enum exit_verdict exit_unhandled(struct vcpu *vcpu, const struct hv_exit *exit, const char *what);

#endif
