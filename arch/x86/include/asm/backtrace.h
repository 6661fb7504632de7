/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtrace.h: the CPU's place and its callers, by the frame pointers they saved.
 */
#ifndef SAMEPAGE_ASM_BACKTRACE_H
#define SAMEPAGE_ASM_BACKTRACE_H

#include <lib/types.h>

struct place {
	u64 rip, rsp, rbp;
};

/*
 * Visits the place itself and its callers, innermost first; `returned`: it is a return address, so
 * the call lies before it. Reads stacks of this hypervisor only and ends at whatever is no frame,
 * so it never faults. Any context.
 */
void backtrace_walk(const struct place *from, void (*visit)(u64 address, bool returned));

#endif
