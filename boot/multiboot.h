/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multiboot.h: the magic numbers of the Multiboot Specification 0.6.96 and of Multiboot2 2.0, for C
 * and assembly.
 */
#ifndef SAMEPAGE_BOOT_MULTIBOOT_H
#define SAMEPAGE_BOOT_MULTIBOOT_H

/* Multiboot 1: the header (3.1.1) and what the loader leaves in EAX (3.2). */
#define MB1_HEADER_MAGIC 0x1badb002
#define MB1_HEADER_FLAGS 0x00000003 /* modules page aligned, memory map requested */
#define MB1_LOADER_MAGIC 0x2badb002

/* Multiboot 2: the header (3.1.1), its tags (3.1.3), and what the loader leaves in EAX (3.2). */
#define MB2_HEADER_MAGIC	 0xe85250d6
#define MB2_ARCHITECTURE_I386	 0
#define MB2_HEADER_END		 0
#define MB2_HEADER_REQUEST	 1
#define MB2_HEADER_ALIGN_MODULES 6
#define MB2_HEADER_OPTIONAL	 1
#define MB2_LOADER_MAGIC	 0x36d76289

#endif
