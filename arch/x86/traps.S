/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traps.S: from an exception or interrupt to trap_handle(struct trap_frame *), and back.
 *
 * Each vector has a 16-byte stub that makes all stack frames alike: an error code (0 where the CPU pushes none) and the
 * vector. The layout below is struct trap_frame in <asm/traps.h>. RBP is handed on, so a backtrace goes through.
 */

/* Vectors whose error code the CPU pushes: 8, 10-14, 17, 21, 29, 30 (SDM vol. 3A, table 6-1; APM vol. 2, 8.2). */
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

	.type	trap_common, @function
trap_common:
	cld
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	call	trap_handle
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
