/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mtrr.h: the memory type range registers of a vCPU: fixed ranges and the default type (SDM
 * vol. 3A, 11.11). They keep what is written and have no effect.
 */
#ifndef SAMEPAGE_HV_MTRR_H
#define SAMEPAGE_HV_MTRR_H

#include <hv/vm.h>

#define MTRR_CAP	  0xfe
#define MTRR_DEFAULT_TYPE 0x2ff

void mtrr_init(struct mtrrs *mtrrs);

/*
 * False: #GP(0). No such register; written: a read-only one, or a value that it does not take.
 * Pure.
 */
bool mtrr_read(struct mtrrs *mtrrs, u32 index, u64 *value) __must_check;
bool mtrr_write(struct mtrrs *mtrrs, u32 index, u64 value) __must_check;

#endif
