/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h: the hypervisor's address space. docs/architecture.md draws it.
 *
 *     0xffff800000000000  direct map: machine memory at DIRECT_MAP_BASE + hpa, RW, never executable
 *     0xffffc00000000000  device registers (local APIC), uncached
 *     0xffffd00000000000  stacks, each with an unmapped page below it
 *     0xffffffff80000000  the image, linked at + 1 MiB: text RX, rodata R, data RW (asm/image.h)
 */
#ifndef SAMEPAGE_ASM_LAYOUT_H
#define SAMEPAGE_ASM_LAYOUT_H

#define DIRECT_MAP_BASE 0xffff800000000000ull
#define DIRECT_MAP_END	0xffffc00000000000ull
#define DEVICE_BASE	0xffffc00000000000ull
#define STACK_BASE	0xffffd00000000000ull

#endif
