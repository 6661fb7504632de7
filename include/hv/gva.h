/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gva.h: a guest's own paging, walked by hand: for string I/O and for reading guest code.
 */
#ifndef SAMEPAGE_HV_GVA_H
#define SAMEPAGE_HV_GVA_H

#include <arch/virt.h>
#include <lib/types.h>

/* Reads guest-physical memory; 0 or an error. */
typedef int (*gva_read)(void *context, struct gpa from, void *to, size_t len);

/* The entries with an A bit that a walk has used, from the top; the last one maps the page. */
#define GVA_LEVELS 4
struct gva_path {
	struct gpa entry[GVA_LEVELS];
	u64 value[GVA_LEVELS];
	unsigned count, entry_size;
};

/*
 * Where `gva` lies, and what the guest's tables allow there as a whole: HV_READ, HV_WRITE, and
 * GVA_USER for ring 3. ERR_NOT_FOUND: the tables do not map it; other errors are `read`'s. All four
 * modes: no paging, 32-bit, PAE, long mode with four levels (SDM vol. 3A, chapter 4). path:
 * NULL, or where the entries go. Pure but for `read`.
 */
enum { GVA_USER = 8 };
int gva_walk(const struct guest_state *state, gva_read read, void *context, struct gva gva,
	     struct gpa *out, unsigned *allowed, struct gva_path *path) __must_check;

struct vcpu;
struct vm;

/*
 * The walk for an access that the hypervisor makes for the guest; `needed` are the rights without
 * which nothing is accessed. An access that is allowed sets A in each entry, and D in the last one
 * for a write, as the CPU does: by a locked compare and swap that fails if the entry has changed
 * (SDM vol. 3A, 4.8). Takes LOCK_MMU.
 */
int gva_access(struct vm *vm, const struct guest_state *state, struct gva gva, unsigned needed,
	       bool write, struct gpa *out, unsigned *allowed) __must_check;

/*
 * The same for the vCPU at hand, with its `state`; false after the exception that the guest's
 * own access would have raised. Owner, loaded. Takes LOCK_MMU.
 */
bool gva_locate(struct vcpu *vcpu, const struct guest_state *state, struct gva at, bool write,
		struct gpa *out) __must_check;

/* Owner, loaded. Takes LOCK_MMU. The back ends' way to read guest code: see struct vcpu_setup. */
unsigned vcpu_fetch(struct arch_vcpu *arch, struct gva linear, void *bytes, unsigned len);

#endif
