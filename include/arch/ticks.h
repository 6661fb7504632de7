/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticks.h: the clock that deadlines are stated in.
 *
 * A deadline is a value of arch_ticks(). TICK_NEVER is the only special one: no deadline. 0 is a
 * deadline that has passed.
 */
#ifndef SAMEPAGE_ARCH_TICKS_H
#define SAMEPAGE_ARCH_TICKS_H

#include <arch/inline.h>
#include <lib/types.h>

#define TICK_NEVER (~0ull)

/*
 * u64 arch_ticks(void): ticks of a clock that is monotonic on each CPU and synchronized between
 * them (invariant TSC). Any context. Inline.
 */

/* The rate of arch_ticks(). Any context. */
u64 arch_ticks_per_second(void);

/*
 * An alarm on this CPU: wakes arch_idle(), or ends a guest's run, once arch_ticks() is past
 * `deadline`. One alarm per CPU: a later call replaces it.
 */
void arch_alarm(u64 deadline);

#endif
