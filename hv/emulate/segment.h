/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h: memory and descriptors as the CPU itself accesses them: with a supervisor's rights,
 * whatever the CPL.
 */
#ifndef SAMEPAGE_HV_EMULATE_SEGMENT_H
#define SAMEPAGE_HV_EMULATE_SEGMENT_H

#include <arch/virt.h>

struct vcpu;

/* A fault of the emulated operation, for vcpu_raise(). */
struct fault {
	u8 vector; /* FAULT_NONE: none */
	u32 error_code;
	u64 address;
};
#define NO_FAULT 0xff

/*
 * `len` bytes at a linear address, by the tables of `state`. reachable: could all of it be accessed
 * so? Nothing is. False: *fault says why. Owner, loaded. Takes LOCK_MMU.
 */
bool linear_reachable(struct vcpu *vcpu, const struct guest_state *state, u64 at, size_t len,
		      bool write, struct fault *fault) __must_check;
bool linear_read(struct vcpu *vcpu, const struct guest_state *state, u64 at, void *to, size_t len,
		 struct fault *fault) __must_check;
bool linear_write(struct vcpu *vcpu, const struct guest_state *state, u64 at, const void *from,
		  size_t len, struct fault *fault) __must_check;

/* The linear address of a selector's descriptor in GDT or LDT; false: it lies past the table. */
bool descriptor_locate(const struct guest_state *state, u16 selector, u64 *at) __must_check;

/* A descriptor's segment, as the CPU keeps it (SDM vol. 3A, 3.4.5). Pure. */
struct guest_segment_state segment_of(u16 selector, u64 descriptor);

/*
 * Loads segment `which` of `state` with `selector`, checked as a task switch checks it (SDM vol. 3A
 * table 8-1); `cpl` is that of the new task. False: *fault, and the segment has the selector alone.
 */
bool segment_load(struct vcpu *vcpu, struct guest_state *state, enum guest_segment which,
		  u16 selector, unsigned cpl, struct fault *fault) __must_check;

#endif
