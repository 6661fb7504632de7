/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.S: the smallest kernel by Linux's 64-bit boot protocol (Linux,
 * Documentation/x86/boot.rst): checks the boot parameters, prints its command line and the first
 * line of its RAM disk, and ends its VM through the exit port.
 *
 *     file: | boot sector, setup header at 1f1h | code, loaded at 1 MiB: 64-bit entry at 200h in it |
 */
#include <abi/machine.h>
#include "bzimage_header.S"

#define PARAMS_RSDP	    0x070
#define PARAMS_E820_COUNT   0x1e8
#define PARAMS_RAMDISK	    0x218
#define PARAMS_RAMDISK_SIZE 0x21c
#define PARAMS_E820	    0x2d0
#define RSDP_SIGNATURE	    0x2052545020445352 /* "RSD PTR " */

	.code64
	.text
	setup_header 1
code:
	.org SETUP_SIZE + 0x200
	movl $stack, %esp
	movq %rsi, %rbx
	cld
	movl $hello, %esi
	call puts

	cmpl $HEADER_MAGIC, PARAMS_MAGIC(%rbx)
	movl $magic_text, %edi
	call report

	movq PARAMS_RSDP(%rbx), %rax
	movabsq $RSDP_SIGNATURE, %rcx
	cmpq %rcx, (%rax)
	movl $rsdp_text, %edi
	call report

	movl $memory_text, %edi
	call find_memory
	call report

	movl $line_text, %esi
	call puts
	movl PARAMS_COMMAND_LINE(%rbx), %esi
	call puts
	movl $ramdisk_text, %esi
	call puts
	movl PARAMS_RAMDISK(%rbx), %esi
	movl PARAMS_RAMDISK_SIZE(%rbx), %ecx
	call put_line

	movl failed, %eax
	movl $MACHINE_PORT_EXIT, %edx
	outl %eax, %dx
1:	cli
	hlt
	jmp 1b

/* ZF: one of the memory map's ranges is the RAM that begins at 1 MiB. */
find_memory:
	movzbl PARAMS_E820_COUNT(%rbx), %ecx
	leaq PARAMS_E820(%rbx), %rax
1:	decl %ecx
	js 2f
	cmpq $LOAD_AT, (%rax)
	leaq 20(%rax), %rax
	jne 1b
	cmpl $1, 16 - 20(%rax)
2:	ret

/* ZF: it went well. %edi: what. */
report:
	movl $ok_text, %esi
	je 1f
	incl failed
	movl $not_ok_text, %esi
1:	call puts
	movl %edi, %esi
puts:
	lodsb
	testb %al, %al
	je 2f
	movl $MACHINE_PORT_UART, %edx
	outb %al, %dx
	jmp puts
2:	ret

/* What is at %esi, %ecx bytes at most, until the line ends. */
put_line:
	movl $MACHINE_PORT_UART, %edx
1:	decl %ecx
	js 2f
	lodsb
	outb %al, %dx
	cmpb $'\n', %al
	jne 1b
2:	ret

hello:		.asciz "hello from a bzImage\n"
ok_text:	.asciz "ok - "
not_ok_text:	.asciz "not ok - "
magic_text:	.asciz "the boot parameters hold the setup header\n"
rsdp_text:	.asciz "they point at the RSDP\n"
memory_text:	.asciz "they name the memory from 1 MiB\n"
line_text:	.asciz "command line: "
ramdisk_text:	.asciz "\nRAM disk: "
	.balign 4
failed:		.long 0
	.balign 16
end:
	.set stack, LOAD_AT + INIT_SIZE
	.section .note.GNU-stack, "", @progbits
