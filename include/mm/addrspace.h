/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addrspace.h: the primary MMU: which frame backs a gfn, and why.
 */
#ifndef SAMEPAGE_MM_ADDRSPACE_H
#define SAMEPAGE_MM_ADDRSPACE_H

#include <arch/addr.h>
#include <arch/pgtable.h>
#include <lib/types.h>

struct addrspace;
struct stage2;

enum slot_kind { SLOT_RAM, SLOT_ROM };

/* One guest-physical address space. ERR_NO_MEMORY. `name` is copied. destroy frees all it backed. */
int addrspace_create(const char *name, struct addrspace **out) __must_check;
void addrspace_destroy(struct addrspace *as);

/* A memory slot; frames come lazily. ERR_INVALID (empty, wraps), ERR_EXISTS (overlaps), ERR_NO_MEMORY: no change. */
int addrspace_add_slot(struct addrspace *as, struct gfn_range range, enum slot_kind kind) __must_check;

/* Backs every absent gfn of the range with a zeroed private frame now. ERR_RANGE, ERR_NO_MEMORY. */
int addrspace_populate(struct addrspace *as, struct gfn_range range) __must_check;

/* Copies to and from guest memory through the primary, populating and breaking sharing as a guest's access would. */
int addrspace_write(struct addrspace *as, struct gpa to, const void *from, size_t len) __must_check;
int addrspace_read(struct addrspace *as, struct gpa from, void *to, size_t len) __must_check;

/* A secondary MMU of this address space in the back end's format. ERR_NO_MEMORY. */
int stage2_create(struct addrspace *as, const struct pgtable_format *format, struct stage2 **out) __must_check;
void stage2_destroy(struct stage2 *s2);
struct hpa stage2_root(const struct stage2 *s2);

enum fault_outcome {
	FAULT_MAPPED,	 /* a translation was installed; enter again */
	FAULT_SPURIOUS,	 /* there already was one that allows the access; enter again */
	FAULT_RACED,	 /* an invalidation of this gfn came between; enter again and fault again (mode `reenter`) */
	FAULT_MMIO,	 /* no slot here: a device's, or nobody's */
	FAULT_READ_ONLY, /* a write to a ROM slot */
	FAULT_NO_MEMORY, /* stop this vCPU; it may go on when memory is back */
};

/* A guest's access that stage 2 did not allow. access: HV_READ | HV_WRITE | HV_EXEC. Takes LOCK_MMU. */
enum fault_outcome fault_handle(struct stage2 *s2, struct gpa gpa, unsigned access);

#endif
