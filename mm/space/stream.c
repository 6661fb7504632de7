/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c: recognises faults of a guest that goes through its memory page after page, up or down.
 *
 *     fault at          100 | 101 . | 103 . . . | 107 . . . . . . .    where the last window ended
 *     window              0     1       3           7                  up to most - 1
 *
 * A single fault has no window. The second in sequence gives the direction. Each further one
 * doubles the window, and ends it with the block of 512 pages that has one table.
 *
 * Invariants:
 * STREAM-1  A window has most - 1 pages at most, all in the block of the fault.
 *
 * Locking: none. A stream is one word: two vCPUs that replace the same one lose one of two windows.
 */
#include "mm/space/space.h"

#define WINDOW BITS(6, 0)
#define DOWN   BIT(7)
#define NEXT   8 /* the gfn's place in the word */

_Static_assert(SPACE_AHEAD_MAX <= WINDOW, "a window is part of a stream's word");

void space_stream_set(struct space_streams *streams, unsigned most)
{
	ck_pr_store_32(&streams->most, MIN(most, SPACE_AHEAD_MAX));
}

/*
 * Does the stream, which is 0 before the first, go on at gfn? The last window may have ended in
 * pages that needed nothing.
 */
static bool stream_continues(u64 stream, struct gfn gfn)
{
	u64 next = stream >> NEXT, gap = stream & DOWN ? next - gfn.raw : gfn.raw - next;

	return stream && gap <= (stream & WINDOW) + 1;
}

/* A stream of one fault may turn down. */
static bool stream_turns(u64 stream, struct gfn gfn)
{
	return stream && !(stream & (WINDOW | DOWN)) && gfn.raw + 2 == stream >> NEXT;
}

/* The first stream that `goes_on` at gfn; SPACE_STREAMS: none. */
static unsigned find_stream(const struct space_streams *streams, struct gfn gfn,
			    bool (*goes_on)(u64 stream, struct gfn gfn))
{
	unsigned i = 0;

	while (i < SPACE_STREAMS && !goes_on(ck_pr_load_64(&streams->stream[i]), gfn))
		i++;
	return i;
}

/* The stream goes on behind the window. */
static u64 stream_word(struct gfn gfn, u64 pages, u64 window, bool down)
{
	if (down)
		return gfn.raw > pages ? (gfn.raw - 1 - pages) << NEXT | DOWN | window : 0;
	return (gfn.raw + 1 + pages) << NEXT | window;
}

struct gfn_range space_stream_window(struct space_streams *streams, struct gfn gfn)
{
	u64 inside = gfn.raw % LEVEL_FRAMES(1), window = 0, stream, pages;
	u64 most = ck_pr_load_32(&streams->most);
	unsigned i = find_stream(streams, gfn, stream_continues);
	bool down = false;

	if (i == SPACE_STREAMS) {
		i = find_stream(streams, gfn, stream_turns);
		down = i < SPACE_STREAMS;
	}
	if (i < SPACE_STREAMS) {
		stream = ck_pr_load_64(&streams->stream[i]);
		down |= (stream & DOWN) != 0;
		window = MIN((stream & WINDOW) * 2 + 1, most - 1);
	} else {
		i = ck_pr_faa_32(&streams->oldest, 1) % SPACE_STREAMS;
	}
	pages = MIN(window, down ? inside : LEVEL_FRAMES(1) - 1 - inside);
	ck_pr_store_64(&streams->stream[i], stream_word(gfn, pages, window, down));
	return gfn_range((struct gfn){down ? gfn.raw - pages : gfn.raw + 1}, pages);
}
