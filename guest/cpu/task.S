/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.S: a 32-bit kernel that switches tasks by TSS (SDM vol. 3A, 8.3), as no 64-bit system can.
 * AMD-V lets it; under VT-x a task switch always exits, none is emulated, and the VM ends.
 */
#include <abi/machine.h>
#include <abi/multiboot.h>

#define CODE  0x08
#define DATA  0x10
#define FIRST 0x18
#define OTHER 0x20

	.code32
	.text
	.globl task_entry
	.balign 4
	.long MULTIBOOT_HEADER_MAGIC, 0, -MULTIBOOT_HEADER_MAGIC
task_entry:
	cld
	movl $stack_end, %esp
	lgdt gdt_pointer
	ljmp $CODE, $1f
1:	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $first_tss, %eax
	movl $gdt + FIRST, %edi
	call set_base
	movl $other_tss, %eax
	movl $gdt + OTHER, %edi
	call set_base
	movl $FIRST, %eax
	ltr %ax
	movl $before_text, %esi
	call puts
	ljmp $OTHER, $0
	movl $back_text, %esi		/* only an IRET of the other task would come here */
	call puts
	jmp end

other:
	movl $other_text, %esi
	call puts
end:	xorl %eax, %eax
	movl $MACHINE_PORT_EXIT, %edx
	outl %eax, %dx
1:	hlt
	jmp 1b

/* A base of 24 bits, %eax, into the descriptor at %edi. */
set_base:
	movw %ax, 2(%edi)
	shrl $16, %eax
	movb %al, 4(%edi)
	ret

puts:
	movl $MACHINE_PORT_UART, %edx
1:	lodsb
	testb %al, %al
	je 2f
	outb %al, %dx
	jmp 1b
2:	ret

before_text:	.asciz "a task is about to switch\n"
other_text:	.asciz "ok - the other task runs\n"
back_text:	.asciz "not ok - the switch came back\n"

	.data
	.balign 16
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
	.quad 0x0000890000000067, 0x0000890000000067	/* available 32-bit TSS, 104 bytes */
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
	.balign 16
first_tss:
	.fill 104, 1, 0
	.balign 16
other_tss:				/* SDM vol. 3A, figure 8-2 */
	.fill 8, 4, 0
	.long other, 2			/* EIP, EFLAGS */
	.fill 4, 4, 0
	.long stack_end, 0, 0, 0
	.long DATA, CODE, DATA, DATA, DATA, DATA
	.long 0, 0x00680000
	.fill 512, 1, 0
stack_end:
	.section .note.GNU-stack, "", @progbits
