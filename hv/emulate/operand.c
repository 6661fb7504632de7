/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operand.c: an operand in memory by its linear address, and a device's memory by its gpa.
 *
 * An operand that crosses a page has two places. Both are located before either is touched, so that
 * an instruction that faults has changed nothing.
 *
 * The APICs' registers are 32 bits wide and a multiple of 16 bytes apart: a narrow read gets its
 * part of one, a wide write is cut to one. Where nothing is, every bit of a read is one, whatever
 * its width.
 */
#include "hv/emulate/private.h"
#include <arch/regs.h>
#include <hv/gva.h>
#include <hv/pc.h>
#include <hv/vcpu.h>
#include <hv/vm_memory.h>
#include <lib/error.h>

/* What an access needs of the tables; a supervisor's write needs no W while CR0.WP is clear. */
static unsigned rights_needed(const struct guest_state *state, bool write, bool user)
{
	unsigned needed = HV_READ | (user ? GVA_USER : 0);

	return write && (user || state->cr0 & CR0_WP) ? needed | HV_WRITE : needed;
}

/* SMAP: no access of a supervisor to a user's page, unless AC allows it (SDM vol. 3A, 4.6.1). */
static bool smap_refuses(const struct guest_state *state, bool user, unsigned allowed)
{
	return !user && state->cr4 & CR4_SMAP && !(state->rflags & RFLAGS_AC) &&
	       allowed & GVA_USER && state->cr0 & CR0_PG;
}

bool gva_locate(struct vcpu *vcpu, const struct guest_state *state, struct gva at, bool write,
		struct gpa *out)
{
	bool user = virt->cpl(&vcpu->arch) == 3;
	unsigned allowed, needed = rights_needed(state, write, user);
	int err = gva_access(vcpu->vm, state, at, needed, write, out, &allowed);

	if (!err && (allowed & needed) == needed && !smap_refuses(state, user, allowed))
		return true;
	if (!err || err == ERR_NOT_FOUND)
		vcpu_raise(vcpu, VECTOR_PF, true,
			   (err ? 0 : 1u) | (write ? 2u : 0) | (user ? 4u : 0), at.raw);
	else
		vcpu_raise_gp(vcpu);
	return false;
}

bool operand_locate(struct vcpu *vcpu, const struct guest_state *state, struct gva at,
		    unsigned size, bool write, struct operand_place *out)
{
	unsigned first = (unsigned)MIN(size, PAGE_SIZE - page_offset(at.raw));
	struct gva next = {at.raw + first};

	*out = (struct operand_place){.bytes = {first, size - first}};
	return gva_locate(vcpu, state, at, write, &out->gpa[0]) &&
	       (size == first || gva_locate(vcpu, state, next, write, &out->gpa[1]));
}

u64 device_read(struct vcpu *vcpu, struct gpa gpa, unsigned size)
{
	struct gpa reg = {ALIGN_DOWN(gpa.raw, 4)}, next = {reg.raw + 4};
	unsigned offset = gpa.raw & 3;
	u64 value;

	if (gpa.raw < IOAPIC_BASE && pci_mmio_read(&vcpu->vm->pc->pci, gpa, size, &value))
		return value;
	value = pc_mmio_read(vcpu, reg);

	if (offset + size > 4)
		value |= (u64)pc_mmio_read(vcpu, next) << 32;
	return value >> (8 * offset);
}

void device_write(struct vcpu *vcpu, struct gpa gpa, unsigned size, u64 value)
{
	if (gpa.raw >= IOAPIC_BASE || !pci_mmio_write(&vcpu->vm->pc->pci, vcpu, gpa, size, value))
		pc_mmio_write(vcpu, gpa, (u32)value);
}

void device_change(struct vcpu *vcpu, struct gpa gpa, unsigned size, device_update update,
		   void *context)
{
	u64 value;

	if (gpa.raw < IOAPIC_BASE &&
	    pci_mmio_update(&vcpu->vm->pc->pci, vcpu, gpa, size, update, context))
		return;
	if (size <= 4 && pc_mmio_update(vcpu, gpa, update, context))
		return;
	value = device_read(vcpu, gpa, size);
	if (update(context, &value))
		device_write(vcpu, gpa, size, value);
}

/* Neither RAM nor, without a board, anything else: #GP. No frame: the VM has been stopped. */
static bool is_device(struct vcpu *vcpu, int err)
{
	if (err != ERR_NO_MEMORY && !vcpu->vm->pc)
		vcpu_raise_gp(vcpu);
	return err != ERR_NO_MEMORY && vcpu->vm->pc;
}

bool operand_read(struct vcpu *vcpu, const struct operand_place *place, u64 *value)
{
	unsigned done = 0;

	*value = 0;
	for (unsigned i = 0; i < 2 && place->bytes[i]; done += place->bytes[i++]) {
		u64 part = 0;
		int err = vm_read_memory(vcpu->vm, place->gpa[i], &part, place->bytes[i]);

		if (err && !is_device(vcpu, err))
			return false;
		if (err)
			part = device_read(vcpu, place->gpa[i], place->bytes[i]) &
			       size_mask(place->bytes[i]);
		*value |= part << (8 * done);
	}
	return true;
}

bool operand_write(struct vcpu *vcpu, const struct operand_place *place, u64 value)
{
	for (unsigned i = 0; i < 2 && place->bytes[i]; i++) {
		int err = vm_write_memory(vcpu->vm, place->gpa[i], &value, place->bytes[i]);

		if (err && !is_device(vcpu, err))
			return false;
		if (err)
			device_write(vcpu, place->gpa[i], place->bytes[i], value);
		value = place->bytes[1] ? value >> (8 * place->bytes[0]) : 0;
	}
	return true;
}
