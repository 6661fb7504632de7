/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c: from the memory map to the first free block.
 *
 *     given    [ low RAM )     [ RAM below the hole          )    hole    [ RAM above 4 GiB )
 *     sorted, rounded inwards, overlaps joined
 *     carved   [ free    )     [ free              | records )            [ free            )
 *
 * The records of all sections, and the array that points to them, are cut off the end of the
 * largest range: low memory stays free for what must be there. The rest becomes free blocks, as
 * large as alignment allows.
 *
 * Invariants:
 *   INIT-1  a frame is FRAME_FREE afterwards if and only if it lies wholly inside a given range,
 *           holds no record, and is not frame 0
 *   INIT-2  every usable frame has a record; a section without usable frames has none
 */
#include "mm/frame/internal.h"
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_MM

struct frame_map frame_map;

/* Half-open ranges of frame numbers, sorted, disjoint. */
struct span {
	u64 start, end;
};
struct spans {
	struct span of[FRAME_RANGES_MAX];
	unsigned count;
};
static struct spans spans;

static void spans_insert(struct span span)
{
	unsigned at = spans.count++;

	while (at > 0 && spans.of[at - 1].start > span.start) {
		spans.of[at] = spans.of[at - 1];
		at--;
	}
	spans.of[at] = span;
}

static void spans_join_overlaps(void)
{
	unsigned kept = 0;

	for (unsigned i = 1; i < spans.count; i++) {
		struct span *last = &spans.of[kept];

		if (spans.of[i].start <= last->end)
			last->end = MAX(last->end, spans.of[i].end);
		else
			spans.of[++kept] = spans.of[i];
	}
	spans.count = MIN(spans.count, kept + 1);
}

static int spans_take(const struct frame_range *usable, unsigned count)
{
	spans.count = 0;
	if (count > FRAME_RANGES_MAX)
		return ERR_INVALID;
	for (unsigned i = 0; i < count; i++) {
		/* Rounding the address up could wrap: round the frame number. */
		u64 start = (usable[i].start.raw >> PAGE_SHIFT) +
			    (page_offset(usable[i].start.raw) != 0);
		u64 end = usable[i].end.raw >> PAGE_SHIFT;

		if (MAX(start, 1) < end)
			spans_insert((struct span){MAX(start, 1), end});
	}
	spans_join_overlaps();
	return 0;
}

/* Cuts `bytes` of zeroed memory off the end of the largest range; NULL when it is too small. */
static void *spans_carve(u64 bytes)
{
	u64 frames = ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;
	struct span *largest = &spans.of[0];
	char *memory;

	for (unsigned i = 1; i < spans.count; i++)
		if (spans.of[i].end - spans.of[i].start > largest->end - largest->start)
			largest = &spans.of[i];
	if (spans.count == 0 || largest->end - largest->start < frames)
		return NULL;
	largest->end -= frames;
	memory = arch_hpa_to_virt(mfn_to_hpa((struct mfn){largest->end}));
	for (u64 i = 0; i < frames; i++)
		arch_page_zero(memory + i * PAGE_SIZE);
	return memory;
}

/* The sections of records that `span` needs. Records start as 0, which is FRAME_RESERVED. */
static int map_add_sections(struct span span)
{
	for (u64 i = span.start >> FRAME_SECTION_SHIFT; i <= (span.end - 1) >> FRAME_SECTION_SHIFT;
	     i++) {
		if (frame_map.section[i])
			continue;
		frame_map.section[i] = spans_carve(FRAME_SECTION * sizeof(struct frame));
		if (!frame_map.section[i])
			return ERR_NO_MEMORY;
	}
	return 0;
}

static int map_create(void)
{
	static struct spans all;
	u64 sections;
	int err = 0;

	all = spans; /* carving shortens the originals during the loop */
	sections = ((all.of[all.count - 1].end - 1) >> FRAME_SECTION_SHIFT) + 1;
	frame_map.section = spans_carve(sections * sizeof(*frame_map.section));
	if (!frame_map.section)
		return ERR_NO_MEMORY;
	frame_map.sections = sections;
	for (unsigned i = 0; i < all.count && !err; i++)
		err = map_add_sections(all.of[i]);
	return err;
}

/* Before any other CPU runs, so without the lock. */
LOCK_UNCHECKED static void init_free_block(u64 mfn, unsigned order)
{
	for (u64 i = 0; i < 1ull << order; i++)
		frame_record((struct mfn){mfn + i})->kind = FRAME_FREE;
	buddy_put(mfn, order);
}

static u64 init_free_span(struct span span)
{
	u64 frames = span.end - span.start;

	spin_lock(&frame_buddy.lock);
	while (span.start < span.end) {
		unsigned order = 0;

		while (order < FRAME_MAX_ORDER && IS_ALIGNED(span.start, 2ull << order) &&
		       span.start + (2ull << order) <= span.end)
			order++;
		init_free_block(span.start, order);
		span.start += 1ull << order;
	}
	spin_unlock(&frame_buddy.lock);
	return frames;
}

int frame_init(const struct frame_range *usable, unsigned count)
{
	u64 total = 0;
	int err = spans_take(usable, count);

	frame_map = (struct frame_map){NULL, 0};
	if (!err)
		err = spans.count > 0 ? map_create() : ERR_NO_MEMORY;
	if (err) {
		frame_map = (struct frame_map){NULL, 0};
		log_error("%u memory ranges cannot hold the frame records: %s", count,
			  error_name(err));
		return err;
	}
	buddy_init();
	for (unsigned i = 0; i < spans.count; i++)
		total += init_free_span(spans.of[i]);
	frame_caches_init(total);
	log_info("%lu MiB in %lu frames, %u ranges", total >> (20 - PAGE_SHIFT), total,
		 spans.count);
	return 0;
}
