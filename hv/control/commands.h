/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h: the steps of the commands, for table.c.
 */
#ifndef SAMEPAGE_HV_CONTROL_COMMANDS_H
#define SAMEPAGE_HV_CONTROL_COMMANDS_H

#include "hv/control/command.h"

/* vms.c */
enum command_step step_vms(struct command_call *call);
enum command_step step_vm(struct command_call *call);
enum command_step step_balloon(struct command_call *call);
enum command_step step_page(struct command_call *call);

/* memory.c */
enum command_step step_policy(struct command_call *call);
enum command_step step_merge(struct command_call *call);
enum command_step step_reclaim(struct command_call *call);
enum command_step step_audit(struct command_call *call);

/* trace.c: status, classes on or off, filters. */
#define TRACE_USAGE "[on|off CLASS,... | vm NAME|all | page GFN|FIRST-LAST|all]"
enum command_step step_trace(struct command_call *call);

/* The VM that the word names, held for the call; NULL: call->error. */
struct vm *command_vm(struct command_call *call, const char *name);

/* Word `at` as a number; false: call->error. */
bool command_number(struct command_call *call, unsigned at, u64 *out) __must_check;

#endif
