/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracer.c: notifications of an address space, kept in a ring.
 */
#include <mm/tracer.h>
#include <lib/error.h>
#include <lib/log.h>
#include "mm/frame/pool.h"
#include "mm/space/space.h"

/* record, total	[d] lock */
struct tracer {
	struct addrspace *as;
	struct subscription sub;
	struct spinlock lock;
	u64 total;
	struct trace_record record[TRACER_RECORDS];
};

static void trace(struct subscription *sub, const struct notify_range *range, enum trace_call call,
		  unsigned count)
{
	struct tracer *tracer = container_of(sub, struct tracer, sub);
	struct trace_record *record;

	spin_lock(&tracer->lock);
	record = &tracer->record[tracer->total % TRACER_RECORDS];
	*record = (struct trace_record){
		.number = tracer->total++,
		.ticks = arch_ticks(),
		.range = range->range,
		.event = range->event,
		.call = call,
		.cpu = arch_cpu_id(),
		.count = count,
	};
	spin_unlock(&tracer->lock);
}

static int trace_start(struct subscription *sub, const struct notify_range *range)
{
	trace(sub, range, TRACE_START, 0);
	return 0;
}

static void trace_end(struct subscription *sub, const struct notify_range *range)
{
	trace(sub, range, TRACE_END, 0);
}

static void trace_change(struct subscription *sub, const struct notify_change *change)
{
	trace(sub, change->range, TRACE_CHANGE, change->count);
}

static void trace_change_start(struct subscription *sub, const struct notify_range *range)
{
	trace(sub, range, TRACE_CHANGE_START, 0);
}

static void trace_change_end(struct subscription *sub, const struct notify_range *range)
{
	trace(sub, range, TRACE_CHANGE_END, 0);
}

static const struct subscriber_ops tracer_ops = {
	.name = "tracer",
	.start = trace_start,
	.end = trace_end,
	.change = trace_change,
	.change_start = trace_change_start,
	.change_end = trace_change_end,
};

static struct pool tracers = POOL_INITIALIZER(sizeof(struct tracer), "tracers");

int tracer_create(struct addrspace *as, struct tracer **out)
{
	struct tracer *tracer;
	void *memory;
	int err = pool_alloc(&tracers, &memory);

	if (err)
		return err;
	tracer = memory;
	tracer->as = as;
	spin_init(&tracer->lock, LOCK_DEVICE, "tracer");
	tracer->sub.ops = &tracer_ops;
	tracer->sub.range.end.raw = GFN_END;
	tracer->sub.change_events = EVENTS_CHANGE_PTE;
	tracer->sub.invalidate_events = EVENTS_ALL & ~EVENTS_CHANGE_PTE;
	err = notifier_subscribe(&as->notifier, &tracer->sub);
	if (err) {
		pool_free(&tracers, tracer);
		return err;
	}
	*out = tracer;
	return 0;
}

void tracer_destroy(struct tracer *tracer)
{
	CHECK(!notifier_unsubscribe(&tracer->as->notifier, &tracer->sub));
	pool_free(&tracers, tracer);
}

unsigned tracer_read(struct tracer *tracer, struct trace_record *out)
{
	unsigned count;
	u64 first;

	spin_lock(&tracer->lock);
	count = MIN(tracer->total, (u64)TRACER_RECORDS);
	first = tracer->total - count;
	for (unsigned i = 0; i < count; i++)
		out[i] = tracer->record[(first + i) % TRACER_RECORDS];
	spin_unlock(&tracer->lock);
	return count;
}

const char *trace_call_name(enum trace_call call)
{
	static const char *const names[] = {
		"start", "end", "change", "change_start", "change_end",
	};

	return (unsigned)call < ARRAY_SIZE(names) ? names[call] : "?";
}
