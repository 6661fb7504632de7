/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.h: the table of exit handlers, one for each reason. docs/exits.md has it in words.
 */
#ifndef SAMEPAGE_HV_EXITS_H
#define SAMEPAGE_HV_EXITS_H

#include <hv/exit.h>
#include <hv/vm.h>

/* Owner, loaded, outside the guest; no locks held. */
typedef enum exit_verdict (*exit_handler)(struct vcpu *vcpu, const struct hv_exit *exit);

/* Indexed by enum hv_exit_reason; no entry is NULL. */
extern const exit_handler exit_handlers[HV_EXIT_REASONS];

/*
 * Owner, no locks held. There is no frame for the vCPU or its VM's devices: it may go on, or leaves
 * the CPU to rest.
 */
enum exit_verdict exit_out_of_memory(struct vcpu *vcpu, enum frame_waiter waiter);

#endif
