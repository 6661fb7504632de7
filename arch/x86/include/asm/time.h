/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.h: the TSC as the one clock, and how fast it is.
 */
#ifndef SAMEPAGE_ASM_TIME_H
#define SAMEPAGE_ASM_TIME_H

#include <lib/types.h>

/* Finds out the TSC's rate (CPUID 15h, the PIT, or CPUID 16h) and says so. CPU 0, once. */
void time_init(void);

/* Microseconds since time_init(), for log lines; 0 before. Any context. */
u64 time_microseconds(void);

/* Busy-waits. Any context after time_init(). */
void time_delay(u64 microseconds);

/* How many ticks something took: at least, and at most. */
struct time_bounds {
	u64 least, most;
};
#define TIME_UNKNOWN ((struct time_bounds){0, ~0ull})

/*
 * Lets `run` time something, several times if need be, and returns the ticks that the best try
 * took: the one with the tightest bounds, as an SMI or a host that schedules us away only widens
 * them. 0 when no try succeeded.
 */
u64 time_measure(struct time_bounds (*run)(void));

#endif
