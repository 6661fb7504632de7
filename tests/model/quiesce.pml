/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiesce.pml: include/lib/quiesce.h: readers that take no lock, and an updater that frees what they read.
 *
 *     reader, on CPU c                       updater
 *     ----------------                       -------
 *     count[c]++   (odd: inside)             object = none
 *     full barrier                           full barrier
 *     find the object, use it                snapshot of count[]
 *     count[c]++   (even: outside)           wait: even, or no longer the snapshot
 *                                            free the object
 *
 * Two users: the notifier (the object is a view of the subscriptions, or a subscription in it) and the merger (an area
 * or a page's metadata).
 *
 * A store is buffered, as on x86: other CPUs see it when its CPU's buffer drains, at any time or at a full barrier.
 *
 * Checked: QUIESCE-1: no reader uses a freed object. QUIESCE-2: a reader that enters during the wait, and stays inside,
 * does not delay the updater.
 * Mutants: NO_WAIT, LATE_ENTER (the reader finds the object before it enters), SNAPSHOT_FIRST (the snapshot is taken
 * before the unlink), NO_READER_BARRIER, NO_UPDATER_BARRIER, WAIT_EVEN (the updater waits for even counts alone).
 */
#define CPUS   2
#define ROUNDS 2

bool linked = true, freed;
bool waiting;		/* the updater has taken its snapshots */
byte count[CPUS];
byte stores[CPUS];	/* of count[], not yet drained */
bool unlink_store;	/* of `linked`, not yet drained */

inline full_barrier() { stores[me] == 0 }

inline use() { assert(!freed); skip; assert(!freed) }	/* QUIESCE-1 */

inline read_object()
{
	bool found;
#ifdef LATE_ENTER
	found = linked;
	stores[me]++;
	full_barrier();
#else
	stores[me]++;
#ifndef NO_READER_BARRIER
	full_barrier();
#endif
	found = linked;
#endif
	if
	:: found -> use()
	:: else
	fi;
	stores[me]++
}

proctype reader(byte me)
{
	byte round;

	for (round : 1 .. ROUNDS) {
		read_object()
	}
	waiting;
	stores[me]++;
	full_barrier();
	freed;
	stores[me]++
}

active proctype updater()
{
	byte c, snapshot[CPUS];

#ifndef SNAPSHOT_FIRST
	unlink_store = true;
#ifndef NO_UPDATER_BARRIER
	!unlink_store;
#endif
#endif
	for (c : 0 .. CPUS - 1) {
		snapshot[c] = count[c]
	}
#ifdef SNAPSHOT_FIRST
	unlink_store = true;
	!unlink_store;
#endif
	waiting = true;
#ifndef NO_WAIT
	for (c : 0 .. CPUS - 1) {
#ifdef WAIT_EVEN
		count[c] % 2 == 0
#else
		snapshot[c] % 2 == 0 || count[c] != snapshot[c]
#endif
	}
#endif
	freed = true
}

/* The store buffers drain at any time. */
active proctype memory()
{
end:
	do
	:: d_step { stores[0] > 0 -> stores[0]--; count[0]++ }
	:: d_step { stores[1] > 0 -> stores[1]--; count[1]++ }
	:: d_step { unlink_store -> unlink_store = false; linked = false }
	od
}

/* QUIESCE-2 */
active proctype watch()
{
	timeout -> assert(freed)
}

init
{
	atomic { run reader(0); run reader(1) }
}
