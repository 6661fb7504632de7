/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict.h: what the run loop does after an exit.
 */
#ifndef SAMEPAGE_HV_VERDICT_H
#define SAMEPAGE_HV_VERDICT_H

enum exit_verdict {
	EXIT_RESUME,	 /* enter the guest again, where it was or where an event takes it */
	EXIT_NEXT_INSN,	 /* the same, behind the instruction that exited */
	EXIT_RESCHEDULE, /* choose a vCPU afresh */
};

#endif
