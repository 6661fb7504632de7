/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the files of the hypercall layer share.
 *
 * A handler reads its arguments in the vCPU's registers; effects on the run loop are requests.
 */
#ifndef SAMEPAGE_HV_CALL_PRIVATE_H
#define SAMEPAGE_HV_CALL_PRIVATE_H

#include <abi/hypercall.h>
#include <hv/vcpu.h>

static inline u64 hypercall_argument(const struct vcpu *vcpu, unsigned i)
{
	static const u8 registers[] = {GPR_RDI, GPR_RSI, GPR_RDX, GPR_R10};

	return vcpu->arch.gpr[registers[i]];
}

/* enum error as enum hypercall_error. */
s64 hypercall_error(int err);

/*
 * Copies [from, from + len), which lies in one page, as a device model of the VM does: through its
 * guest cache. Errors as guest_cache_get().
 */
int hypercall_device_copy(struct vcpu *vcpu, unsigned device, struct gpa from, void *to,
			  size_t len) __must_check;

/*
 * Arguments 0 and 1 as a range of gfns; false: empty, wraps, or wider than any address. mm refuses
 * what lies outside memory.
 */
bool hypercall_range(const struct vcpu *vcpu, struct gfn_range *out) __must_check;

/* The start of `whole`, up to the next multiple of frames_max (a power of 2) gfns. */
struct gfn_range hypercall_piece(struct gfn_range whole, u64 frames_max);

/* operate.c */
s64 call_operate(struct vcpu *vcpu);

/* memory.c: the calls on the caller's own memory. */
s64 call_protect(struct vcpu *vcpu);
s64 call_discard(struct vcpu *vcpu);
s64 call_watch(struct vcpu *vcpu);
s64 call_unmap(struct vcpu *vcpu);
s64 call_device_read(struct vcpu *vcpu);
s64 call_share(struct vcpu *vcpu);
s64 call_dirty(struct vcpu *vcpu);
s64 call_reclaim(struct vcpu *vcpu);

/* merge.c: the calls about merging. */
s64 call_merge(struct vcpu *vcpu);
s64 call_merge_stats(struct vcpu *vcpu);
s64 call_merge_engine(struct vcpu *vcpu);
s64 call_merge_scan(struct vcpu *vcpu);

#endif
