/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage32.S: a kernel by Linux's 32-bit boot protocol (Linux, Documentation/x86/boot.rst): checks
 * how it was entered and the boot parameters, prints its command line, and ends its VM.
 */
#include <abi/machine.h>
#include "bzimage_header.S"

#define CR0_PG		    0x80000000

	.code32
	.text
	setup_header 0
code:
	movl $stack, %esp
	cld
	movl %esi, %ebx
	movl $hello, %esi
	call puts

	movl %cr0, %eax
	testl $CR0_PG, %eax
	movl $paging_text, %edi
	call report
	movl %cs, %eax
	cmpl $0x10, %eax
	movl $selector_text, %edi
	call report
	movl %ds, %eax
	movl %eax, %es			/* the descriptors are there, and not the registers alone */
	ljmp $0x10, $1f
1:	cmpl $HEADER_MAGIC, PARAMS_MAGIC(%ebx)
	movl $magic_text, %edi
	call report

	movl $line_text, %esi
	call puts
	movl PARAMS_COMMAND_LINE(%ebx), %esi
	call puts
	movl $new_line, %esi
	call puts

	movl failed, %eax
	movl $MACHINE_PORT_EXIT, %edx
	outl %eax, %dx
1:	cli
	hlt
	jmp 1b

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

hello:		.asciz "hello from a 32-bit bzImage\n"
ok_text:	.asciz "ok - "
not_ok_text:	.asciz "not ok - "
paging_text:	.asciz "paging is off\n"
selector_text:	.asciz "CS is 10h\n"
magic_text:	.asciz "the boot parameters hold the setup header\n"
line_text:	.asciz "command line: "
new_line:	.asciz "\n"
	.balign 4
failed:		.long 0
	.fill 512, 1, 0
stack:
	.balign 16
end:
	.section .note.GNU-stack, "", @progbits
