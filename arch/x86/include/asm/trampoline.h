/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trampoline.h: starting an application processor, from the real mode a SIPI leaves it in to a C
 * function.
 *
 *     trampoline_prepare(info->trampoline, &start);     copies the code and `start` to the page
 *     INIT, SIPI with vector page >> 12                 the CPU: 16 bit, 64 bit on boot_pml4, start.cr3
 *     start.entry(start.argument)                       on start.stack, interrupts off
 *
 * One CPU at a time: the page holds one `start`, and may be prepared again once the entry function
 * runs.
 */
#ifndef SAMEPAGE_ASM_TRAMPOLINE_H
#define SAMEPAGE_ASM_TRAMPOLINE_H

/* Where struct trampoline_start lies in the page, and its members in it. */
#define TRAMPOLINE_START    0x100
#define TRAMPOLINE_EFER	    0
#define TRAMPOLINE_CR3	    8
#define TRAMPOLINE_STACK    16
#define TRAMPOLINE_ENTRY    24
#define TRAMPOLINE_ARGUMENT 32

#ifndef __ASSEMBLER__
#include <arch/addr.h>

/*
 * efer		loaded before paging is on; LME is added, LMA masked. NXE must be in it if the tables
 * 		use NX
 * cr3		the tables the CPU goes on with; they map the image and the stack. Any address
 * stack	its top; 16-byte aligned
 * entry	called with `argument`; CR0 is PE|WP|PG|NE|ET, CR4 PAE, segments are stale and there is
 * 		no GDT: it loads descriptors before anything else. Must not return
 */
struct trampoline_start {
	u64 efer;
	u64 cr3;
	u64 stack;
	void (*entry)(void *argument);
	void *argument;
};

/* `page` is boot_info.trampoline, reachable through arch_hpa_to_virt(). CPU 0 only. */
void trampoline_prepare(struct hpa page, const struct trampoline_start *start);
#endif

#endif
