/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traps.S: from an exception or interrupt to trap_handle(struct trap_frame *), and back.
 *
 * Each vector has a 16-byte stub that makes all stack frames alike: an error code (0 where the CPU
 * pushes none: all but 8, 10-14, 17, 21, 29 and 30; SDM vol. 3A table 6-1, APM vol. 2 8.2) and the
 * vector. RBP is kept, so that a backtrace goes through.
 */
#define HAS_ERROR_CODE 0x60227d00

	.text
	.globl	trap_stubs
	.balign	16
trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	.if	vector >= 32 || !((HAS_ERROR_CODE >> vector) & 1)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	vector = vector + 1
	.endr

	.globl	trap_return
	.type	trap_common, @function
trap_common:
	cld
	.irp	r, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	pushq	%\r
	.endr
	movq	%rsp, %rdi
	call	trap_handle
trap_return:
	.irp	r, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	popq	%\r
	.endr
	addq	$16, %rsp
	iretq
	.section .note.GNU-stack, "", @progbits
