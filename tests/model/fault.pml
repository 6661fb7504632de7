/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.pml: a stage-2 fault against invalidations of its own gfn and of another one.
 *
 * Why: the fault path looks the frame up without a lock, so an invalidation can come between the look-up and the
 * installation. The invalidate sequence finds that out; the log says whether it was this gfn, so that an invalidation
 * of another gfn costs no retry (mm/stage2/fault.c, docs/mm/stage2.md).
 *
 *     vCPU                              invalidator of the same gfn
 *     ----                              ---------------------------
 *                                       lock: pending++, drop the entry
 *     s = sequence
 *     frame = primary[gfn]
 *                                       primary[gfn] = other frame
 *                                       lock: log gfn, sequence++, pending--
 *                                       free the old frame
 *     lock: sequence != s and the log
 *     names gfn, or gfn is pending:
 *     must not install
 *
 * The sequence moves at the end, not at the start: a fault that began between the two would otherwise find the same
 * sequence and nothing pending, with the old frame in hand (mutant BUMP_AT_START).
 *
 * Checked: STALE-1 a guest never reads a freed frame. INVALIDATE-2: an exact retry is only ever of this gfn. No
 * deadlock.
 * Mutants (each must be found): NO_RECHECK, NO_PENDING, NO_DROP, NO_OVERFLOW, LOOKUP_FIRST, BUMP_AT_START.
 */
#define GFNS   2
#define FRAMES 7	/* 0 is "none"; gfn g starts at frame g + 1 */
#define LOG    2	/* log entries; more invalidations than this are an overflow */
#define ROUNDS 4	/* invalidations in all, so that the log does overflow */

bit  lock;
byte sequence;
byte log[LOG];		/* log[s % LOG]: the gfn of the end that made the sequence s + 1 */
byte pending[GFNS];	/* starts without their end */
byte primary[GFNS];
byte secondary;		/* the entry of gfn 0 */
bool freed[FRAMES];
byte hits[GFNS];	/* ends so far, by gfn: the oracle for INVALIDATE-2 */
byte next_frame = GFNS + 1;
byte done;

inline record(which) { d_step { log[sequence % LOG] = which; sequence++; hits[which]++ } }
inline acquire() { atomic { lock == 0 -> lock = 1 } }
inline release() { lock = 0 }

/* Sets `result` when an end of gfn 0 was logged after `since`, or when the log has lost it. */
inline look(since, result, exact)
{
	d_step {
		result = false;
		exact = true;
		i = since;
#ifndef NO_OVERFLOW
		if
		:: sequence - since > LOG -> result = true; exact = false
		:: else
		fi;
#endif
		do
		:: i < sequence && !result && exact ->
			if
			:: log[i % LOG] == 0 -> result = true
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

proctype invalidator(byte gfn)
{
	byte old;

	acquire();
#ifdef BUMP_AT_START
	record(gfn);
#endif
	pending[gfn]++;
#ifndef NO_DROP
	if
	:: gfn == 0 -> secondary = 0
	:: else
	fi;
#endif
	release();

	atomic { old = primary[gfn]; primary[gfn] = next_frame; next_frame++ }

	acquire();
#ifndef BUMP_AT_START
	record(gfn);
#endif
	pending[gfn]--;
	release();
	freed[old] = true;
	done++
}

active proctype vcpu()
{
	byte s, frame, seen, i;
	bool raced, exact;

	do
	:: secondary != 0 ->
		done == ROUNDS || secondary == 0;	/* the guest runs on it */
		if
		:: secondary != 0 -> break
		:: else
		fi
	:: secondary == 0 ->
#ifdef LOOKUP_FIRST
		frame = primary[0];
#endif
		d_step { s = sequence; seen = hits[0] }
#ifndef LOOKUP_FIRST
		frame = primary[0];
#endif
		acquire();
		look(s, raced, exact);
		if
		:: raced && exact -> assert(hits[0] != seen)	/* INVALIDATE-2 */
		:: else
		fi;
#ifndef NO_PENDING
		raced = raced || pending[0] > 0;
#endif
#ifdef NO_RECHECK
		raced = false;
#endif
		if
		:: raced -> skip
		:: else -> secondary = frame
		fi;
		release()
	od
}

init
{
	atomic {
		primary[0] = 1;
		primary[1] = 2;
		run invalidator(0);
		run invalidator(1);
		run invalidator(0);
		run invalidator(1)
	}
}

/* STALE-1, at every instant: an entry that is in force does not name a freed frame. */
active proctype monitor()
{
end:
	atomic { secondary != 0 && freed[secondary] -> assert(false) }
}
