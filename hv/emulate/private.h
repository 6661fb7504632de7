/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the files of the emulation share: operand sizes, registers by size, and a
 * guest's memory by linear address.
 */
#ifndef SAMEPAGE_HV_EMULATE_PRIVATE_H
#define SAMEPAGE_HV_EMULATE_PRIVATE_H

#include <arch/virt.h>
#include <hv/insn.h>
#include <hv/pci.h>

/* The bits of an operand or an address of `size` bytes. */
static inline u64 size_mask(unsigned size)
{
	return BITS(8 * size - 1, 0);
}

/* A 32-bit result clears the upper half, a narrower one keeps the rest (SDM vol. 1, 3.4.1.1). */
static inline void register_set(u64 *gpr, unsigned reg, unsigned size, u64 value)
{
	u64 mask = size_mask(size);

	gpr[reg] = size == 4 ? (u32)value : (gpr[reg] & ~mask) | (value & mask);
}

/* The register operand of an instruction. */
static inline u64 register_get(const u64 *gpr, const struct insn *insn)
{
	u64 value = gpr[insn->reg];

	if (!insn->reg_size)
		return 0;
	return insn->high_byte ? value >> 8 & 0xff : value & size_mask(insn->reg_size);
}

static inline void register_put(u64 *gpr, const struct insn *insn, u64 value)
{
	u64 *reg = &gpr[insn->reg];

	if (insn->high_byte)
		*reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
	else
		register_set(gpr, insn->reg, insn->reg_size, value);
}

/*
 * rSI, rDI or rCX as a string instruction uses it. They have the address size: the low 16 bits of a
 * register, its zero-extended 32, or all 64 (SDM vol. 1, 3.3.7; vol. 2B, REP).
 */
u64 string_register(const u64 *gpr, const struct insn *insn, unsigned reg);

/*
 * Ends an element: moves the pointers and counts. False: it was the last one, also by ZF in `flags`
 * after a CMPS or SCAS.
 */
bool string_step(u64 *gpr, const struct insn *insn, u64 flags) __must_check;

/* The linear address of a segment's byte; outside 64-bit mode it wraps at 4 GiB. */
struct gva linear_of(const struct guest_state *state, enum insn_mode mode, unsigned segment,
		     u64 offset);

/* The mode of the code that runs: 64-bit, or the default size of CS; 16 bits in real mode. */
enum insn_mode mode_of(const struct guest_state *state);

struct vcpu;

/* Takes the slow view, fetches the instruction at RIP and decodes it: as insn_decode(). */
int insn_fetch(struct vcpu *vcpu, struct guest_state *state, u8 bytes[INSN_MAX], unsigned *got,
	       struct insn *insn) __must_check;

/* A device's memory. Owner, loaded. Takes LOCK_PCI, or LOCK_DEVICE. */
u64 device_read(struct vcpu *vcpu, struct gpa gpa, unsigned size);
void device_write(struct vcpu *vcpu, struct gpa gpa, unsigned size, u64 value);

/*
 * A read, and a write of what `update` makes of it, as one access: no vCPU comes between. A local
 * APIC belongs to its vCPU.
 */
void device_change(struct vcpu *vcpu, struct gpa gpa, unsigned size, device_update update,
		   void *context);

/*
 * Where the `size` bytes at a linear address are, at most two places; and a read or write of them,
 * in RAM or in a device's memory. locate: false after the exception that the guest's own access
 * would have raised; nothing was done. Owner, loaded. Takes LOCK_MMU, then LOCK_DEVICE.
 */
struct operand_place {
	struct gpa gpa[2];
	unsigned bytes[2];
};
bool operand_locate(struct vcpu *vcpu, const struct guest_state *state, struct gva at,
		    unsigned size, bool write, struct operand_place *out) __must_check;
bool operand_read(struct vcpu *vcpu, const struct operand_place *place, u64 *value) __must_check;
bool operand_write(struct vcpu *vcpu, const struct operand_place *place, u64 value) __must_check;

/* #DB of a single step after one iteration of a repeated instruction, RIP on it (SDM 17.3.1.4). */
void raise_single_step(struct vcpu *vcpu, struct guest_state *state);

#endif
