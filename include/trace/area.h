/* SPDX-License-Identifier: Apache-2.0 */
/*
 * area.h: rings and records as a reader outside the machine finds them.
 *
 * The reader finds `trace_area` by its symbol in the image and checks the magic; each ring has the
 * machine address of its records. scripts/tracing/area.py has the same layout and checks `version`
 * and the sizes of the events against its table.
 *
 *     ring c:   next = 21          record n lies in place n mod 8
 *     place     0    1    2    3    4    5    6    7
 *     record   16   17   18   19   20   13   14   15     0 to 12 were overwritten
 *
 * A copy of a record is whole if its `sequence` was its number plus 1 before, and `next` is at most
 * a ring ahead of it afterwards: a number is reserved before its place is written (TRACE-2).
 */
#ifndef SAMEPAGE_TRACE_AREA_H
#define SAMEPAGE_TRACE_AREA_H

#include <arch/cpu.h>
#include <trace/trace.h>

#define TRACE_MAGIC	  "SAMEPAGE-TRACE\n"
#define TRACE_VERSION	  1
#define TRACE_PAYLOAD	  40 /* bytes of fields in a record */
#define TRACE_EVENTS_MAX  64
#define TRACE_NAME	  32
#define TRACE_SPACES	  64 /* address spaces with a name: those with smaller numbers */
#define TRACE_SUBSCRIBERS 256

/* One cache line. space: of the subject; by_space, by_vcpu: the vCPU in its turn. */
struct trace_record {
	u64 sequence; /* written last */
	u64 ticks;
	u8 event; /* enum trace_event */
	u8 reserved;
	u16 space;
	u16 by_space, by_vcpu;
	u8 payload[TRACE_PAYLOAD];
} __aligned(64);

/* next: [c] records so far; records, machine: [I] once given. by_space, by_vcpu: [c] */
struct trace_ring {
	u64 next;
	u64 machine; /* hpa of records */
	struct trace_record *records;
	u16 by_space, by_vcpu;
} __aligned(64);

struct trace_subscriber {
	char name[TRACE_NAME - 2];
	u16 space;
};

struct trace_area {
	char magic[16];
	u32 version;
	u32 cpus;   /* rings that have records */
	u32 places; /* of a ring; a power of two */
	u32 events; /* TRACE_EVENTS */
	u64 ticks_per_second;
	u32 subscribers;	   /* [a] numbers given out */
	u32 classes;		   /* when last changed */
	u8 size[TRACE_EVENTS_MAX]; /* bytes of each event's fields */
	char space[TRACE_SPACES][TRACE_NAME];
	struct trace_subscriber subscriber[TRACE_SUBSCRIBERS];
	struct trace_ring ring[ARCH_CPUS_MAX];
};

/* The offsets that scripts/tracing/area.py has. */
_Static_assert(sizeof(struct trace_record) == 64 && offsetof(struct trace_record, payload) == 24,
	       "as its HEAD in records.py");
_Static_assert(offsetof(struct trace_area, space) == 112 &&
		       offsetof(struct trace_area, ring) == 10368 &&
		       sizeof(struct trace_ring) == 64,
	       "as SPACES_AT, RINGS_AT");

extern struct trace_area trace_area;

/* What sites check after the class, one word when no filter is set. [a] */
struct trace_filter {
	u32 on; /* one of the two below is set */
	u32 space;
	struct gfn_range gfns;
};
extern struct trace_filter trace_filter;

#endif
