/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.S: into the guest and back.
 *
 * unsigned vmx_enter(u64 *gpr, u64 *host_rsp, bool launched)
 *
 * The CPU switches RIP, RSP, RFLAGS, segments and control registers by the VMCS; the other fifteen
 * general registers are switched here. gpr[] is indexed by enum guest_gpr, checked in run.c.
 * HOST_RSP is written only when it differs from what was written last: the run loop calls from one
 * depth. After an exit no register holds a guest's value when C goes on: less to speculate with.
 */
#include "fields.h"

#define RAX 0x00
#define RCX 0x08
#define RDX 0x10
#define RBX 0x18
#define RBP 0x28
#define RSI 0x30
#define RDI 0x38

	.section .text.vmx_enter, "ax"
	.globl	vmx_enter, vmx_exit_point
	.type	vmx_enter, @function
vmx_enter:
	push	%rbp
	mov	%rsp, %rbp
	.irp	r, rbx, r12, r13, r14, r15, rdi
	push	%\r
	.endr
	cmp	%rsp, (%rsi)
	je	1f
	mov	%rsp, (%rsi)
	mov	$VMCS_HOST_RSP_ENCODING, %eax
	vmwrite	%rsp, %rax
	jbe	3f
1:	test	%dl, %dl			/* ZF lives until the jump below: MOV keeps flags */
	.irp	r, 8, 9, 10, 11, 12, 13, 14, 15
	mov	8*\r(%rdi), %r\r
	.endr
	mov	RAX(%rdi), %rax
	mov	RCX(%rdi), %rcx
	mov	RDX(%rdi), %rdx
	mov	RBX(%rdi), %rbx
	mov	RBP(%rdi), %rbp
	mov	RSI(%rdi), %rsi
	mov	RDI(%rdi), %rdi
	jz	2f
	vmresume
	jmp	3f
2:	vmlaunch
3:	pop	%rdi				/* only a failed instruction comes here */
	mov	$1, %eax
	jmp	4f

vmx_exit_point:					/* HOST_RIP; on the stack gpr[] */
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, RAX(%rdi)
	mov	%rcx, RCX(%rdi)
	mov	%rdx, RDX(%rdi)
	mov	%rbx, RBX(%rdi)
	mov	%rbp, RBP(%rdi)
	mov	%rsi, RSI(%rdi)
	.irp	r, 8, 9, 10, 11, 12, 13, 14, 15
	mov	%r\r, 8*\r(%rdi)
	.endr
	pop	%rax
	mov	%rax, RDI(%rdi)
	pop	%rdi
	.irp	r, eax, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
	xor	%\r, %\r
	.endr
4:	.irp	r, r15, r14, r13, r12, rbx, rbp
	pop	%\r
	.endr
	ret
	.size	vmx_enter, . - vmx_enter
	.section .note.GNU-stack, "", @progbits
