/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operate.c: OPERATE: the operations of an address space that other rooms, a balloon, a device
 * model or a policy of huge pages would start, on a guest's own request.
 *
 * Each row of operations[] says on how much it works at once, and whether its range must be memory
 * already. Pins are counted by the address space and end with the VM at the latest.
 */
#include <lib/error.h>
#include <mm/stage2.h>
#include "hv/call/private.h"

struct operation {
	int (*run)(struct vcpu *vcpu, struct gfn_range piece, u64 *count);
	u16 piece;   /* frames at once, a power of 2 */
	bool whole;  /* a range of more frames is refused: it is one object */
	bool memory; /* the range lies in slots */
};

static struct addrspace *memory_of(const struct vcpu *vcpu)
{
	return vcpu->vm->memory;
}

static int migrate(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	int err = addrspace_migrate(memory_of(vcpu), piece.start);

	*count = !err;
	return err;
}

static int collapse(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return addrspace_collapse(memory_of(vcpu), piece.start);
}

static int split(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return addrspace_split(memory_of(vcpu), piece);
}

static int age(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	bool young = false;
	int err = addrspace_age(memory_of(vcpu), piece, &young);

	*count = young;
	return err;
}

static int pin(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return addrspace_pin(memory_of(vcpu), piece.start);
}

static int unpin(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	addrspace_unpin(memory_of(vcpu), piece.start);
	return 0;
}

static int balloon(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return addrspace_balloon(memory_of(vcpu), piece, 0);
}

static int balloon_nowait(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return addrspace_balloon(memory_of(vcpu), piece, ADDRSPACE_NOBLOCK);
}

static int view_read_only(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return stage2_view_restrict(vcpu->vm->stage2, piece, PT_READ | PT_EXEC);
}

static int view_all(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return stage2_view_restrict(vcpu->vm->stage2, piece, PT_RWX);
}

static int add_slot(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return addrspace_add_slot(memory_of(vcpu), piece, SLOT_RAM);
}

static int remove_slot(struct vcpu *vcpu, struct gfn_range piece, u64 *count)
{
	return addrspace_remove_slot(memory_of(vcpu), piece);
}

static const struct operation operations[HYPERCALL_OPERATIONS] = {
	[HYPERCALL_MIGRATE] = {migrate, 1, false, true},
	[HYPERCALL_COLLAPSE] = {collapse, 512, false, true},
	[HYPERCALL_SPLIT] = {split, 512, false, true},
	[HYPERCALL_AGE] = {age, 512, false, true},
	[HYPERCALL_PIN] = {pin, 1, false, true},
	[HYPERCALL_UNPIN] = {unpin, 1, false, true},
	[HYPERCALL_BALLOON] = {balloon, 512, false, true},
	[HYPERCALL_BALLOON_NOWAIT] = {balloon_nowait, 512, false, true},
	[HYPERCALL_VIEW_READ_ONLY] = {view_read_only, 512, true, true},
	[HYPERCALL_VIEW_ALL] = {view_all, 512, true, true},
	[HYPERCALL_SLOT_ADD] = {add_slot, 512, true, false},
	[HYPERCALL_SLOT_REMOVE] = {remove_slot, 512, true, true},
};

static bool operation_range(const struct vcpu *vcpu, const struct operation *operation,
			    struct gfn_range *out)
{
	return hypercall_range(vcpu, out) &&
	       (!operation->whole || gfn_range_frames(*out) <= operation->piece);
}

s64 call_operate(struct vcpu *vcpu)
{
	u64 number = hypercall_argument(vcpu, 2), count = 0;
	const struct operation *operation;
	struct gfn_range range, piece;
	int err = 0;

	if (number >= HYPERCALL_OPERATIONS)
		return HYPERCALL_ERROR_INVALID;
	operation = &operations[number];
	if (!operation_range(vcpu, operation, &range))
		return HYPERCALL_ERROR_INVALID;
	if (operation->memory)
		err = addrspace_check(memory_of(vcpu), range);
	piece = operation->whole ? range : hypercall_piece(range, operation->piece);
	if (!err)
		err = operation->run(vcpu, piece, &count);
	return err ? hypercall_error(err) : (s64)HYPERCALL_PROGRESS(gfn_range_frames(piece), count);
}
