/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.S: from the boot loader's 32-bit protected mode to boot_main() in long mode.
 *
 * A multiboot loader (1 or 2, BIOS or UEFI) enters with paging off, interrupts off, flat segments, its magic in EAX and
 * the machine address of its information in EBX; nothing else may be relied on, not even a GDT or a stack
 * (Multiboot 3.2, Multiboot2 3.3). EBP and ESI carry magic and information through to boot_main(magic, information).
 */
#include <asm/image.h>
#include "multiboot.h"

#define PHYS(symbol) ((symbol) - IMAGE_BASE)
#define MSR_EFER     0xc0000080
#define EFER_LME     0x00000100
#define CR4_PAE	     0x00000020
#define CR0_PG_WP_PE 0x80010001
#define EFLAGS_ID    0x00200000
#define CPUID_LM     0x20000000 /* CPUID.80000001H:EDX[29] */
#define COM1	     0x3f8
#define DEBUG_PORT   0xe9
#define BOOT_CS	     0x08

	.section .boot.header, "a"
	.balign 8
mb2_header:
	.long	MB2_HEADER_MAGIC, MB2_ARCHITECTURE_I386, mb2_header_end - mb2_header
	.long	-(MB2_HEADER_MAGIC + MB2_ARCHITECTURE_I386 + (mb2_header_end - mb2_header))
	.short	MB2_HEADER_ALIGN_MODULES, 0
	.long	8
	.short	MB2_HEADER_END, 0
	.long	8
mb2_header_end:
mb1_header:
	.long	MB1_HEADER_MAGIC, MB1_HEADER_FLAGS, -(MB1_HEADER_MAGIC + MB1_HEADER_FLAGS)

	.section .boot, "ax"
	.code32
	.globl	boot_entry
boot_entry:
	cli
	cld
	movl	%eax, %ebp
	movl	%ebx, %esi
	movl	$PHYS(image_bss_start), %edi
	movl	$PHYS(image_bss_end), %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb
	movl	$PHYS(boot_stack_top), %esp

	/* CPUID exists if EFLAGS.ID can be toggled (SDM vol. 1, 20.1.2); long mode if CPUID says so. */
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

	movl	$PHYS(boot_pml4), %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG_WP_PE, %eax
	movl	%eax, %cr0
	lgdt	PHYS(boot_gdt_pointer)
	ljmpl	$BOOT_CS, $long_mode
	.code64
long_mode:
	movabsq	$boot_high, %rax
	jmp	*%rax

	/* Says why on the debug port and on COM1 (115200 8N1), then stops. A port that is not there reads 0xff: ready. */
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
3:	hlt
	jmp	3b
no_long_mode_text:
	.asciz	"samepage: this CPU has no 64-bit mode (CPUID.80000001H:EDX[29]); an x86-64 CPU is needed\r\n"

	.text
	.code64
boot_high:
	movq	$boot_stack_top, %rsp
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	%ebp, %edi
	movl	%esi, %esi
	xorl	%ebp, %ebp
	call	boot_main
	ud2

	.section .rodata
	.balign 8
	.globl	boot_gdt
boot_gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
	.short	. - boot_gdt - 1
	.quad	PHYS(boot_gdt)

/* Present, writable (and a 2 MiB leaf): SDM vol. 3A, 4.5.4. The four directories serve all three mappings. */
#define TABLE 0x003
#define LEAF  0x083
	.data
	.balign 4096
	.globl	boot_pml4
boot_pml4:
	.quad	PHYS(boot_pdpt) + TABLE
	.fill	255, 8, 0
	.quad	PHYS(boot_pdpt) + TABLE
	.fill	254, 8, 0
	.quad	PHYS(boot_pdpt_image) + TABLE
boot_pdpt:
	.quad	PHYS(boot_pd) + TABLE, PHYS(boot_pd) + 0x1000 + TABLE
	.quad	PHYS(boot_pd) + 0x2000 + TABLE, PHYS(boot_pd) + 0x3000 + TABLE
	.fill	508, 8, 0
boot_pdpt_image:
	.fill	510, 8, 0
	.quad	PHYS(boot_pd) + TABLE, 0
boot_pd:
	.set	address, LEAF
	.rept	2048
	.quad	address
	.set	address, address + 0x200000
	.endr

	.bss
	.balign 4096
	.globl	boot_stack_guard, boot_stack_bottom, boot_stack_top
boot_stack_guard:
	.skip	4096
boot_stack_bottom:
	.skip	16384
boot_stack_top:
