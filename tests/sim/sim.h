/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h: a simulated machine for the host tests: memory, CPUs, time, a console, chance, and bad
 * luck.
 *
 * It fulfils include/arch/cpu.h and hands lib its environment. Nothing in it depends on time or on
 * the host, so a run with the same seed does the same; SAMEPAGE_SEED=n in the environment sets
 * another one.
 *
 * A test starts with sim_init(), which resets everything.
 */
#ifndef SAMEPAGE_TESTS_SIM_SIM_H
#define SAMEPAGE_TESTS_SIM_SIM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arch/cpu.h>
#include <arch/random.h>
#include <lib/error.h>
#include <lib/types.h>
#include <mm/frame.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* The machine: `cpus` CPUs, this thread on CPU 0, no memory. */
void sim_init(unsigned cpus);

/*
 * Memory, zeroed, at machine address [start, start + bytes). Below SIM_MEMORY_MAX. Touching what
 * was not added is a segmentation fault.
 */
#ifndef SIM_MEMORY_MAX
#define SIM_MEMORY_MAX (64 * GIB)
#endif
void sim_add_memory(u64 start, u64 bytes);

/* sim_init, one range of memory at 1 MiB, and frame_init over it. The usual start of a test. */
void sim_boot(unsigned cpus, u64 bytes);

/* Which CPU this thread is from now on. */
void sim_set_cpu(unsigned cpu);

/* What happens at a kick, on the kicking CPU; NULL: nothing. */
extern void (*sim_on_kick)(unsigned cpu);

/* What happens in a loop that waits for another CPU; NULL: nothing. */
extern void (*sim_on_relax)(void);

/* What happens at a RACE_POINT(); NULL: nothing. */
extern void (*sim_on_race_point)(const char *name);

/* What arch_ticks() says: one more with each call, and whatever a test adds. */
extern u64 sim_ticks;

/* The console's last lines, terminated. */
const char *sim_console(void);

/*
 * sim_panics(statement, text): the statement must panic with a message that contains `text`. What
 * it had allocated from the host leaks; locks it held stay held.
 */
extern jmp_buf *sim_panic_exit;
extern char sim_panic_message[256];
#define sim_panics(statement, text)                                                    \
	do {                                                                           \
		jmp_buf here;                                                          \
		sim_panic_exit = &here;                                                \
		if (setjmp(here) == 0) {                                               \
			statement;                                                     \
			sim_panic_exit = NULL;                                         \
			fail_msg("no panic in: %s", #statement);                       \
		}                                                                      \
		if (!strstr(sim_panic_message, text))                                  \
			fail_msg("panic without \"%s\": %s", text, sim_panic_message); \
	} while (0)

/* ./test --long: a search that takes minutes is made whole, and not a part of it. */
bool sim_long(void);

/* Chance: splitmix64. sim_random_start prints the seed, which SAMEPAGE_SEED replaces. */
struct sim_random {
	u64 state;
};
struct sim_random sim_random_start(u64 seed);
u64 sim_random(struct sim_random *random);
/* Evenly in [0, limit). */
u64 sim_below(struct sim_random *random, u64 limit);
/* True once in `n` on average. */
bool sim_once_in(struct sim_random *random, u64 n);
/* A size in [1, limit], each power of two as likely as any other. */
u64 sim_size(struct sim_random *random, u64 limit);

/*
 * Bad luck: the n-th call of frame_alloc from now on (1 is the next) says ERR_NO_MEMORY, and so do
 * the `length` - 1 after it; 0: none does. sim_frame_allocs counts the calls since then.
 *
 *     for (u64 n = 1; n <= limit; n++) {
 *             sim_fail_frame_alloc(n, 1);
 *             err = operation();
 *             if (sim_frame_allocs() < n) ... it made fewer calls: all n are tried
 */
void sim_fail_frame_alloc(u64 nth, u64 length);
u64 sim_frame_allocs(void);

#endif
