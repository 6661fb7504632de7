/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit.c: records, written to the ring of this CPU.
 *
 * A CPU writes its own ring alone, with interrupts off, so the only rival of a writer is an NMI (or
 * a #MC) on top of it. A number is reserved by a compare-and-swap without a bus lock; the clock is
 * read between the load and the swap, so that ticks rise with the numbers:
 *
 *     writer                               NMI on top of it
 *     ------                               ----------------
 *     next = 7; ticks = 100
 *                                          next = 7; ticks = 101; swap: record 7 is the NMI's
 *     swap fails
 *     next = 8; ticks = 105; swap
 *     fields, then sequence = 9
 *
 * A full ring overwrites its oldest record. The reason: the last records before an end are those
 * that explain it, and a machine without a reader has no other place for them. A reader that
 * follows the rings while the machine runs (QEMU) loses nothing as long as it is faster; it finds
 * what it lost by the numbers, so overwriting needs no counter of its own.
 *
 * Invariants:
 * TRACE-1  The ticks of a CPU's records rise with their numbers.
 * TRACE-2  A record is whole if its sequence is its number plus 1, and if, after it was copied, no
 *          number is reserved for its place.
 */
#include <trace/area.h>
#include <ck_pr.h>
#include <lib/race.h>

u32 trace_classes;
struct trace_filter trace_filter;

/* No event is longer than a record's payload, and trace_area.size has a place for each. */
#define TRACE_EVENT(NAME, name, CLASS, ABOUT, text, fields) \
	_Static_assert(sizeof(struct trace_##name) <= TRACE_PAYLOAD, text);
#include <trace/events.def>
_Static_assert(TRACE_EVENTS <= TRACE_EVENTS_MAX, "trace_area.size has a place for each");

/* The pages that an event is about: gfn, and end of a RANGE, are its first fields. */
#define TRACE_PAGES_NONE(of)  ((struct gfn_range){{0}, {0}})
#define TRACE_PAGES_PAGE(of)  ((struct gfn_range){{(of).gfn}, {(of).gfn + 1}})
#define TRACE_PAGES_RANGE(of) ((struct gfn_range){{(of).gfn}, {(of).end}})

/* pages: empty for an event that is not about pages. */
static __cold bool passes(unsigned space, struct gfn_range pages)
{
	if (trace_filter.space && trace_filter.space != space)
		return false;
	return !gfn_range_frames(trace_filter.gfns) || gfn_ranges_overlap(pages, trace_filter.gfns);
}

/* The next number of the ring, and a time after that of the number before (TRACE-1). */
static __always_inline u64 reserve(struct trace_ring *ring, u64 *ticks)
{
	u64 number;

	do {
		number = ck_pr_load_64(&ring->next);
		*ticks = arch_ticks();
		RACE_POINT("trace: clock read");
	} while (!arch_local_cas_64(&ring->next, number, number + 1));
	return number;
}

/* size: a constant, so that the fields go from registers to the record. */
static __always_inline void emit(enum trace_event event, unsigned space, struct gfn_range pages,
				 const void *fields, size_t size)
{
	struct trace_ring *ring = &trace_area.ring[arch_cpu_id()];
	struct trace_record *record;
	u64 number, ticks;

	if (!ring->records || (unlikely(trace_filter.on) && !passes(space, pages)))
		return;
	number = reserve(ring, &ticks);
	record = &ring->records[number & (trace_area.places - 1)];
	record->ticks = ticks;
	record->event = (u8)event;
	record->space = (u16)space;
	record->by_space = ring->by_space;
	record->by_vcpu = ring->by_vcpu;
	__builtin_memcpy(record->payload, fields, size);
	__builtin_memset(record->payload + size, 0, TRACE_PAYLOAD - size);
	RACE_POINT("trace: fields written");
	ck_pr_fence_store(); /* pairs with the reader's second look at sequence (TRACE-2) */
	ck_pr_store_64(&record->sequence, number + 1);
}

#define TRACE_EVENT(NAME, name, CLASS, ABOUT, text, fields)                          \
	void trace_event_##name(unsigned space, struct trace_##name of)              \
	{                                                                            \
		emit(TRACE_##NAME, space, TRACE_PAGES_##ABOUT(of), &of, sizeof(of)); \
	}
#include <trace/events.def>

void trace_context(unsigned space, unsigned vcpu)
{
	struct trace_ring *ring = &trace_area.ring[arch_cpu_id()];

	ring->by_space = (u16)space;
	ring->by_vcpu = (u16)vcpu;
}
