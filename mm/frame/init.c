/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c: from the memory map to the first free block.
 *
 *     given    [ low RAM )     [ RAM below the hole          )    hole    [ RAM above 4 GiB )
 *     sorted, rounded inwards, overlaps joined
 *     carved   [ free    )     [ free              | records )            [ free            )
 *
 * The records of all sections, and the array that points to them, are cut off the end of the
 * largest range: low memory stays free for what must be there. The rest is free, in closed
 * sections (section.c): no frame and no record is written here, so that the time does not depend on
 * the size of memory, but for two pointers a section.
 *
 * Invariants:
 *   INIT-1  a frame is FRAME_FREE afterwards if and only if it lies wholly inside a given range,
 *           holds no record, and is not frame 0
 *   INIT-2  every usable frame has memory for its record; a section without usable frames has none
 */
#include "mm/frame/internal.h"
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_MM

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

/* Cuts `bytes` of memory off the end of the largest range; NULL when it is too small. */
static void *spans_carve(u64 bytes)
{
	u64 frames = ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;
	struct span *largest = &spans.of[0];

	for (unsigned i = 1; i < spans.count; i++)
		if (spans.of[i].end - spans.of[i].start > largest->end - largest->start)
			largest = &spans.of[i];
	if (spans.count == 0 || largest->end - largest->start < frames)
		return NULL;
	largest->end -= frames;
	return arch_hpa_to_virt(mfn_to_hpa((struct mfn){largest->end}));
}

static void *spans_carve_zeroed(u64 bytes)
{
	char *memory = spans_carve(bytes);

	for (u64 at = 0; memory && at < bytes; at += PAGE_SIZE)
		arch_page_zero(memory + at);
	return memory;
}

/* Memory for the records of the sections that `span` needs. */
static int add_records(struct frame **records, struct span span)
{
	u64 last = (span.end - 1) >> FRAME_SECTION_SHIFT;

	for (u64 i = span.start >> FRAME_SECTION_SHIFT; i <= last; i++) {
		if (!records[i])
			records[i] = spans_carve(FRAME_SECTION * sizeof(struct frame));
		if (!records[i])
			return ERR_NO_MEMORY;
	}
	return 0;
}

static int create_sections(void)
{
	static struct spans all;
	struct frame **pointers;
	u64 sections;
	int err = 0;

	all = spans; /* carving shortens the originals during the loop */
	sections = ((all.of[all.count - 1].end - 1) >> FRAME_SECTION_SHIFT) + 1;
	pointers = spans_carve_zeroed(2 * sections * sizeof(*pointers));
	if (!pointers)
		return ERR_NO_MEMORY;
	for (unsigned i = 0; i < all.count && !err; i++)
		err = add_records(pointers + sections, all.of[i]);
	if (!err)
		sections_init(pointers, pointers + sections, sections, &spans);
	return err;
}

int frame_init(const struct frame_range *usable, unsigned count)
{
	static const struct spans none;
	u64 total;
	int err = spans_take(usable, count);

	sections_init(NULL, NULL, 0, &none);
	if (!err)
		err = spans.count > 0 ? create_sections() : ERR_NO_MEMORY;
	if (err) {
		log_error("%u memory ranges cannot hold the frame records: %s", count,
			  error_name(err));
		return err;
	}
	buddy_init();
	total = frame_closed();
	frame_caches_init(total);
	log_info("%lu MiB in %lu frames, %u ranges", total >> (20 - PAGE_SHIFT), total,
		 spans.count);
	return 0;
}
