/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h: the bounds of the hypervisor's image, set by linker.ld, and the boot-time objects that
 * outlive boot.
 *
 * Every symbol is an address in the high mapping: machine address = symbol - IMAGE_BASE.
 */
#ifndef SAMEPAGE_ASM_IMAGE_H
#define SAMEPAGE_ASM_IMAGE_H

#define IMAGE_BASE 0xffffffff80000000

#ifndef __ASSEMBLER__
#include <arch/addr.h>

/* Page aligned, in this order: [start, text) is the dead 32-bit entry, then RX, R, RW. */
extern char image_start[], image_end[];
extern char image_text_start[], image_text_end[];
extern char image_rodata_start[], image_rodata_end[];
extern char image_data_start[], image_data_end[];

/*
 * The stack CPU 0 enters boot_main on. The final tables leave the page of the guard unmapped.
 */
extern char boot_stack_guard[], boot_stack_bottom[], boot_stack_top[];

/*
 * The tables of the 32-bit entry and of the AP trampoline: machine memory up to 4 GiB at its own
 * address, at 0xffff800000000000 and (the first GiB) at IMAGE_BASE, all RWX. The CPU layer leaves
 * them for its own.
 */
extern u64 boot_pml4[512];

static inline struct hpa image_to_hpa(const void *symbol)
{
	return (struct hpa){(u64)symbol - IMAGE_BASE};
}
#endif

#endif
