/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h: random numbers for secrets that a guest must not predict: hash keys, canaries.
 */
#ifndef SAMEPAGE_ARCH_RANDOM_H
#define SAMEPAGE_ARCH_RANDOM_H

#include <lib/types.h>

/*
 * A random number, from RDRAND and from the jitter of the TSC at boot; without RDRAND from the
 * jitter alone. With seed=N on the command line the sequence depends on N only, so that two runs do
 * the same; then it is no secret. Takes no lock. Any context after arch_init().
 */
u64 arch_random(void);

#endif
