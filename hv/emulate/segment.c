/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.c: descriptors read, checked and loaded, and the CPU's own accesses to memory.
 *
 * Why a table: for each segment register the checks are the same kind with other values: which
 * types fit, how the privilege levels must relate, and which fault an absent one raises.
 */
#include "hv/emulate/segment.h"
#include <arch/regs.h>
#include <hv/gva.h>
#include <hv/vcpu.h>
#include <hv/vm_memory.h>
#include <lib/error.h>

#define DESCRIPTOR_SIZE	   8
#define DESCRIPTOR_TYPE_AT 5 /* byte with type, S, DPL, P */
#define SELECTOR_LDT	   BIT(2)
#define SELECTOR_RPL(s)	   ((s)&3u)
#define SELECTOR_INDEX(s)  ((s) & ~7u)
#define TYPE_ACCESSED	   BIT(0)
#define TYPE_WRITE	   BIT(1) /* of data; of code: readable */
#define TYPE_CONFORMING	   BIT(2) /* of code */
#define TYPE_CODE	   BIT(3)
#define TYPE_LDT	   2
#define ATTR_BITS	   0xf0ffu

/* Where a supervisor's access goes; writes need W under CR0.WP (SDM vol. 3A, 4.6.1). */
static bool supervisor_locate(struct vcpu *vcpu, const struct guest_state *state, struct gva at,
			      bool write, struct gpa *out, struct fault *fault)
{
	unsigned allowed, needed = write && state->cr0 & CR0_WP ? HV_READ | HV_WRITE : HV_READ;
	int err = gva_access(vcpu->vm, state, at, needed, write, out, &allowed);

	if (!err && (allowed & needed) == needed)
		return true;
	if (err && err != ERR_NOT_FOUND)
		*fault = (struct fault){.vector = VECTOR_GP};
	else
		*fault = (struct fault){VECTOR_PF, (err ? 0 : 1u) | (write ? 2u : 0), at.raw};
	return false;
}

enum linear_access { LINEAR_TRY, LINEAR_READ, LINEAR_WRITE };

static int copy_piece(struct vm *vm, enum linear_access access, struct gpa gpa, void *bytes,
		      size_t len)
{
	if (access == LINEAR_READ)
		return vm_read_memory(vm, gpa, bytes, len);
	return access == LINEAR_WRITE ? vm_write_memory(vm, gpa, bytes, len) : 0;
}

static bool linear_access(struct vcpu *vcpu, const struct guest_state *state, u64 at, void *bytes,
			  size_t len, enum linear_access access, bool write, struct fault *fault)
{
	for (size_t done = 0; done < len;) {
		struct gva place = {(u32)(at + done)};
		size_t piece = MIN(len - done, PAGE_SIZE - page_offset(place.raw));
		struct gpa gpa;

		if (!supervisor_locate(vcpu, state, place, write, &gpa, fault))
			return false;
		if (copy_piece(vcpu->vm, access, gpa, bytes ? (u8 *)bytes + done : NULL, piece)) {
			*fault = (struct fault){.vector = VECTOR_GP}; /* a device, or nothing */
			return false;
		}
		done += piece;
	}
	return true;
}

bool linear_reachable(struct vcpu *vcpu, const struct guest_state *state, u64 at, size_t len,
		      bool write, struct fault *fault)
{
	return linear_access(vcpu, state, at, NULL, len, LINEAR_TRY, write, fault);
}

bool linear_read(struct vcpu *vcpu, const struct guest_state *state, u64 at, void *to, size_t len,
		 struct fault *fault)
{
	return linear_access(vcpu, state, at, to, len, LINEAR_READ, false, fault);
}

bool linear_write(struct vcpu *vcpu, const struct guest_state *state, u64 at, const void *from,
		  size_t len, struct fault *fault)
{
	return linear_access(vcpu, state, at, (void *)from, len, LINEAR_WRITE, true, fault);
}

bool descriptor_locate(const struct guest_state *state, u16 selector, u64 *at)
{
	const struct guest_segment_state *ldtr = &state->seg[SEG_LDTR];
	bool local = selector & SELECTOR_LDT;
	u32 limit = local ? ldtr->limit : state->gdtr.limit;

	if (local && ldtr->attr & SEG_ATTR_UNUSABLE)
		return false;
	*at = (local ? ldtr->base : state->gdtr.base) + SELECTOR_INDEX(selector);
	return SELECTOR_INDEX(selector) + DESCRIPTOR_SIZE - 1 <= limit;
}

