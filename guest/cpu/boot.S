/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.S: a disk with a boot sector for a VM with a BIOS. It uses nothing but the BIOS: prints by
 * INT 10h, reads the second sector by INT 13h, and checks there what the BIOS found of the machine.
 * Ends the VM through the exit port, with the number of checks that failed. The image is padded to
 * 1 MiB: a BIOS reads no disk that has not even one cylinder.
 */
#include <abi/machine.h>

#define MAP_ENTRY 0x600 /* of INT 15h, E820h */
#define SMAP	  0x534d4150
#define DISK_SIZE 0x100000

	.code16
	.text
	.globl boot_entry
boot_entry:
	cld
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	sti
	movw $hello, %si
	call puts

	cmpb $0x80, %dl
	movw $disk_text, %si
	call report

	movb $0x42, %ah			/* %dl: still the disk */
	movw $packet, %si
	int $0x13
	cmpl $0x33221100, second_mark
	movw $read_text, %si
	call report
	cmpw $0, failed
	je second
end:					/* the BIOS sends what is left of a line at a tick */
	hlt
	hlt
	movw failed, %ax
	movw $MACHINE_PORT_EXIT, %dx
	outw %ax, %dx
1:	cli
	hlt
	jmp 1b

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
	movb $0x0e, %ah
	movw $7, %bx
	int $0x10
	jmp puts
2:	ret

/* Of INT 13h, AH = 42h: one sector to 0:7e00, from LBA 1. */
	.balign 4
packet:		.byte 16, 0
		.word 1, second, 0
		.quad 1
failed:		.word 0
hello:		.asciz "hello from a boot sector\r\n"
ok_text:	.asciz "ok - "
not_ok_text:	.asciz "not ok - "
disk_text:	.asciz "the first disk was booted\r\n"
read_text:	.asciz "INT 13h reads the second sector\r\n"

	.org 510
	.word 0xaa55

second:
	int $0x12
	cmpw $600, %ax			/* KiB below the BIOS' own */
	jb 1f
	cmpw $640, %ax
	ja 1f
	cmpw %ax, %ax
1:	movw $low_text, %si
	call report

	call find_high
	cmpl $SMAP, %eax
	movw $map_text, %si
	call report

	/* A tick of the PIT, an interrupt through the PIC, ends each HLT: here in 3.4 ms. */
	movb $0x34, %al
	outb %al, $0x43
	xorb %al, %al
	outb %al, $0x40
	movb $0x10, %al
	outb %al, $0x40
	xorb %ah, %ah
	int $0x1a
	movw %dx, %bp
	hlt
	hlt
	xorb %ah, %ah
	int $0x1a
	subw %bp, %dx
	cmpw $2, %dx
	jb 1f
	cmpw %ax, %ax
1:	movw $tick_text, %si
	call report

	movw $0xb101, %ax		/* PCI BIOS */
	xorl %edx, %edx
	int $0x1a
	cmpl $0x20494350, %edx		/* "PCI " */
	movw $pci_text, %si
	call report

	call find_root
	movw $root_text, %si
	call report
	jmp end

/* ZF: F0000h to FFFFFh has the ACPI root pointer, and its sum is right. */
find_root:
	pushw $0xf000
	popw %es
	xorw %di, %di
1:	cmpl $0x20445352, %es:(%di)	/* "RSD " */
	jne 2f
	cmpl $0x20525450, %es:4(%di)	/* "PTR " */
	je 3f
2:	addw $16, %di
	jnz 1b
	incw %di
	jmp 5f
3:	xorw %ax, %ax
	movw $20, %cx
4:	addb %es:(%di), %al
	incw %di
	loop 4b
	testb %al, %al
5:	pushw $0
	popw %es
	ret

/* EAX is SMAP when a range of RAM begins at 1 MiB. */
find_high:
	xorl %ebx, %ebx
1:	movl $0xe820, %eax
	movl $SMAP, %edx
	movl $20, %ecx
	movw $MAP_ENTRY, %di
	int $0x15
	jc 2f
	cmpl $0x100000, MAP_ENTRY
	jne 3f
	cmpl $1, MAP_ENTRY + 16
	je 4f
3:	testl %ebx, %ebx
	jne 1b
2:	xorl %eax, %eax
4:	ret

low_text:	.asciz "INT 12h has the memory below 640 KiB\r\n"
map_text:	.asciz "INT 15h has the memory above 1 MiB\r\n"
tick_text:	.asciz "the timer interrupts in real mode\r\n"
pci_text:	.asciz "INT 1Ah finds the PCI bus\r\n"
root_text:	.asciz "F0000h has the ACPI root pointer\r\n"

	.org 1020
second_mark:	.long 0x33221100

	.org DISK_SIZE
	.section .note.GNU-stack, "", @progbits
