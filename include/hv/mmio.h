/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio.h: carrying out a guest's instruction on a device's memory.
 */
#ifndef SAMEPAGE_HV_MMIO_H
#define SAMEPAGE_HV_MMIO_H

#include <arch/virt.h>
#include <hv/insn.h>
#include <hv/verdict.h>

struct vcpu;

/*
 * What `insn` makes of the operands. *memory is what was read from the device (and, after, what is
 * to be written if the result is true); *other is the register or immediate (and, after, the
 * register's new value). flags are RFLAGS, changed as the manual says. Pure; Intel SDM vol. 2, each
 * instruction's Operation and Flags Affected.
 */
bool mmio_compute(const struct insn *insn, u64 *memory, u64 *other, u64 *flags);

/*
 * The linear address of the operand of MOVS that is not the device: the source, in DS or the
 * override's segment, if `source`; else the destination, in ES. `offset` is rSI or rDI. Pure; SDM
 * vol. 2B, MOVS; vol. 1, 3.3.7.
 */
struct gva mmio_movs_operand(const struct insn *insn, enum insn_mode mode,
			     const struct guest_state *state, u64 offset, bool source);

/*
 * An access that stage 2 did not map because a device of the board is there, or nothing. Owner,
 * loaded.
 */
enum exit_verdict mmio_access(struct vcpu *vcpu, const struct hv_exit *exit);

#endif
