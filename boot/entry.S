/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.S: from the boot loader's 32-bit protected mode to boot_main() in long mode.
 *
 * A multiboot loader (1 or 2, BIOS or UEFI) enters with paging off, interrupts off, flat segments,
 * its magic in EAX and the machine address of its information in EBX; nothing else may be relied
 * on, not even a GDT or a stack (Multiboot 3.2, Multiboot2 3.3). EBP and ESI carry magic and
 * information through to boot_main(magic, information).
 */
#include <asm/image.h>
#include "boot.h"

#define EFLAGS_ID    0x00200000
#define CPUID_LM     0x20000000 /* CPUID.80000001H:EDX[29] */
#define COM1	     0x3f8
#define DEBUG_PORT   0xe9
#define QEMU_EXIT    0xf4 /* as arch/x86/end.c */
#define QEMU_FAILURE 0x11

	.section .boot, "ax"
	.code32
	.globl	boot_entry
boot_entry:
	cli
	cld
	movl	%eax, %ebp
	movl	%ebx, %esi
	rdtsc
	movl	%eax, PHYS(boot_entry_ticks)
	movl	%edx, PHYS(boot_entry_ticks) + 4
	movl	$PHYS(image_bss_start), %edi
	movl	$PHYS(image_bss_end), %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb
	movl	$PHYS(boot_stack_top), %esp

	/* CPUID exists if EFLAGS.ID can be toggled (SDM vol. 1, 20.1.2). */
	pushfl
	popl	%eax
	movl	%eax, %ecx
	xorl	$EFLAGS_ID, %eax
	pushl	%eax
	popfl
	pushfl
	popl	%eax
	cmpl	%eax, %ecx
	je	no_long_mode
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	testl	$CPUID_LM, %edx
	jz	no_long_mode

	movl	$PHYS(boot_pd), %edi
	movl	$TABLE_2M_LEAF, %eax
1:	movl	%eax, (%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	jnc	1b
	movl	$PHYS(boot_pml4), %eax
	movl	%eax, %cr3
	movl	$CR4_PAE_BIT, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER_INDEX, %ecx
	rdmsr
	orl	$EFER_LME_BIT, %eax
	wrmsr
	movl	$CR0_VALUE, %eax
	movl	%eax, %cr0
	lgdt	PHYS(boot_gdt_pointer)
	ljmpl	$BOOT_CS, $long_mode
	.code64
long_mode:
	movabsq	$boot_high, %rax
	jmp	*%rax

	/*
	 * Says why on the debug port and on COM1 (115200 8N1). A port that is not there reads
	 * ready.
	 */
	.code32
no_long_mode:
	movl	$no_long_mode_text, %esi
	movw	$COM1 + 3, %dx
	movb	$0x80, %al
	outb	%al, %dx
	movw	$COM1, %dx
	movw	$0x0001, %ax
	outw	%ax, %dx
	movw	$COM1 + 3, %dx
	movb	$0x03, %al
	outb	%al, %dx
1:	lodsb
	testb	%al, %al
	jz	3f
	outb	%al, $DEBUG_PORT
	movb	%al, %bl
	movw	$COM1 + 5, %dx
2:	inb	%dx, %al
	testb	$0x20, %al
	jz	2b
	movw	$COM1, %dx
	movb	%bl, %al
	outb	%al, %dx
	jmp	1b
3:	movb	$QEMU_FAILURE, %al
	outb	%al, $QEMU_EXIT
4:	hlt
	jmp	4b
no_long_mode_text:
	.asciz	"samepage: this CPU has no 64-bit mode (CPUID.80000001H:EDX[29]); an x86-64 CPU is needed\r\n"

	/* The TSC at the entry; not in .bss, which is cleared after that. */
	.data
	.balign	8
	.globl	boot_entry_ticks
boot_entry_ticks:
	.quad	0

	.text
	.code64
boot_high:
	movq	$boot_stack_top, %rsp
	movl	%ebp, %edi
	movl	%esi, %esi
	movq	$boot_main, %rdx

	/*
	 * Calls RDX(RDI, RSI) on this stack. Its first act is desc_load(), which loads all
	 * segments.
	 */
	.globl	enter_c
enter_c:
	xorl	%ebp, %ebp
	call	*%rdx
	ud2
