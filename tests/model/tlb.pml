/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlb.pml: the generation protocol of include/mm/tlb.h: remote flushes without an interrupt for a CPU outside a guest.
 *
 *     flusher                                CPU
 *     -------                                ---
 *     entry = NEW                            inside = true
 *     generation++                           (full barrier)
 *     (full barrier)                         seen != generation: flush, seen = generation
 *     inside and not seen: kick, wait        guest: fill the TLB from the entry, use it
 *                                            exit, inside = false
 *
 * Checked: TLB-1: after the flusher has returned no CPU uses the old translation. No deadlock. The reordering that the
 * barrier forbids is modelled by the two steps in the other order.
 * Mutants: CHECK_FIRST (the CPU looks at the generation before it says it is inside), BUMP_FIRST (the generation moves
 * before the entry), NO_WAIT (the flusher kicks and does not wait), LOOK_FIRST (the flusher reads `inside` before
 * it moves the generation).
 */
#define CPUS   2
#define ROUNDS 2

bool entry_new, returned;
byte generation;
byte seen[CPUS];
bool inside[CPUS], kicked[CPUS], must_wait[CPUS];
byte tlb[CPUS];		/* 0 empty, 1 old, 2 new */

inline use_guest()
{
	do
	:: tlb[me] == 0 -> tlb[me] = (entry_new -> 2 : 1)
	:: atomic { tlb[me] != 0 -> assert(!(tlb[me] == 1 && returned)) }	/* TLB-1 */
	:: kicked[me] -> break
	:: break
	od
}

proctype cpu(byte me)
{
	byte round, g;

	for (round : 1 .. ROUNDS) {
#ifdef CHECK_FIRST
		g = generation;
		inside[me] = true;
#else
		inside[me] = true;
		g = generation;
#endif
		if
		:: g != seen[me] -> tlb[me] = 0; seen[me] = g
		:: else
		fi;
		use_guest();
		kicked[me] = false;
		inside[me] = false
	}
}

active proctype flusher()
{
	byte c;

#ifdef BUMP_FIRST
	generation++;
	entry_new = true;
#else
	entry_new = true;
#ifndef LOOK_FIRST
	generation++;
#endif
#endif
	for (c : 0 .. CPUS - 1) {
		must_wait[c] = inside[c] && seen[c] != generation;
		if
		:: must_wait[c] -> kicked[c] = true
		:: else
		fi
	}
#ifdef LOOK_FIRST
	generation++;	/* too late for a CPU that entered meanwhile */
#endif
#ifndef NO_WAIT
	for (c : 0 .. CPUS - 1) {
		!must_wait[c] || !inside[c] || seen[c] == generation
	}
#endif
	returned = true
}

init
{
	atomic { run cpu(0); run cpu(1) }
}
