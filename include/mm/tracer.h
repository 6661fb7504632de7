/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracer.h: a subscriber to all events that keeps the last calls in a ring.
 */
#ifndef SAMEPAGE_MM_TRACER_H
#define SAMEPAGE_MM_TRACER_H

#include <mm/notifier.h>

struct addrspace;
struct tracer;

enum trace_call { TRACE_START, TRACE_END, TRACE_CHANGE, TRACE_CHANGE_START, TRACE_CHANGE_END };

/* One callback. number counts all calls so far; ticks: arch_ticks(). */
struct trace_record {
	u64 number, ticks;
	struct gfn_range range;
	u8 event; /* enum notify_event */
	u8 call;  /* enum trace_call */
	u16 cpu;
	u32 count; /* gfns of a change */
};

#define TRACER_RECORDS 64

/* ERR_NO_MEMORY, ERR_REENTRANT. */
int tracer_create(struct addrspace *as, struct tracer **out) __must_check;
void tracer_destroy(struct tracer *tracer);

/* The last records, oldest first; returns how many. `out` has room for TRACER_RECORDS. */
unsigned tracer_read(struct tracer *tracer, struct trace_record *out);

const char *trace_call_name(enum trace_call call);

#endif
