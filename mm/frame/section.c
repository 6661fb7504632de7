/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section.c: sections of frame records, open and closed.
 *
 *     frames      | in use, free  | in use, free  |     free      |     free      |
 *     section         open            open            closed          closed
 *     records     written         written         memory that was never touched
 *                                                 ^ closed.spans begins here
 *
 * Why: the records of 64 GiB take 384 MiB. To write them all before the first guest runs takes
 * longer than everything else at boot. So a section opens, lowest first, when the free lists hold
 * no block that is large enough. A closed section is free as a whole and in no list.
 *
 * Invariants:
 *   SECTION-1  a frame in a closed section is free, in no list, and in closed.spans
 *   SECTION-2  frame_record() of a frame that is in use is never NULL
 *
 * Locking: LOCK_FRAME to open one. Other CPUs read the pointer of a section without it:
 *
 *     section_open()                             a CPU that was given a frame of the section
 *     --------------                             -----------------------------------------
 *     records written
 *     store fence
 *     frame_map.section[i] = records             load of the pointer, then of a record through it
 */
#include "mm/frame/internal.h"
#include <arch/cpu.h>
#include <ck_pr.h>

struct frame_map frame_map;

/*
 * records	[I] memory for each section's records
 * spans		[f] free frames in closed sections, lowest first
 * first		[f] the first span that is not empty
 */
static struct {
	struct frame **records;
	struct spans spans;
	unsigned first;
} closed;

void sections_init(struct frame **open, struct frame **records, u64 sections,
		   const struct spans *spans)
{
	frame_map = (struct frame_map){open, sections};
	closed.records = records;
	closed.spans = *spans;
	closed.first = 0;
}

/* All reserved, which is 0. */
static void clear_records(struct frame *records)
{
	for (u64 at = 0; at < FRAME_SECTION * sizeof(*records); at += PAGE_SIZE)
		arch_page_zero((char *)records + at);
}

static void put_free_span(struct span span) LOCK_REQUIRES(&frame_buddy.lock)
{
	for (u64 mfn = span.start; mfn < span.end; mfn++)
		frame_record((struct mfn){mfn})->kind = FRAME_FREE;
	while (span.start < span.end) {
		unsigned order = 0;

		while (order < FRAME_MAX_ORDER && IS_ALIGNED(span.start, 2ull << order) &&
		       span.start + (2ull << order) <= span.end)
			order++;
		buddy_put(span.start, order);
		span.start += 1ull << order;
	}
}

/* Parts of several spans may lie in the section. */
bool section_open(void)
{
	struct span *span = &closed.spans.of[closed.first];
	u64 section, end;

	while (closed.first < closed.spans.count && span->start == span->end)
		span = &closed.spans.of[++closed.first];
	if (closed.first == closed.spans.count)
		return false;
	section = span->start >> FRAME_SECTION_SHIFT;
	end = (section + 1) << FRAME_SECTION_SHIFT;
	clear_records(closed.records[section]);
	ck_pr_fence_store(); /* pairs with the dependent loads of frame_record() */
	ck_pr_store_ptr(&frame_map.section[section], closed.records[section]);
	for (; span < &closed.spans.of[closed.spans.count] && span->start < end; span++) {
		struct span part = {span->start, MIN(span->end, end)};

		ck_pr_store_64(&span->start, part.end);
		put_free_span(part);
	}
	return true;
}

static int largest_in(struct span span)
{
	int order = FRAME_MAX_ORDER;

	while (order >= 0 && ALIGN_UP(span.start, 1ull << order) + (1ull << order) > span.end)
		order--;
	return order;
}

int section_largest_order(void)
{
	int largest = -1;

	for (unsigned i = 0; i < closed.spans.count; i++)
		largest = MAX(largest,
			      largest_in((struct span){ck_pr_load_64(&closed.spans.of[i].start),
						       closed.spans.of[i].end}));
	return largest;
}

u64 frame_closed(void)
{
	u64 frames = 0;

	for (unsigned i = 0; i < closed.spans.count; i++)
		frames += closed.spans.of[i].end - ck_pr_load_64(&closed.spans.of[i].start);
	return frames;
}

bool section_has_free(u64 mfn)
{
	for (unsigned i = 0; i < closed.spans.count; i++)
		if (mfn < closed.spans.of[i].end && mfn >= ck_pr_load_64(&closed.spans.of[i].start))
			return true;
	return false;
}

bool frame_near_memory(struct mfn mfn)
{
	u64 section = mfn.raw >> FRAME_SECTION_SHIFT;

	return section < frame_map.sections &&
	       (closed.records[section] || frame_map.section[section]);
}
