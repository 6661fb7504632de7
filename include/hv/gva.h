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

/*
 * Where `gva` lies, and what the guest's tables allow there as a whole: HV_READ, HV_WRITE, and
 * GVA_USER for ring 3. ERR_NOT_FOUND: the tables do not map it; other errors are `read`'s. All four
 * modes: no paging, 32-bit, PAE, long mode with four levels (SDM vol. 3A, chapter 4). Sets no A or
 * D bit. Pure but for `read`.
 */
enum { GVA_USER = 8 };
int gva_walk(const struct guest_state *state, gva_read read, void *context, struct gva gva,
	     struct gpa *out, unsigned *allowed) __must_check;

struct vcpu;

/*
 * The same for the vCPU at hand, with its `state`; false after the exception that the guest's
 * own access would have raised. Owner, loaded. Takes LOCK_MMU.
 */
bool gva_locate(struct vcpu *vcpu, const struct guest_state *state, struct gva at, bool write,
		struct gpa *out) __must_check;

/* Owner, loaded. Takes LOCK_MMU. The back ends' way to read guest code: see struct vcpu_setup. */
unsigned vcpu_fetch(struct arch_vcpu *arch, struct gva linear, void *bytes, unsigned len);

#endif
