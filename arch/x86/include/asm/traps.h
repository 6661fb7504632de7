/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traps.h: what an exception or interrupt leaves on the stack.
 */
#ifndef SAMEPAGE_ASM_TRAPS_H
#define SAMEPAGE_ASM_TRAPS_H

#include <lib/types.h>

/* Pushed by traps.S from the end of this struct downward; from `rip` on by the CPU (SDM vol.
 * 3A, 6.14.2). */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error_code;
	u64 rip, cs, rflags, rsp, ss;
};

/* One stub of 16 bytes for each vector. */
#define TRAP_STUB_SIZE 16
extern const char trap_stubs[];

void trap_handle(struct trap_frame *frame);

/* Where trap_handle() returns to; its frame lies just above that address on the stack. */
extern const char trap_return[];

/* "#PF page fault" for 14; "interrupt" where the manual names no exception. */
const char *trap_name(u64 vector);

#endif
