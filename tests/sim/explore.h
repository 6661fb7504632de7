/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore.h: runs a few simulated CPUs in every interleaving of their switch points.
 *
 * Each task is a coroutine on a CPU of its own. It runs alone until it comes to a RACE_POINT() of
 * the code under test, to a loop that waits, to a lock that is held, or to sched_point(): there the
 * explorer chooses the CPU that goes on. It goes through all choices depth first, with at most
 * `preemptions` switches away from a task that could have gone on; a schedule is replayed from its
 * start, so a scenario sets itself up anew each time.
 *
 * Waiting costs no preemption: a task that waits runs again when another one has moved, or when
 * no other CPU can run. If that goes on, the schedule is a deadlock and the test fails.
 *
 * `preemptions` is the bound, and within it the search is exhaustive unless `limit` cuts it. The
 * environment's SAMEPAGE_PREEMPTIONS=N sets another bound, for every scenario that is not drawn by
 * chance, and takes the limits away.
 *
 * Where all interleavings are too many, `random` chooses: then `limit` schedules are run, each
 * drawn anew. The seed is printed where the sequence was started, so a failure can be had again.
 */
#ifndef SAMEPAGE_TESTS_SIM_EXPLORE_H
#define SAMEPAGE_TESTS_SIM_EXPLORE_H

#include <lib/types.h>

#define SCHED_TASKS 8

struct sim_random;

/*
 * setup		called before each schedule
 * tasks	body of the task on CPU i
 * check	called after each schedule, on CPU 0
 * random	NULL: all interleavings, depth first
 * at_locks	a spin_lock() of a lock that is free is a switch point, too
 */
struct sched_scenario {
	void (*setup)(void *world);
	void (*task[SCHED_TASKS])(void *world);
	void (*check)(void *world);
	void *world;
	unsigned preemptions;
	u64 limit; /* of schedules; 0: none */
	struct sim_random *random;
	bool at_locks;
};

/* How many schedules it ran. */
u64 sched_explore(const struct sched_scenario *scenario);

/*
 * Every schedule of `preemptions` switches, and after them `drawn` with any number of switches; how
 * many in all.
 */
u64 sched_explore_and_draw(struct sched_scenario scenario, u64 drawn);

/* A task's own switch point; a wait for something another task does. */
void sched_point(const char *name);
void sched_wait(void);

/* Is a schedule being run? */
bool sched_running(void);

/* The points at which the current schedule switched, for messages. */
const char *sched_trace(void);

#endif
