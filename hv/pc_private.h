/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc_private.h: what the files of the board (hv/pc*.c) share.
 */
#ifndef SAMEPAGE_HV_PC_PRIVATE_H
#define SAMEPAGE_HV_PC_PRIVATE_H

#include <hv/pc.h>

/* Releases pc->lock and tells the vCPUs that were reached under it. */
void pc_unlock(struct pc *pc) LOCK_RELEASE(&pc->lock);

/* Clocks of `hz` since power-on. */
u64 pc_clock(const struct pc *pc, u64 hz);

/* The PIT was programmed, or has fired: when is it due again? pc->lock. */
void pc_plan_pit(struct pc *pc) LOCK_REQUIRES(&pc->lock);

#endif
