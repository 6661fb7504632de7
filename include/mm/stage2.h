/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage2.h: a secondary MMU in the CPU's own format, derived lazily from an address space.
 */
#ifndef SAMEPAGE_MM_STAGE2_H
#define SAMEPAGE_MM_STAGE2_H

#include <arch/addr.h>
#include <arch/pgtable.h>
#include <lib/types.h>

struct addrspace;
struct stage2;

/* A secondary MMU of this address space in the back end's format. ERR_NO_MEMORY. */
int stage2_create(struct addrspace *as, const struct pgtable_format *format,
		  struct stage2 **out) __must_check;
/* No CPU is inside it any more. */
void stage2_destroy(struct stage2 *s2);
struct hpa stage2_root(const struct stage2 *s2);

#endif
