/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore.c: the explorer of interleavings. explore.h says what it does.
 *
 * The choices of a schedule are a list of numbers: at each switch point, which of the tasks that
 * may go on does, 0 being the one that runs now. The next schedule is the last one with its last
 * choice that has an alternative moved on by one, and everything after it 0 again.
 */
#include "sim/explore.h"
#include "sim/sim.h"

#include <lib/lock.h>
#include <ucontext.h>

#define CHOICES	      4096
#define STACK_SIZE    (256 * 1024)
#define IDLE_MAX      10000
#define SWITCH_ONE_IN 3
#define ANY_NUMBER    1000

enum task_state { TASK_NONE, TASK_READY, TASK_WAITING, TASK_DONE };

struct task {
	ucontext_t context;
	enum task_state state;
	u64 waits_since; /* `progress` when it began to wait */
	char *stack;
};

static struct {
	const struct sched_scenario *scenario;
	struct task task[SCHED_TASKS];
	ucontext_t main;
	unsigned current;
	bool running;
	u64 progress;
	unsigned preemptions_left;
	unsigned idle; /* waits with no other CPU to run */
	u64 locks;     /* taken while the scenario ran */
	struct {
		u16 choice, limit;
	} choice[CHOICES];
	unsigned depth, length;
	char trace[2048];
} sched;

static void note(const char *name, unsigned to)
{
	size_t used = strlen(sched.trace);

	snprintf(sched.trace + used, sizeof(sched.trace) - used, " [%s] cpu%u", name, to);
}

const char *sched_trace(void)
{
	return sched.trace;
}

bool sched_running(void)
{
	return sched.running;
}

static bool may_run(unsigned task)
{
	const struct task *t = &sched.task[task];

	return t->state == TASK_READY ||
	       (t->state == TASK_WAITING && t->waits_since != sched.progress);
}

static void switch_to(unsigned next)
{
	unsigned from = sched.current;

	sched.current = next;
	sched.task[next].state = TASK_READY;
	sim_set_cpu(next);
	if (from != next)
		swapcontext(&sched.task[from].context, &sched.task[next].context);
}

/* One of `limit` alternatives: by chance, or what the replay says, or 0 where that has ended. */
static unsigned choose(unsigned limit)
{
	unsigned at = sched.depth++;

	if (sched.scenario->random)
		return (unsigned)sim_below(sched.scenario->random, limit);
	if (at >= CHOICES) /* the end of a trace that loops says nothing */
		fail_msg("CPUs wait for each other without end:%.600s", sched.trace);
	if (at >= sched.length) {
		sched.choice[at].choice = 0;
		sched.length = at + 1;
	}
	sched.choice[at].limit = limit;
	return sched.choice[at].choice;
}

/* The tasks that may run, the others after the current one if that may. */
static unsigned candidates(unsigned *out)
{
	unsigned count = 0;

	if (may_run(sched.current))
		out[count++] = sched.current;
	for (unsigned i = 0; i < SCHED_TASKS; i++)
		if (i != sched.current && may_run(i))
			out[count++] = i;
	return count;
}

/* Chance leaves a task alone for some points, or none would ever get far into what it does. */
static bool likes_to_switch(void)
{
	return !sched.scenario->random || sim_once_in(sched.scenario->random, SWITCH_ONE_IN);
}

void sched_point(const char *name)
{
	unsigned to[SCHED_TASKS], count, chosen;

	if (!sched.running)
		return;
	sched.progress++;
	count = candidates(to);
	if (count < 2 || !sched.preemptions_left || !likes_to_switch())
		return;
	chosen = choose(count);
	if (!chosen)
		return;
	sched.preemptions_left--;
	note(name, to[chosen]);
	switch_to(to[chosen]);
}

/* All wait, but perhaps one of them for nothing but another try: each in turn. */
static unsigned next_waiting(void)
{
	unsigned next = sched.current;

	do
		next = (next + 1) % SCHED_TASKS;
	while (sched.task[next].state != TASK_WAITING && next != sched.current);
	return next;
}

/*
 * The current task cannot go on before something changes, so one of the others goes on, if any can.
 */
static void give_way(const char *why)
{
	unsigned to[SCHED_TASKS], count = candidates(to), chosen;

	if (!count) {
		if (++sched.idle > IDLE_MAX)
			fail_msg("no CPU gets on:%s", sched.trace);
		switch_to(next_waiting());
		return;
	}
	chosen = to[count > 1 ? choose(count) : 0];
	note(why, chosen);
	switch_to(chosen);
}

