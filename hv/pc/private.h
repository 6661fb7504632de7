/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the files of the board (hv/pc*.c) share.
 */
#ifndef SAMEPAGE_HV_PC_PRIVATE_H
#define SAMEPAGE_HV_PC_PRIVATE_H

#include <hv/pc.h>

/* Releases pc->lock and tells the vCPUs that were reached under it. */
void pc_unlock(struct pc *pc) LOCK_RELEASE(&pc->lock);

/*
 * How many ticks a guest may be owed. Linux's check wants five. Each costs the guest an interrupt,
 * and its turn is as long as ever: under emulation, with eight guests to a CPU and all that they
 * missed owed to them, they did nothing but take ticks.
 */
#define PC_TICKS_OWED_MAX (IS_ENABLED(CONFIG_BREAK_TICKS) ? 1ull : 6ull)

/* Clocks of `hz` since power-on. */
u64 pc_clock(const struct pc *pc, u64 hz);

/* The tick at which a clock of `hz` reaches `clocks`. */
u64 pc_tick_at(const struct pc *pc, u64 clocks, u64 hz);

/* The level of an interrupt line; pc_set_irq() for who has the lock. */
void pc_set_line(struct pc *pc, enum pc_irq irq, bool level) LOCK_REQUIRES(&pc->lock);

/*
 * pc_run_pit: counts the rises until now, tells one if it can, and sets the alarm. When the alarm
 * is due; before a controller is written to, so that what was is counted as it was; and after that.
 * pc_tick_done: a local APIC has had an EOI; any CPU, no lock. pc_restart_pit: channel 0 was
 * programmed.
 */
void pc_run_pit(struct pc *pc) LOCK_REQUIRES(&pc->lock);
void pc_tick_done(struct pc *pc);
void pc_restart_pit(struct pc *pc) LOCK_REQUIRES(&pc->lock);

#endif
