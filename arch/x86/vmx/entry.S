/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.S: into the guest and back.
 *
 * In: RDI struct arch_vcpu *, RSI struct vmx_host *. Out: RDI, RDX, RBX, RBP, R12 to R15 as before;
 * CF set when VMLAUNCH or VMRESUME failed. All other registers are lost.
 *
 * The CPU switches RIP, RSP, RFLAGS, segments and control registers by the VMCS; the other fifteen
 * registers are switched here; run.c checks the layouts. The callee-saved ones are saved here and
 * not by the compiler, so that an exit reloads them at once and only the others have to be cleared.
 * HOST_RSP differs from what was written last only after a load or from another depth of calls;
 * then it is looked up whether the VMCS is launched.
 */
#include "fields.h"

	.section .text.vmx_enter, "ax"
	.globl	vmx_enter, vmx_exit_point
vmx_enter:
	.irp	r, rbp, rbx, r12, r13, r14, r15, rdx
	push	%\r
	.endr
	push	%rdi
	cmp	%rsp, (%rsi)			/* equal: CF is 0, and lives through the MOVs */
	jne	5f
1:	mov	0x00(%rdi), %rax
	mov	0x08(%rdi), %rcx
	mov	0x10(%rdi), %rdx
	mov	0x18(%rdi), %rbx
	mov	0x28(%rdi), %rbp
	mov	0x30(%rdi), %rsi
	.irp	r, 8, 9, 10, 11, 12, 13, 14, 15
	mov	8*\r(%rdi), %r\r
	.endr
	mov	0x38(%rdi), %rdi
	jc	2f
	vmresume
	jmp	3f
2:	vmlaunch
3:	stc					/* it failed: no guest ran */
	jmp	4f
5:	mov	%rsp, (%rsi)
	mov	$VMCS_HOST_RSP_ENCODING, %eax
	vmwrite	%rsp, %rax
	jbe	3b
	cmpb	$1, 8(%rsi)			/* CF: not launched */
	movb	$1, 8(%rsi)
	jmp	1b

vmx_exit_point:					/* HOST_RIP; gpr[] is on the stack */
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, 0x00(%rdi)
	mov	%rcx, 0x08(%rdi)
	mov	%rdx, 0x10(%rdi)
	mov	%rbx, 0x18(%rdi)
	mov	%rbp, 0x28(%rdi)
	mov	%rsi, 0x30(%rdi)
	.irp	r, 8, 9, 10, 11, 12, 13, 14, 15
	mov	%r\r, 8*\r(%rdi)
	.endr
	pop	0x38(%rdi)
	.irp	r, eax, ecx, esi, r8d, r9d, r10d, r11d
	xor	%\r, %\r		/* no guest value is left to speculate with; CF is 0 */
	.endr
4:	.irp	r, rdi, rdx, r15, r14, r13, r12, rbx, rbp
	pop	%\r
	.endr
	ret