void sched_wait(void)
{
	if (!sched.running)
		return;
	sched.task[sched.current].state = TASK_WAITING;
	sched.task[sched.current].waits_since = sched.progress;
	give_way("wait");
	sched.task[sched.current].state = TASK_READY;
}

void __wrap_spin_lock_checked(struct spinlock *lock);
void __wrap_spin_lock_checked(struct spinlock *lock)
{
	if (sched.running) {
		sched.locks++;
		if (sched.scenario->at_locks)
			sched_point(lock->name);
	}
	while (!spin_trylock(lock)) {
		if (!sched.running)
			fail_msg("spin_lock(): this CPU holds the lock \"%s\" already", lock->name);
		sched_wait();
	}
}

static void task_main(void)
{
	unsigned me = sched.current;
	bool left = false;

	sched.scenario->task[me](sched.scenario->world);
	sched.task[me].state = TASK_DONE;
	sched.progress++;
	for (unsigned i = 0; i < SCHED_TASKS; i++)
		left |= sched.task[i].state == TASK_READY || sched.task[i].state == TASK_WAITING;
	if (left)
		give_way("done");
	else
		setcontext(&sched.main);
}

static void start_task(unsigned i)
{
	struct task *task = &sched.task[i];

	task->state = TASK_NONE;
	if (i >= SCHED_TASKS || !sched.scenario->task[i])
		return;
	if (!task->stack)
		task->stack = malloc(STACK_SIZE);
	getcontext(&task->context);
	task->context.uc_stack.ss_sp = task->stack;
	task->context.uc_stack.ss_size = STACK_SIZE;
	task->context.uc_link = NULL;
	makecontext(&task->context, task_main, 0);
	task->state = TASK_READY;
}

static void run_schedule(const struct sched_scenario *scenario)
{
	sched.depth = 0;
	sched.progress = 0;
	sched.idle = 0;
	sched.preemptions_left = scenario->preemptions;
	sched.trace[0] = '\0';
	scenario->setup(scenario->world);
	sim_on_relax = sched_wait;
	sim_on_race_point = sched_point;
	for (unsigned i = 0; i < SCHED_TASKS; i++)
		start_task(i);
	sched.current = 0;
	sched.running = true;
	swapcontext(&sched.main, &sched.task[0].context);
	sched.running = false;
	sim_on_relax = NULL;
	sim_on_race_point = NULL;
	sim_set_cpu(0);
	scenario->check(scenario->world);
}

/* Moves the last choice that has an alternative on; false when there is none: all have been run. */
static bool next_schedule(void)
{
	sched.length = sched.depth;
	while (sched.length) {
		unsigned last = sched.length - 1;

		if (sched.choice[last].choice + 1u < sched.choice[last].limit) {
			sched.choice[last].choice++;
			return true;
		}
		sched.length--;
	}
	return false;
}

/* The scenario, or with another bound, if the environment has one. */
static struct sched_scenario with_bound(const struct sched_scenario *scenario)
{
	const char *bound = getenv("SAMEPAGE_PREEMPTIONS");
	struct sched_scenario changed = *scenario;

	if (bound && !scenario->random) {
		changed.preemptions = (unsigned)strtoul(bound, NULL, 10);
		changed.limit = 0;
	}
	return changed;
}

u64 sched_explore_and_draw(struct sched_scenario scenario, u64 drawn)
{
	struct sim_random random = {.state = 74};
	u64 schedules = sched_explore(&scenario);

	scenario.random = &random;
	scenario.preemptions = ANY_NUMBER;
	scenario.limit = drawn;
	return schedules + sched_explore(&scenario);
}

u64 sched_explore(const struct sched_scenario *given)
{
	const struct sched_scenario bounded = with_bound(given), *scenario = &bounded;
	u64 schedules = 0;

	sched.scenario = scenario;
	sched.length = 0;
	sched.locks = 0;
	do {
		run_schedule(scenario);
		schedules++;
	} while ((!scenario->limit || schedules < scenario->limit) &&
		 (scenario->random || next_schedule()));
	for (unsigned i = 0; i < SCHED_TASKS; i++) {
		free(sched.task[i].stack);
		sched.task[i].stack = NULL;
	}
	if (scenario->at_locks && !sched.locks)
		fail_msg("at_locks, and no lock came here: link with --wrap=spin_lock_checked");
	sched.scenario = NULL;
	return schedules;
}
