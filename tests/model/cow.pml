/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cow.pml: breaking the sharing of a page under each notifier policy: Eran's race.
 *
 * One gfn is backed by the shared frame OLD, read-only everywhere. Two secondaries cache that: VM, a stage 2 that has
 * change_pte, with a TLB on each of two CPUs; and DEVICE, a cache that has none. CPU 1 breaks the sharing. CPU 2
 * writes to the page as soon as it can and then raises a flag. CPU 3 waits for the flag and reads, through the stage 2
 * and through the device's cache: it must not read the old page any more.
 *
 *     CPU 1                      CPU 2                     CPU 3
 *     -----                      -----                     -----
 *     primary = NEW, writable
 *     change_pte: VM -> NEW
 *                                write NEW
 *                                flag
 *                                                          flag seen; read through DEVICE: OLD (!)
 *     invalidate DEVICE
 *
 * Checked:
 * ERAN-1 no read of the old page after a write to the new one was published.
 * ERAN-2 no access to a freed frame.
 * No deadlock. Policy `late` must fail ERAN-1, and no other may.
 * Mutants: NO_FLUSH (the old translations stay in the TLBs), NO_BREAK_BEFORE_MAKE (the new entry is writable before
 * the TLBs are flushed), NO_DROP (a subscriber without change_pte is not invalidated), NO_RECHECK (a raced fault installs).
 * With ALL_CHANGE there is no DEVICE, and UNANIMOUS skips the bracket; its mutant is NO_BUMP (the change does not move
 * the sequence).
 */
#define BRACKET	   0
#define LATE	   1
#define LATE_WP	   2
#define ESTABLISH  3
#define UNANIMOUS  4
#define EVENT	   5
#define COMPANION  6
#define INVALIDATE 7
#define MASKED	   8
#ifndef POLICY
#define POLICY MASKED
#endif

/* A translation: NONE, the old frame read-only, the new one read-only or writable. */
#define NONE	 0
#define OLD	 1
#define NEW	 2
#define NEW_WR	 3

byte primary = OLD;
byte vm;		/* the stage 2's entry; all start empty, so faults in flight are explored too */
byte tlb[2];		/* what CPU 2 and CPU 3 hold of it */
byte device;		/* the device's cached mapping */
byte pending;		/* invalidations between start and end */
byte sequence;
bit  lock;
bool old_freed, new_written, published;

inline acquire() { atomic { lock == 0 -> lock = 1 } }
inline release() { lock = 0 }

inline flush()
{
#ifdef NO_FLUSH
	skip
#else
	tlb[0] = NONE;
	tlb[1] = NONE
#endif
}

/* The stage 2 under the lock: zap, or take over the new frame by break before make. */
inline vm_drop() { vm = NONE; flush() }
inline vm_change(value)
{
#ifdef NO_BREAK_BEFORE_MAKE
	vm = value;
	flush()
#else
	vm = NONE;
	flush();
	vm = value
#endif
}
inline device_drop()
{
#ifndef NO_DROP
	device = NONE
#else
	skip
#endif
}

inline begin() { acquire(); pending++ ; release() }
inline end_() { acquire(); d_step { sequence++; pending-- } ; release() }

active proctype breaker()
{
#if POLICY == UNANIMOUS && defined(ALL_CHANGE)
	/* The stage 2 is the only subscriber, so there is no bracket; a fault in flight must still retry. */
	acquire();
	primary = NEW_WR;
#ifndef NO_BUMP
	sequence++;
#endif
	vm_change(NEW_WR);
	release();
#elif POLICY == BRACKET || POLICY == INVALIDATE || POLICY == UNANIMOUS
	/* All invalidate. UNANIMOUS is this too, because DEVICE lacks change_pte; that of BRACKET is moot. */
	begin();
	acquire(); vm_drop(); release();
	device_drop();
	primary = NEW_WR;
	end_();
#elif POLICY == ESTABLISH
	begin();
	acquire(); vm_drop(); release();
	device_drop();
	acquire();
	primary = NEW_WR;
	if
	:: vm = NEW_WR	/* change_pte installs what start dropped */
	:: skip		/* or declines, because it may not block */
	fi;
	release();
	end_();
#elif POLICY == EVENT || POLICY == MASKED || POLICY == COMPANION
	/* A secondary without change_pte is invalidated first; the other takes over the new frame. */
	begin();
	device_drop();
	acquire();
	primary = NEW_WR;
	vm_change(NEW_WR);
	release();
	end_();
#elif POLICY == LATE
	acquire();
	primary = NEW_WR;
	vm_change(NEW_WR);
	release();
	begin();
	device_drop();
	end_();
#elif POLICY == LATE_WP
	begin();
	acquire();
	primary = NEW;		/* not writable yet */
	vm_change(NEW);
	release();
	device_drop();
	acquire();
	primary = NEW_WR;
	vm = NEW_WR;		/* a right is granted: no flush */
	release();
	end_();
#endif
	old_freed = true
}

/* Fills a secondary from the primary, as mm/stage2/fault.c does. Leaves it as it is when it raced. */
inline fault(secondary)
{
	s = sequence;
	got = primary;
	acquire();
	if
#ifndef NO_RECHECK
	:: s != sequence || pending > 0 -> skip
	:: s == sequence && pending == 0 -> secondary = got
#else
	:: secondary = got
#endif
	fi;
	release()
}

/* CPU 2: a guest that writes through the stage 2. */
active proctype writer()
{
	byte got, s;

	do
	:: atomic { tlb[0] == NEW_WR -> new_written = true } ; break
	:: atomic { tlb[0] == NONE && vm != NONE -> tlb[0] = vm }
	:: tlb[0] == NEW || tlb[0] == OLD ->	/* a write fault; a stale TLB entry is dropped by it */
		atomic { tlb[0] = NONE } ;
		if
		:: vm == NEW_WR -> skip
		:: else -> (primary == NEW_WR) ; fault(vm)
		fi
	:: tlb[0] == NONE && vm == NONE -> fault(vm)
	od;
	published = true
}

/* Reading a frame: ERAN-1, by `published` before the read, and ERAN-2. */
inline check_read(translation)
{
	assert(!(translation == OLD && seen));
	assert(!(translation == OLD && old_freed))
}

/* CPU 3: another CPU of the guest, reading through its TLB until a read came after `published`. */
active proctype reader()
{
	byte got, s;
	bool seen;

	do
	:: tlb[1] != NONE ->
		seen = published;
		atomic {
			if
			:: tlb[1] != NONE -> check_read(tlb[1])
			:: else -> seen = false
			fi
		} ;
		if
		:: seen -> break
		:: else
		fi
	:: atomic { tlb[1] == NONE && vm != NONE -> tlb[1] = vm }
	:: tlb[1] == NONE && vm == NONE -> fault(vm)
	od
}

#ifndef ALL_CHANGE
/* The device model, reading through its own cache; its fill is a fault of the same protocol. */
active proctype device_model()
{
	byte got, s;
	bool seen;

	do
	:: device != NONE ->
		seen = published;
		atomic {
			if
			:: device != NONE -> check_read(device)
			:: else -> seen = false
			fi
		} ;
		if
		:: seen -> break
		:: else
		fi
	:: device == NONE -> fault(device)
	od
}
#endif
