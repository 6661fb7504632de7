/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.h: the TSC as the one clock, and how fast it is.
 */
#ifndef SAMEPAGE_ASM_TIME_H
#define SAMEPAGE_ASM_TIME_H

#include <lib/types.h>

/* Finds out the TSC's rate (CPUID 15h, 16h, or measured against the PIT) and says so. CPU 0, once.
 */
void time_init(void);

/* Microseconds since time_init(), for log lines; 0 before. Any context. */
u64 time_microseconds(void);

/* Busy-waits. Any context after time_init(). */
void time_delay(u64 microseconds);

#endif
