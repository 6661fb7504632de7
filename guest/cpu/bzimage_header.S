/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage_header.S: the boot sector and the setup header of a kernel by Linux's boot protocol
 * (Linux, Documentation/x86/boot.rst), for the guests that include it.
 */
#define SETUP_SECTORS 1
#define SETUP_SIZE    0x400
#define LOAD_AT	      0x100000 /* the linker puts .text at LOAD_AT - SETUP_SIZE */
#define INIT_SIZE     0x10000

#define PARAMS_MAGIC	    0x202
#define PARAMS_COMMAND_LINE 0x228
#define HEADER_MAGIC	    0x53726448 /* "HdrS" */

/* At the start of .text; the code follows, from `code` to `end`. */
.macro setup_header xloadflags
	.globl bzimage_start
bzimage_start:
	.org 0x1f1
	.byte SETUP_SECTORS
	.org 0x1f4
	.long (end - code) / 16		/* syssize */
	.org 0x1fe
	.word 0xaa55
	.byte 0xeb, header_end - magic	/* a jump over the header: its length */
magic:	.long HEADER_MAGIC
	.word 0x20c			/* version 2.12 */
	.org 0x211
	.byte 1				/* loaded high */
	.org 0x22c
	.long 0x7fffffff		/* initrd_addr_max */
	.org 0x236
	.word \xloadflags		/* 1: a 64-bit entry */
	.org 0x258
	.quad LOAD_AT			/* pref_address */
	.long INIT_SIZE
	.org 0x268
header_end:
	.org SETUP_SIZE
.endm