struct guest_segment_state segment_of(u16 selector, u64 descriptor)
{
	u32 attr = (u32)(descriptor >> 40) & ATTR_BITS;
	u32 limit = (u32)(descriptor & 0xffff) | (u32)(descriptor >> 32 & 0xf0000);

	return (struct guest_segment_state){
		.selector = selector,
		.limit = attr & SEG_ATTR_G ? limit << 12 | 0xfff : limit,
		.attr = attr,
		.base = (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000),
	};
}

static bool refuse(struct fault *fault, u8 vector, u16 selector)
{
	*fault = (struct fault){.vector = vector, .error_code = selector & ~3u};
	return false;
}

static bool code_fits(u32 attr, unsigned rpl)
{
	unsigned dpl = SEG_ATTR_DPL(attr);

	return attr & SEG_ATTR_S && attr & TYPE_CODE &&
	       (attr & TYPE_CONFORMING ? dpl <= rpl : dpl == rpl);
}

static bool stack_fits(u32 attr, unsigned rpl, unsigned cpl)
{
	return attr & SEG_ATTR_S && !(attr & TYPE_CODE) && attr & TYPE_WRITE &&
	       SEG_ATTR_DPL(attr) == cpl && rpl == cpl;
}

static bool data_fits(u32 attr, unsigned rpl, unsigned cpl)
{
	bool conforming = attr & TYPE_CODE && attr & TYPE_CONFORMING;

	if (!(attr & SEG_ATTR_S) || (attr & TYPE_CODE && !(attr & TYPE_WRITE)))
		return false;
	return conforming || SEG_ATTR_DPL(attr) >= MAX(rpl, cpl);
}

static bool segment_fits(enum guest_segment which, u32 attr, u16 selector, unsigned cpl)
{
	unsigned rpl = SELECTOR_RPL(selector);

	switch (which) {
	case SEG_CS:
		return code_fits(attr, rpl);
	case SEG_SS:
		return stack_fits(attr, rpl, cpl);
	case SEG_LDTR:
		return !(attr & SEG_ATTR_S) && SEG_ATTR_TYPE(attr) == TYPE_LDT &&
		       !(selector & SELECTOR_LDT);
	default:
		return data_fits(attr, rpl, cpl);
	}
}

/* The accessed bit, in memory and in the register. */
static bool mark_accessed(struct vcpu *vcpu, const struct guest_state *state, u64 at, u32 *attr,
			  struct fault *fault)
{
	u8 type = (u8)(*attr | TYPE_ACCESSED);

	if (!(*attr & SEG_ATTR_S) || *attr & TYPE_ACCESSED)
		return true;
	*attr |= TYPE_ACCESSED;
	return linear_write(vcpu, state, at + DESCRIPTOR_TYPE_AT, &type, 1, fault);
}

bool segment_load(struct vcpu *vcpu, struct guest_state *state, enum guest_segment which,
		  u16 selector, unsigned cpl, struct fault *fault)
{
	struct guest_segment_state *seg = &state->seg[which], loaded;
	u64 at, descriptor;

	*seg = (struct guest_segment_state){.selector = selector, .attr = SEG_ATTR_UNUSABLE};
	if (which == SEG_SS)
		seg->attr |= cpl << 5; /* the CPL, to VT-x */
	if (!(selector & ~3u))
		return (which != SEG_CS && which != SEG_SS) || refuse(fault, VECTOR_TS, selector);
	if (!descriptor_locate(state, selector, &at))
		return refuse(fault, VECTOR_TS, selector);
	if (!linear_read(vcpu, state, at, &descriptor, DESCRIPTOR_SIZE, fault))
		return false;
	loaded = segment_of(selector, descriptor);
	if (!segment_fits(which, loaded.attr, selector, cpl))
		return refuse(fault, VECTOR_TS, selector);
	if (!(loaded.attr & SEG_ATTR_P))
		return refuse(fault,
			      which == SEG_SS	  ? VECTOR_SS
			      : which == SEG_LDTR ? VECTOR_TS
						  : VECTOR_NP,
			      selector);
	if (!mark_accessed(vcpu, state, at, &loaded.attr, fault))
		return false;
	*seg = loaded;
	return true;
}
