/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h: event sites, and what is recorded.
 *
 *     TRACE(flush, s2->as->id, .generation = generation, .waited = waited, .kicks = kicks);
 *
 * A site that is off costs one predicted branch on the word trace_classes; its arguments are not
 * evaluated. A site that is on writes one record to the ring of its CPU (lib/trace/emit.c). The
 * events and their fields are in <trace/events.def>; docs/trace.md describes how a trace is read.
 */
#ifndef SAMEPAGE_TRACE_TRACE_H
#define SAMEPAGE_TRACE_TRACE_H

#include <lib/types.h>

enum trace_class {
#define TRACE_CLASS(NAME, name, text) TRACE_##NAME##_CLASS,
#include <trace/events.def>
	TRACE_CLASSES
};

enum trace_event {
#define TRACE_EVENT(NAME, name, CLASS, ABOUT, text, fields) TRACE_##NAME,
#include <trace/events.def>
	TRACE_EVENTS
};

/* The class of each event, by the event's name. */
enum {
#define TRACE_EVENT(NAME, name, CLASS, ABOUT, text, fields) \
	trace_class_of_##name = TRACE_##CLASS##_CLASS,
#include <trace/events.def>
};

/* The callbacks of a subscriber (struct subscriber_ops). */
enum trace_call {
	TRACE_CALL_START,
	TRACE_CALL_END,
	TRACE_CALL_CHANGE,
	TRACE_CALL_CHANGE_START,
	TRACE_CALL_CHANGE_END,
	TRACE_CALL_SYNC,
	TRACE_CALL_YOUNG,
	TRACE_CALL_DIRTY,
	TRACE_CALL_FINISH,
};

#define TRACE_FIELD(type, name, kind) type name;
#define TRACE_EVENT(NAME, name, CLASS, ABOUT, text, fields) \
	struct trace_##name {                               \
		fields                                      \
	} __packed;
#include <trace/events.def>
#undef TRACE_FIELD

/* Records the event, if the filters let it pass. Any context, including NMI. */
#define TRACE_EVENT(NAME, name, CLASS, ABOUT, text, fields) \
	void trace_event_##name(unsigned space, struct trace_##name fields_of);
#include <trace/events.def>

extern u32 trace_classes; /* [a] bitmap of enum trace_class: what is on */

/* A plain load, so that the test is one instruction: a change may be seen late within a loop. */
static __always_inline bool trace_is_on(enum trace_class class)
{
	return IS_ENABLED(CONFIG_TRACE) && unlikely(trace_classes & BIT(class));
}

/* Is the class of this event on? For values that are gathered before the site. */
#define TRACE_ON(name) trace_is_on((enum trace_class)trace_class_of_##name)

/* An event site. space: the number of the address space that it concerns, 0: none. */
#define TRACE(name, space, ...)                                                          \
	do {                                                                             \
		if (TRACE_ON(name))                                                      \
			trace_event_##name((space), (struct trace_##name){__VA_ARGS__}); \
	} while (0)

/*
 * The vCPU in its turn on this CPU, kept in each record of the CPU; space 0: none. Called at
 * the beginning and the end of a turn, whether tracing is on or not.
 */
void trace_context(unsigned space, unsigned vcpu);

/* The name of an address space, for readers of the trace and for trace_filter_space(). */
void trace_name_space(unsigned space, const char *name);
/* A number for a subscription to an address space; 0 when there are too many to name. */
unsigned trace_number_subscriber(unsigned space, const char *name);

#endif
