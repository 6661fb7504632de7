/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c: spinlocks that several threads take, with a queue and without.
 */
#include "sim/sim.h"

#include <lib/lock.h>
#include <pthread.h>
#include <sched.h>

#define ROUNDS 1000
#define LOOKS  2000

static struct spinlock lock = SPINLOCK_INIT(LOCK_MMU, "lock");
static u64 sum;
static u32 begun;

static void *add(void *cpu)
{
	sim_set_cpu((unsigned)(uintptr_t)cpu);
	for (unsigned i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		sum++;
		spin_unlock(&lock);
	}
	return NULL;
}

static void *take_once(void *cpu)
{
	sim_set_cpu((unsigned)(uintptr_t)cpu);
	ck_pr_store_32(&begun, 1);
	spin_lock(&lock);
	sum++;
	spin_unlock(&lock);
	return NULL;
}

/* CPUs that hold the lock or queue for it. */
static unsigned tickets(void)
{
	u32 value = ck_pr_load_32(&lock.ticket.value);

	return (u16)((value >> 16) - value);
}

static void run_adders(bool queued)
{
	pthread_t threads[2];

	sim_init(2);
	spin_init(&lock, LOCK_MMU, "lock");
	spin_set_queued(queued);
	sum = 0;
	for (uintptr_t cpu = 0; cpu < 2; cpu++)
		assert_int_equal(pthread_create(&threads[cpu], NULL, add, (void *)cpu), 0);
	for (unsigned cpu = 0; cpu < 2; cpu++)
		assert_int_equal(pthread_join(threads[cpu], NULL), 0);
	spin_set_queued(true);
	assert_int_equal(sum, 2 * ROUNDS);
	assert_int_equal(tickets(), 0);
}

static void one_cpu_at_a_time_holds_a_lock(void **state)
{
	run_adders(true);
}

static void one_cpu_at_a_time_holds_a_lock_without_a_queue(void **state)
{
	run_adders(false);
}

/* The most tickets that are out while another CPU waits for a lock of this one. */
static unsigned tickets_beside_a_waiter(bool queued)
{
	unsigned most = 0;
	pthread_t thread;
	u64 while_held;

	sim_init(2);
	spin_init(&lock, LOCK_MMU, "lock");
	spin_set_queued(queued);
	ck_pr_store_32(&begun, 0);
	sum = 0;
	spin_lock(&lock);
	assert_int_equal(pthread_create(&thread, NULL, take_once, (void *)1), 0);
	while (!ck_pr_load_32(&begun))
		sched_yield();
	for (unsigned i = 0; most < 2 && (queued || i < LOOKS); i++) {
		most = MAX(most, tickets());
		sched_yield();
	}
	while_held = ck_pr_load_64(&sum);
	spin_unlock(&lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	spin_set_queued(true);
	assert_int_equal(while_held, 0);
	return most;
}

/* LOCK-3: no lock is passed to a CPU that may have lost its core. */
static void without_a_queue_a_waiter_has_no_ticket(void **state)
{
	assert_int_equal(tickets_beside_a_waiter(true), 2);
	assert_int_equal(tickets_beside_a_waiter(false), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu_at_a_time_holds_a_lock),
		cmocka_unit_test(one_cpu_at_a_time_holds_a_lock_without_a_queue),
		cmocka_unit_test(without_a_queue_a_waiter_has_no_ticket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
