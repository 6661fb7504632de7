/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trampoline.S: from the real mode a SIPI leaves a CPU in to C.
 *
 * The first half runs as a copy at the start of a page below 1 MiB, with CS its segment, and refers
 * to the page by offset only. It goes from real mode straight to long mode (PE and PG may be set at
 * once) on boot_pml4, which maps the page, .boot and the image. The rest needs no copy.
 */
#include <asm/image.h>
#include <asm/trampoline.h>
#include "boot.h"

	.section .rodata.trampoline, "a"
	.code16
	.globl	trampoline_code, trampoline_code_end
trampoline_code:
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %ebx
	shll	$4, %ebx
	movl	$CR4_PAE_BIT, %eax
	movl	%eax, %cr4
	movl	$PHYS(boot_pml4), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER_INDEX, %ecx
	movl	TRAMPOLINE_START + TRAMPOLINE_EFER, %eax
	xorl	%edx, %edx
	wrmsr
	lgdtl	trampoline_gdt_pointer - trampoline_code
	movl	$CR0_VALUE, %eax
	movl	%eax, %cr0
	ljmpl	$BOOT_CS, $trampoline_long
trampoline_gdt_pointer:
	.short	23
	.long	PHYS(boot_gdt)
trampoline_code_end:

	.section .boot, "ax"
	.code64
trampoline_long:
	movl	%ebx, %ebx
	addq	$TRAMPOLINE_START, %rbx
	movq	TRAMPOLINE_STACK(%rbx), %rsp
	movq	TRAMPOLINE_CR3(%rbx), %rax
	movq	TRAMPOLINE_ENTRY(%rbx), %rdx
	movq	TRAMPOLINE_ARGUMENT(%rbx), %rdi
	movabsq	$trampoline_high, %rcx
	jmp	*%rcx

	.text
trampoline_high:
	movq	%rax, %cr3
	jmp	enter_c
