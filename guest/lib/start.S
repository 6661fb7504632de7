/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.S: how a guest kernel comes up: multiboot's 32-bit entry, long mode with 4 GiB
 * identity-mapped in 2 MiB pages, traps, and the way out of an expected fault.
 */
#include <abi/multiboot.h>

#define FLAGS	   (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY)
#define CR0_START  0x80010033 /* PG WP NE ET MP PE */
#define CR4_START  0x620      /* PAE OSFXSR OSXMMEXCPT */
#define MSR_EFER   0xc0000080
#define EFER_START 0x901      /* LME SCE NX */
#define CODE_64	   0x08
#define DATA	   0x10
#define USER_DATA  0x1b
#define USER_CODE  0x23

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_HEADER_MAGIC, FLAGS, -(MULTIBOOT_HEADER_MAGIC + FLAGS)

	.text
	.code32
	.globl guest_entry
guest_entry:
	cld
	movl $guest_stack_top, %esp
	movl %eax, %esi
	movl $CR4_START, %eax
	movl %eax, %cr4
	movl $guest_pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	movl $EFER_START, %eax
	xorl %edx, %edx
	wrmsr
	movl $CR0_START, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $CODE_64, $1f
	.code64
1:	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %esi, %edi
	movl %ebx, %esi
	xorl %ebp, %ebp
	call guest_start

/* Every vector pushes the same frame, struct guest_frame in guest.h. */
	.macro trap_stub vector
	.balign 16
	.if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21)
	pushq $0
	.endif
	pushq $\vector
	jmp trap_common
	.endm

	.altmacro
	.balign 16
	.globl guest_trap_stubs
guest_trap_stubs:
	.set vector, 0
	.rept 64
	trap_stub %vector
	.set vector, vector + 1
	.endr
	.noaltmacro

trap_common:
	.irp reg, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	push %\reg
	.endr
	cld
	movq %rsp, %rdi
	call guest_trap
	.irp reg, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	pop %\reg
	.endr
	addq $16, %rsp
	iretq

/*
 * u64 guest_call_catching(void (*function)(void *), void *argument, u64 *saved_rsp): 0, or 1 after
 * a fault.
 */
	.globl guest_call_catching, guest_caught
guest_call_catching:
	.irp reg, rbx, rbp, r12, r13, r14, r15
	push %\reg
	.endr
	pushq $0
	movq %rsp, (%rdx)
	movq %rdi, %rax
	movq %rsi, %rdi
	call *%rax
	xorl %eax, %eax
	jmp 2f
guest_caught: /* guest_trap() comes here by iretq, with the saved RSP */
	movl $1, %eax
2:	addq $8, %rsp
	.irp reg, r15, r14, r13, r12, rbp, rbx
	pop %\reg
	.endr
	ret

/*
 * void guest_enter_user(void (*function)(void)): ring 3, on its own stack; comes back by a fault
 * only.
 */
	.globl guest_enter_user
guest_enter_user:
	pushq $USER_DATA
	pushq $guest_user_stack_top - 8
	pushq $2
	pushq $USER_CODE
	pushq %rdi
	iretq

	.data
	.balign 4096
	.globl guest_pml4, guest_pdpt, guest_pd
guest_pml4:
	.quad guest_pdpt + 7
	.fill 511, 8, 0
guest_pdpt:
	.quad guest_pd + 7, guest_pd + 0x1007, guest_pd + 0x2007, guest_pd + 0x3007
	.fill 508, 8, 0
guest_pd:
	.set at, 0
	.rept 2048
	.quad at + 0x87
	.set at, at + 0x200000
	.endr

	.globl guest_gdt
	.balign 8
guest_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08 code, 64 bit */
	.quad 0x00cf93000000ffff	/* 0x10 data */
	.quad 0x00cff3000000ffff	/* 0x18 data, ring 3 */
	.quad 0x00affb000000ffff	/* 0x20 code, 64 bit, ring 3 */
	.quad 0, 0			/* 0x28 TSS, filled in by trap.c */
gdt_pointer:
	.word . - guest_gdt - 1
	.quad guest_gdt

	.bss
	.balign 16
	.skip 16384
guest_stack_top:
	.skip 4096
guest_user_stack_top:

	.section .note.GNU-stack, "", @progbits
