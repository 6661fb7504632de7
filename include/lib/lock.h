/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h: spinlocks (Concurrency Kit's ticket lock) with a rank each.
 *
 * Why ranks: a CPU may take a lock only of a higher rank than all it holds, so no two CPUs can wait
 * for each other. CONFIG_LOCK_RANK checks it at every acquisition and panics with both names;
 * without it the rank costs nothing.
 *
 * Interrupts: the hypervisor runs with interrupts off except in its idle loop, where it holds no
 * lock, and while it rests in a wait for a lock. No handler takes a lock, so there is no irqsave
 * variant.
 */
#ifndef SAMEPAGE_LIB_LOCK_H
#define SAMEPAGE_LIB_LOCK_H

#include <ck_spinlock.h>
#include <lib/log.h>
#include <lib/types.h>

/* The order of all locks, outermost first; docs/locking.md has a line for each. */
enum lock_rank {
	LOCK_VM,
	LOCK_SCHED,
	LOCK_PCI,	    /* a function of a VM's PCI bus and the device around it */
	LOCK_MERGE_REGIONS, /* which regions and domains there are, and their engines */
	LOCK_MERGE_WORLD,   /* the scanner's cursor, and the list of regions as it reads it */
	LOCK_MERGE,	    /* a merge domain: its two indexes */
	LOCK_NOTIFIER,
	LOCK_MMU, /* struct addrspace: primary PTEs and every stage 2 derived from them */
	LOCK_RMAP,
	LOCK_DEVICE,
	LOCK_STORE, /* reclaimed pages' content */
	LOCK_POOL,  /* small objects: taken for an allocation, under anything but LOCK_FRAME */
	LOCK_FRAME,
	LOCK_CONSOLE,
	LOCK_RANKS
};

#if defined(__clang__)
#define LOCK_CAPABILITY	   __attribute__((capability("spinlock")))
#define LOCK_ACQUIRE(...)  __attribute__((acquire_capability(__VA_ARGS__)))
#define LOCK_RELEASE(...)  __attribute__((release_capability(__VA_ARGS__)))
#define LOCK_TRY(...)	   __attribute__((try_acquire_capability(__VA_ARGS__)))
#define LOCK_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define LOCK_ASSERTS(...)  __attribute__((assert_capability(__VA_ARGS__)))
/* A function with locking that the analysis cannot follow; its comment says why it is right. */
#define LOCK_UNCHECKED __attribute__((no_thread_safety_analysis))
#else
#define LOCK_UNCHECKED
#define LOCK_CAPABILITY
#define LOCK_ACQUIRE(...)
#define LOCK_RELEASE(...)
#define LOCK_TRY(...)
#define LOCK_REQUIRES(...)
#define LOCK_ASSERTS(...)
#endif

struct LOCK_CAPABILITY spinlock {
	ck_spinlock_ticket_t ticket;
	enum lock_rank rank; /* [I] */
	const char *name;    /* [I] */
};

/* A lock that needs no spin_init(). */
#define SPINLOCK_INIT(rank_, name_)                                                        \
	{                                                                                  \
		.ticket = CK_SPINLOCK_TICKET_INITIALIZER, .rank = (rank_), .name = (name_) \
	}

/*
 * Whether CPUs queue for a lock, as they do without this call. Once, before other CPUs run: no,
 * where a CPU may lose its core to others.
 */
void spin_set_queued(bool on);

void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name);
bool spin_trylock(struct spinlock *lock) LOCK_TRY(true, lock);
bool spin_is_locked(struct spinlock *lock);

/* spin_lock() and spin_unlock() with CONFIG_LOCK_RANK. */
void spin_lock_checked(struct spinlock *lock);
void spin_unlock_checked(struct spinlock *lock);
/* spin_lock() when the lock is not free. */
void spin_wait(struct spinlock *lock) __cold;

LOCK_UNCHECKED static inline void spin_lock(struct spinlock *lock) LOCK_ACQUIRE(lock)
{
	if (IS_ENABLED(CONFIG_LOCK_RANK))
		spin_lock_checked(lock);
	else if (unlikely(!ck_spinlock_ticket_trylock(&lock->ticket)))
		spin_wait(lock);
}

LOCK_UNCHECKED static inline void spin_unlock(struct spinlock *lock) LOCK_RELEASE(lock)
{
	if (IS_ENABLED(CONFIG_LOCK_RANK))
		spin_unlock_checked(lock);
	else
		ck_spinlock_ticket_unlock(&lock->ticket);
}

/*
 * States to the analysis, in a callback that it cannot follow, that the caller's caller holds the
 * lock.
 */
static inline void spin_assert_held(struct spinlock *lock) LOCK_ASSERTS(lock)
{
	if (IS_ENABLED(CONFIG_LOCK_RANK))
		CHECK(spin_is_locked(lock));
}

#endif
