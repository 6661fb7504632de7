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

/* What is left to do after the arithmetic. */
enum mmio_result {
	MMIO_READS,
	MMIO_WRITES,	   /* the memory operand is written back */
	MMIO_DIVIDE_ERROR, /* #DE; nothing has changed */
};

/*
 * Carries out `insn` on its operands: *memory is the memory operand, zero-extended, before and
 * after; gpr are the general registers in encoding order; *flags is RFLAGS. Not for PUSH, POP,
 * MOVS, CMPS, INS, OUTS. Pure; Intel SDM vol. 2, each instruction's Operation and Flags Affected.
 */
enum mmio_result mmio_compute(const struct insn *insn, u64 *gpr, u64 *memory, u64 *flags);

/* The flags of a - b, for CMPS. Pure. */
void mmio_compare(unsigned size, u64 a, u64 b, u64 *flags);

/*
 * An access that stage 2 did not map because a device of the board is there, or nothing. Owner,
 * loaded.
 */
enum exit_verdict mmio_access(struct vcpu *vcpu, const struct hv_exit *exit);

#endif
