/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addrspace.h: the primary MMU: which frame backs a gfn, and why.
 *
 * Why: everything else that translates a gfn (an EPT, a device model's cache) is derived from this
 * and may be thrown away at any time. So there is one place where a guest's memory really changes,
 * the operations below, and each names the event that those who derive from it are told.
 */
#ifndef SAMEPAGE_MM_ADDRSPACE_H
#define SAMEPAGE_MM_ADDRSPACE_H

#include <arch/addr.h>
#include <arch/pgtable.h>
#include <lib/types.h>
#include <mm/fault.h>
#include <mm/stage2.h>

struct addrspace;

enum slot_kind { SLOT_RAM, SLOT_ROM };

/* One guest-physical address space. ERR_NO_MEMORY. `name` is copied. destroy frees all it backed.
 */
int addrspace_create(const char *name, struct addrspace **out) __must_check;
/* Wants every stage 2 and every other subscription of `as` gone, and no other CPU inside it. */
void addrspace_destroy(struct addrspace *as);
const char *addrspace_name(const struct addrspace *as);

/* A memory slot; frames come lazily. ERR_INVALID (empty, wraps), ERR_EXISTS (overlaps),
 * ERR_NO_MEMORY: no change. */
int addrspace_add_slot(struct addrspace *as, struct gfn_range range,
		       enum slot_kind kind) __must_check;

/* Backs every absent gfn of the range with a zeroed private frame now. ERR_RANGE, ERR_NO_MEMORY. */
int addrspace_populate(struct addrspace *as, struct gfn_range range) __must_check;

/*
 * Copies to and from guest memory through the primary, populating and breaking sharing as a guest's
 * access would, page by page. write reaches ROM slots too: it is the hypervisor's own, a loader's.
 * ERR_RANGE (no slot): nothing is copied. ERR_NO_MEMORY: pages before the one that failed are
 * copied. Takes LOCK_MMU.
 */
int addrspace_write(struct addrspace *as, struct gpa to, const void *from, size_t len) __must_check;
int addrspace_read(struct addrspace *as, struct gpa from, void *to, size_t len) __must_check;

#endif
