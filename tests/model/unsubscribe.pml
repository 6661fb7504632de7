/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsubscribe.pml: taking a subscriber off the chain while other CPUs notify.
 *
 * Dispatch takes no lock: it says that it reads, looks the subscriber up, calls it, and says that it has read. The
 * unsubscriber unlinks, then waits until every CPU that was reading has finished what it was in; after that the
 * subscriber's memory may go.
 *
 *     CPU dispatching                        CPU unsubscribing
 *     ---------------                        -----------------
 *     reading[cpu]++   (odd: inside)
 *     sub = chain
 *                                            chain = none
 *                                            snapshot of reading[]
 *     sub->callback()                        wait: even, or no longer the snapshot
 *     reading[cpu]++   (even: outside)
 *                                            free sub
 *
 * Checked: NOTIFIER-1 no callback runs in a freed subscriber; no deadlock: a stream of new dispatches does not hold the
 * unsubscriber up.
 * Mutants: NO_WAIT, LATE_ENTER (the reader looks the subscriber up before it says that it reads), SNAPSHOT_FIRST (the
 * snapshot is taken before the unlink).
 */
#define CPUS   2
#define ROUNDS 2

bool linked = true, freed;
byte reading[CPUS];

inline callback() { assert(!freed); skip; assert(!freed) }

inline dispatch()
{
	bool sub;
#ifdef LATE_ENTER
	sub = linked;
	reading[me]++;
#else
	reading[me]++;
	sub = linked;
#endif
	if
	:: sub -> callback()
	:: else
	fi;
	reading[me]++
}

proctype notifier(byte me)
{
	byte round;

	for (round : 1 .. ROUNDS) {
		dispatch()
	}
}

active proctype unsubscriber()
{
	byte c, snapshot[CPUS];

#ifndef SNAPSHOT_FIRST
	linked = false;
#endif
	for (c : 0 .. CPUS - 1) {
		snapshot[c] = reading[c]
	}
#ifdef SNAPSHOT_FIRST
	linked = false;
#endif
#ifndef NO_WAIT
	for (c : 0 .. CPUS - 1) {
		snapshot[c] % 2 == 0 || reading[c] != snapshot[c]
	}
#endif
	freed = true
}

init
{
	atomic { run notifier(0); run notifier(1) }
}
