/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c: spinlocks and, with CONFIG_LOCK_RANK, the check of their order.
 *
 * The lock itself is Concurrency Kit's ticket lock: fair, so no CPU starves. Under a hypervisor or
 * an emulator a CPU is a thread that loses its core for milliseconds, and a queue then passes the
 * lock to a CPU that does not run:
 *
 *     CPU 0: scans                   CPU 1                          CPU 2
 *     ------------                   -----                          -----
 *     holds
 *                                    queues; loses its core
 *     releases: the lock is CPU 1's
 *     queues behind CPU 1            does not run                   queues behind CPU 0
 *     loses its core                 runs; releases
 *     does not run                                                  waits for CPU 0
 *
 * So there no CPU queues: each takes the lock when it finds it free, and rests when it has not for
 * a while.
 *
 * The check keeps, for each CPU, the ranks it holds as a stack, and panics before the CPU would
 * wait, with the names of both locks.
 *
 * The analysis of clang (-Wthread-safety) rests on the functions of lock.h and does not check them.
 *
 * Invariants:
 * LOCK-1  a CPU takes a lock only of a higher rank than every lock it holds.
 * LOCK-2  a CPU releases only a lock it holds (in any order).
 * LOCK-3  with spin_set_queued(false) no lock is passed to a CPU that waits for it.
 */
#include <lib/lock.h>
#include <lib/env.h>
#include <lib/log.h>

#define HELD_MAX 8
#define LOOKS	 32

/* The locks a CPU holds, in the order taken. [c] */
struct held {
	unsigned count;
	const struct spinlock *lock[HELD_MAX];
};

static struct held held_by_cpu[CONFIG_MAX_CPUS];
static bool queued = true; /* [I] after init */

static struct held *held_here(void)
{
	return &held_by_cpu[lib_env()->cpu_id()];
}

static void check_order(const struct spinlock *lock)
{
	const struct held *held = held_here();

	for (unsigned i = 0; i < held->count; i++)
		if (held->lock[i]->rank >= lock->rank)
			panic("lock order: %s (rank %u) taken while %s (rank %u) is held",
			      lock->name, lock->rank, held->lock[i]->name, held->lock[i]->rank);
}

static void note_taken(const struct spinlock *lock)
{
	struct held *held = held_here();

	if (held->count == HELD_MAX)
		panic("lock order: %s would be lock number %u on this CPU", lock->name,
		      HELD_MAX + 1);
	held->lock[held->count++] = lock;
}

static void note_released(const struct spinlock *lock)
{
	struct held *held = held_here();
	unsigned i = held->count;

	while (i && held->lock[i - 1] != lock)
		i--;
	if (!i)
		panic("lock order: %s released by a CPU that does not hold it", lock->name);
	for (held->count--; i <= held->count; i++)
		held->lock[i - 1] = held->lock[i];
}

void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name)
{
	*lock = (struct spinlock)SPINLOCK_INIT(rank, name);
}

void spin_set_queued(bool on)
{
	queued = on;
}

/* A lock that stays taken for so many looks has a holder without a core: it may have this one. */
static void wait_without_queue(ck_spinlock_ticket_t *ticket)
{
	unsigned looks = 0;

	while (!ck_spinlock_ticket_trylock(ticket)) {
		if (++looks % LOOKS)
			lib_env()->relax();
		else
			lib_env()->rest();
	}
}

/* The fast path fails while CPUs queue, so it overtakes none. */
void spin_wait(struct spinlock *lock)
{
	if (queued)
		ck_spinlock_ticket_lock(&lock->ticket);
	else
		wait_without_queue(&lock->ticket);
}

void spin_lock_checked(struct spinlock *lock)
{
	check_order(lock);
	if (!ck_spinlock_ticket_trylock(&lock->ticket))
		spin_wait(lock);
	note_taken(lock);
}

LOCK_UNCHECKED bool spin_trylock(struct spinlock *lock)
{
	if (!ck_spinlock_ticket_trylock(&lock->ticket))
		return false;
	if (IS_ENABLED(CONFIG_LOCK_RANK))
		note_taken(lock);
	return true;
}

void spin_unlock_checked(struct spinlock *lock)
{
	note_released(lock);
	ck_spinlock_ticket_unlock(&lock->ticket);
}

bool spin_is_locked(struct spinlock *lock)
{
	return ck_spinlock_ticket_locked(&lock->ticket);
}
