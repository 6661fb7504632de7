/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invalidate.c: the invalidate sequence; invalidate.h has the protocol.
 *
 * Memory order: the number of a begin is stored before the primary changes, that of an end or a
 * note after it. x86 keeps the order of stores, so there is no fence on this side;
 * invalidate_read() has the fence of the loads.
 */
#include <mm/invalidate.h>
#include <lib/log.h>

#define COUNT_MASK INVALIDATE_COUNT_MASK
#define NUMBER_ONE INVALIDATE_NUMBER_ONE

static u64 number_of(u64 word)
{
	return word >> INVALIDATE_COUNT_BITS;
}

void invalidate_begin(struct invalidate_log *log, struct gfn_range range)
{
	CHECK((log->word & COUNT_MASK) < COUNT_MASK);
	ck_pr_store_64(&log->word, log->word + NUMBER_ONE + 1);
	if (log->running_count < INVALIDATE_RUNNING)
		log->running[log->running_count++] = range;
	else
		log->unlisted++;
}

/* Equal ranges are interchangeable, so any of them may go. */
static void remove_running(struct invalidate_log *log, struct gfn_range range)
{
	for (unsigned i = 0; i < log->running_count; i++)
		if (log->running[i].start.raw == range.start.raw &&
		    log->running[i].end.raw == range.end.raw) {
			log->running[i] = log->running[--log->running_count];
			return;
		}
	CHECK(log->unlisted);
	log->unlisted--;
}

void invalidate_end(struct invalidate_log *log, struct gfn_range range)
{
	remove_running(log, range);
	ck_pr_store_64(&log->word, log->word + NUMBER_ONE - 1);
	invalidate_record(log, range, log->word);
}

static unsigned hit_running(const struct invalidate_log *log, struct gfn gfn)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < log->running_count; i++)
		hits += gfn_in_range(gfn, log->running[i]);
	return hits;
}

unsigned invalidate_running(const struct invalidate_log *log, struct gfn gfn)
{
	return hit_running(log, gfn) + log->unlisted;
}

/* Whether gfn is in a range that ended after `number`. *lost: the ring has lost some of those. */
static bool hit_ended(const struct invalidate_log *log, u64 number, struct gfn gfn, bool *lost)
{
	u64 oldest = log->ended_count > INVALIDATE_RING ? log->ended_count - INVALIDATE_RING : 0;

	for (u64 i = log->ended_count; i > oldest; i--) {
		unsigned place = (i - 1) % INVALIDATE_RING;

		if (log->ended[place].number <= number)
			return false;
		if (gfn_in_range(gfn, log->ended[place].range))
			return true;
	}
	*lost = oldest > 0;
	return false;
}

enum invalidate_verdict invalidate_check_ranges(struct invalidate_log *log, u64 word,
						struct gfn gfn)
{
	bool lost = false;

	if (hit_running(log, gfn) || hit_ended(log, number_of(word), gfn, &lost)) {
		log->counters.raced++;
		return INVALIDATE_RACED;
	}
	if (lost || log->unlisted) {
		log->counters.guessed++;
		return INVALIDATE_RACED;
	}
	log->counters.avoided++;
	return INVALIDATE_CLEAN;
}
