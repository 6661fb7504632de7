/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the files of the board share.
 */
#ifndef SAMEPAGE_HV_PC_PRIVATE_H
#define SAMEPAGE_HV_PC_PRIVATE_H

#include <hv/pc.h>

/* Releases pc->lock, then notifies the vCPUs that a wire has reached under it. */
void pc_unlock(struct pc *pc) LOCK_RELEASE(&pc->lock);

/*
 * Bound of the owed ticks. Linux's check of the timer needs five. Each tick costs the guest an
 * interrupt out of an unchanged slice: without a bound, eight guests on one emulated CPU did
 * nothing but take ticks.
 */
#define PC_TICKS_OWED_MAX (IS_ENABLED(CONFIG_BREAK_TICKS) ? 1ull : 6ull)

/* Clocks of `hz` from power-on to now, and to `tick`. */
u64 pc_clock(const struct pc *pc, u64 hz);
u64 pc_clock_at(const struct pc *pc, u64 tick, u64 hz);

/* The tick at which a clock of `hz` reaches `clocks`. */
u64 pc_tick_at(const struct pc *pc, u64 clocks, u64 hz);

/* pc_set_irq() with the lock held. */
void pc_set_line(struct pc *pc, enum pc_irq irq, bool level) LOCK_REQUIRES(&pc->lock);

/* Stores the earlier of the two alarms, which the CPU of vCPU 0 keeps, and notifies it. */
void pc_set_alarm(struct pc *pc) LOCK_REQUIRES(&pc->lock);

/* The clock's time: microseconds since 1970, of which the board's power-on has start_time. */
u64 pc_wall_clock(const struct pc *pc, u64 tick);

/*
 * Drives the clock's line and sets its alarm. After every access to the clock, and when the alarm
 * is due.
 */
void pc_run_clock(struct pc *pc, u64 now) LOCK_REQUIRES(&pc->lock);

/*
 * pc_run_pit: counts the rises until now, raises one if the controllers can take it, and sets the
 * alarm. Called when the alarm is due, and before and after a write to a controller: what rose
 * before the write is counted by the old masks.
 * pc_tick_done: after an EOI of a local APIC; any CPU, no lock.
 * pc_restart_pit: after a write that programmed channel 0.
 */
void pc_run_pit(struct pc *pc) LOCK_REQUIRES(&pc->lock);
void pc_tick_done(struct pc *pc);
void pc_restart_pit(struct pc *pc) LOCK_REQUIRES(&pc->lock);

#endif
