/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pit.h: the 8254 interval timer (Intel 8254 data sheet, order number 231164) and port 0x61.
 *
 * Why time is a parameter: a counter is not run but computed, from the clock at which it was loaded
 * and the clock now. So the model costs nothing between two reads, and a host test needs no
 * waiting. Times are clocks of PIT_HZ since the VM started and never go back. The caller's lock
 * guards it.
 */
#ifndef SAMEPAGE_HV_PIT_H
#define SAMEPAGE_HV_PIT_H

#include <lib/types.h>

#define PIT_HZ	     1193182ull
#define PIT_CHANNELS 3
#define PIT_NEVER    (~0ull)

struct pit_channel {
	u8 mode;   /* 0 to 5 */
	u8 access; /* 1 low byte, 2 high byte, 3 both */
	bool bcd;
	bool gate;
	bool loaded; /* a full count was written since the mode was */
	bool high_next_write, high_next_read;
	bool status_latched, count_latched;
	u8 status_latch;
	u16 count_latch;
	u8 low_written;
	u32 reload;	/* 1 to 0x10000 clocks */
	u64 start;	/* clock at which counting from `reload` began */
	u64 stopped_at; /* the gate went low then, and freezes the count */
};

struct pit {
	struct pit_channel channel[PIT_CHANNELS];
	u8 port61;
};

void pit_init(struct pit *pit);

/*
 * Ports 0x40 to 0x43, and 0x61. A write says whether it programmed channel 0: its mode or its
 * count.
 */
u8 pit_read(struct pit *pit, u16 port, u64 now);
bool pit_write(struct pit *pit, u16 port, u8 value, u64 now);

/* The level of a channel's OUT pin. */
bool pit_output(const struct pit *pit, unsigned channel, u64 now);

/* The first clock after `now` at which channel 0's OUT rises, PIT_NEVER when it will not. */
u64 pit_next_rise(const struct pit *pit, u64 now);

/* Does it rise again and again? */
bool pit_is_periodic(const struct pit *pit);

/* How often channel 0's OUT rises in (after, now]. */
u64 pit_rises(const struct pit *pit, u64 after, u64 now);

#endif
