/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invalidate.h: detects an invalidation of a gfn between a look-up in the primary and the
 * installation of its result.
 *
 *     CPU 1: fault on gfn g                    CPU 2: changes a range
 *     ---------------------                    ----------------------
 *     word = invalidate_read()
 *     resolve g in the primary                 lock; invalidate_begin(range); zap; unlock
 *                                              change the primary
 *     lock                                     lock; invalidate_end(range); unlock
 *     invalidate_check(word, g)
 *     CLEAN: install    RACED: retry
 *     unlock
 *
 * Exact, because Linux keeps one lowest and one highest address for all running invalidations and
 * one number for all that have ended, so a fault on one page retries because of another
 * (kvm_main.c, mmu_invalidate_retry). Here one word answers the common case, no invalidation at
 * all; if it moved, the ranges that still run and a ring of those that ended last say whether the
 * gfn was in one. Only when the ring has wrapped since the word was read is the answer a guess.
 *
 * Invariants:
 * INVALIDATE-1  A range begun or noted before the check, and not ended before the read, that holds
 *               the gfn: never CLEAN.
 * INVALIDATE-2  RACED only if such a range exists, or the ring has wrapped, or too many ranges run
 *               at once (both counted).
 *
 * Locking: the owner's lock (LOCK_MMU) for all but invalidate_read().
 */
#ifndef SAMEPAGE_MM_INVALIDATE_H
#define SAMEPAGE_MM_INVALIDATE_H

#include <arch/addr.h>
#include <ck_pr.h>
#include <lib/types.h>

#define INVALIDATE_RUNNING 16 /* exact up to so many ranges at once */
#define INVALIDATE_RING	   64

#define INVALIDATE_COUNT_BITS 8
#define INVALIDATE_COUNT_MASK BITS(INVALIDATE_COUNT_BITS - 1, 0)
#define INVALIDATE_NUMBER_ONE BIT(INVALIDATE_COUNT_BITS)

struct invalidate_counters {
	u64 checks;  /* calls of invalidate_check() */
	u64 raced;   /* the gfn was hit */
	u64 avoided; /* another gfn was hit: one number for all would have retried */
	u64 guessed; /* the ring has wrapped: retried to be safe */
};

/*
 * word		[a] number of the last begin, end or note << 8 | how many ranges run
 * running	[m] the ranges between begin and end; `unlisted` more had no room
 * ended	[m] ring of ranges ended or noted, each with the number at its end
 */
struct invalidate_log {
	u64 word;
	struct gfn_range running[INVALIDATE_RUNNING];
	unsigned running_count, unlisted;
	struct {
		u64 number;
		struct gfn_range range;
	} ended[INVALIDATE_RING];
	u64 ended_count;
	struct invalidate_counters counters;
};

enum invalidate_verdict { INVALIDATE_CLEAN, INVALIDATE_RACED };

/* Called before the primary is read. No lock. */
static inline u64 invalidate_read(const struct invalidate_log *log)
{
	u64 word = ck_pr_load_64(&log->word);

	/*
	 * Pairs with the order of a change: begin's number is stored before it, end's and note's
	 * after it. A reader of the number of an end or a note reads the new primary; for a reader
	 * of an older number the check returns RACED.
	 */
	ck_pr_fence_load();
	return word;
}

/* A range is being invalidated from now until invalidate_end() with the same range. */
void invalidate_begin(struct invalidate_log *log, struct gfn_range range);
void invalidate_end(struct invalidate_log *log, struct gfn_range range);

/* The range has ended at the number of `word`, which the log has now. */
static inline void invalidate_record(struct invalidate_log *log, struct gfn_range range, u64 word)
{
	unsigned place = log->ended_count++ % INVALIDATE_RING;

	log->ended[place].number = word >> INVALIDATE_COUNT_BITS;
	log->ended[place].range = range;
}

/*
 * Begin and end at once, for a change done wholly under the lock: called after the primary has
 * changed.
 */
static inline void invalidate_note(struct invalidate_log *log, struct gfn_range range)
{
	u64 word = log->word + INVALIDATE_NUMBER_ONE;

	ck_pr_store_64(&log->word, word);
	invalidate_record(log, range, word);
}

/* Invalidations between begin and end that gfn is in, or may be in. */
unsigned invalidate_running(const struct invalidate_log *log, struct gfn gfn);

/* The sequence has moved since `word`, or an invalidation runs. */
enum invalidate_verdict invalidate_check_ranges(struct invalidate_log *log, u64 word,
						struct gfn gfn);

static inline enum invalidate_verdict invalidate_check(struct invalidate_log *log, u64 word,
						       struct gfn gfn)
{
	log->counters.checks++;
	if (IS_ENABLED(CONFIG_BREAK_SEQUENCE))
		return INVALIDATE_CLEAN;
	if (likely(log->word == word && !(word & INVALIDATE_COUNT_MASK)))
		return INVALIDATE_CLEAN;
	return invalidate_check_ranges(log, word, gfn);
}

#endif
