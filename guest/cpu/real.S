/* SPDX-License-Identifier: Apache-2.0 */
/*
 * real.S: a guest that never leaves real mode: prints, takes a software interrupt, a divide error
 * and a #GP without error code, reaches over 1 MiB (A20 is on), reads a CPUID leaf, and ends its VM
 * through the exit port.
 */
#include <abi/machine.h>

#define VECTOR 0x40

	.code16
	.text
	.globl real_entry
real_entry:
	cld
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	movw $interrupt, VECTOR * 4
	movw %ax, VECTOR * 4 + 2
	movw $divide, 0
	movw %ax, 2
	movw $protection, 13 * 4
	movw %ax, 13 * 4 + 2
	movw $hello, %si
	call puts

	int $VECTOR
	cmpw $1, taken
	movw $int_text, %si
	call report

	movw $1, %ax
	xorw %dx, %dx
	xorw %cx, %cx
	divw %cx			/* #DE: the handler skips it */
	cmpw $2, taken
	movw $divide_text, %si
	call report

	movw %sp, stack
	movl $0xbeef, %ecx		/* no such MSR */
bad_rdmsr: rdmsr
behind_rdmsr:
	cmpw $3, taken
	movw $frame_text, %si
	call report

	movb $0x55, 0x500
	movw $0xffff, %ax
	movw %ax, %es
	movb $0xaa, %es:0x510		/* 100500h, or 500h if it wrapped */
	cmpb $0x55, 0x500
	movw $a20_text, %si
	call report

	movl $MACHINE_CPUID_SIGNATURE, %eax
	cpuid
	cmpl $0x656d6153, %ebx		/* "Same" */
	movw $cpuid_text, %si
	call report

	movw $string_text, %si
	movw $string_end - string_text, %cx
	movw $MACHINE_PORT_UART, %dx
	rep outsb
	cmpw $string_end, %si
	movw $outs_text, %si
	call report

	movw $0x600, %di
	movw $6, %cx
	movw $0x1234, %dx		/* no device: all ones */
	xorw %ax, %ax
	movw %ax, %es
	std
	rep insw
	cld
	cmpw $0x600 - 12, %di
	jne 1f
	cmpw $0xffff, 0x600 - 10
1:	movw $ins_text, %si
	call report

	movw failed, %ax
	movw $MACHINE_PORT_EXIT, %dx
	outw %ax, %dx
1:	cli
	hlt
	jmp 1b

interrupt:
	incw taken
	iretw

divide:
	incw taken
	pushw %bp
	movw %sp, %bp
	addw $2, 2(%bp)			/* behind the DIV */
	popw %bp
	iretw

/* Real mode pushes FLAGS, CS and IP, and no error code. The stack is set back whatever it was. */
protection:
	movw %sp, %bp
	movw stack, %ax
	subw %bp, %ax
	cmpw $6, %ax
	jne 1f
	cmpw $bad_rdmsr, (%bp)
	jne 1f
	movw %cs, %ax
	cmpw %ax, 2(%bp)
	jne 1f
	incw taken
1:	movw stack, %sp
	jmp behind_rdmsr

/* ZF: it went well. %si: what. */
report:
	pushw %si
	movw $ok_text, %si
	je 1f
	incw failed
	movw $not_ok_text, %si
1:	call puts
	popw %si
puts:
	lodsb
	testb %al, %al
	je 2f
	movw $MACHINE_PORT_UART, %dx
	outb %al, %dx
	jmp puts
2:	ret

hello:		.asciz "hello from real mode\n"
ok_text:	.asciz "ok - "
not_ok_text:	.asciz "not ok - "
int_text:	.asciz "a software interrupt comes and returns\n"
divide_text:	.asciz "a division by zero comes through vector 0\n"
frame_text:	.asciz "#GP has a frame of three words in real mode\n"
a20_text:	.asciz "addresses do not wrap at 1 MiB\n"
string_text:	.ascii "printed by rep outsb\n"
string_end:
outs_text:	.asciz "rep outsb moved SI\n"
ins_text:	.asciz "rep insw went down and moved DI\n"
cpuid_text:	.asciz "CPUID shows the hypervisor\n"
	.balign 2
taken:		.word 0
stack:		.word 0
failed:		.word 0
	.section .note.GNU-stack, "", @progbits
