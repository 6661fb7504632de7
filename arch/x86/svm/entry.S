/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.S: into the guest and out of it; run.c says what happens here and why.
 *
 * RDI = struct arch_vcpu, which begins with the sixteen general registers in encoding order; RAX =
 * the guest's VMCB as a machine address. GIF is set and interrupts are off, on the way in and out.
 * Returns the struct svm_vcpu in RDI and the exit code in RCX; keeps RDX, RBX, RBP, RSP, R12 to
 * R15: an exit reloads them from the stack at once, and only the others have to be cleared.
 *
 * run.c checks the offsets.
 */
#define VCPU_SVM      0x90
#define SVM_EXIT_CODE 0x70
#define SVM_RAX	      0x5f8
#define SVM_HOST_VMCB 0x1008

	.macro guest_registers load
	n = 1
	.irp r, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	.ifnc \r, rsp
	.if \load
	.ifnc \r, rdi
	mov	n*8(%rdi), %\r
	.endif
	.else
	mov	%\r, n*8(%rax)
	.endif
	.endif
	n = n + 1
	.endr
	.endm

	.section .text.svm_entry, "ax"
	.globl	svm_entry
	.type	svm_entry, @function
svm_entry:
	.irp r, rbp, rbx, r12, r13, r14, r15, rdx, rdi
	push	%\r
	.endr
	clgi
	sti
	vmload	%rax
	guest_registers 1
	mov	7*8(%rdi), %rdi
	vmrun	%rax
	vmsave	%rax
	pop	%rax
	guest_registers 0
	mov	VCPU_SVM(%rax), %rdi		/* RDI and RCX are loaded: no clear */
	mov	SVM_RAX(%rdi), %rcx
	mov	%rcx, (%rax)
	mov	SVM_HOST_VMCB(%rdi), %rax
	vmload	%rax
	mov	SVM_EXIT_CODE(%rdi), %rcx
	.irp r, esi, r8d, r9d, r10d, r11d
	xor	%\r, %\r			/* no guest value is left to speculate with */
	.endr
	.irp r, rdx, r15, r14, r13, r12, rbx, rbp
	pop	%\r
	.endr
	cli
	stgi
	ret
	.size	svm_entry, . - svm_entry
	.section .note.GNU-stack, "", @progbits
