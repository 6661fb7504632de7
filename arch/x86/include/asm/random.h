/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h: the start of the random numbers behind arch_random(), and the stack protector's canary.
 */
#ifndef SAMEPAGE_ASM_RANDOM_H
#define SAMEPAGE_ASM_RANDOM_H

/* Draws the first key and the canary. The first C code that runs, on CPU 0. */
void random_start(void);

/* Takes seed=N from the command line, and says in the log where the numbers come from. CPU 0. */
void random_init(void);

#endif
