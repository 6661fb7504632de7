/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h: memory for the rings, classes that are on, filters.
 */
#ifndef SAMEPAGE_TRACE_CONTROL_H
#define SAMEPAGE_TRACE_CONTROL_H

#include <arch/addr.h>
#include <lib/types.h>

/*
 * Gives a CPU its ring: 2^order pages of zeroes, the same for all CPUs, which stay the ring's.
 * Before trace_enable().
 */
void trace_give(unsigned cpu, void *pages, unsigned order);
bool trace_has_ring(unsigned cpu);

/*
 * Switches classes on or off: a bitmap of enum trace_class. From any CPU; CPUs follow at their next
 * site. A class that is on records nothing on a CPU without a ring.
 */
void trace_enable(u32 classes);
void trace_disable(u32 classes);
u32 trace_enabled(void);

#define TRACE_ALL_CLASSES (BIT(TRACE_CLASSES) - 1)

/*
 * The classes named in `text`, "run,merge" or "all", to the first blank. ERR_NOT_FOUND: the word at
 * *bad, of *bad_len characters, is no class.
 */
int trace_parse_classes(const char *text, u32 *classes, const char **bad,
			size_t *bad_len) __must_check;
/* The name of a class; NULL beyond the last. */
const char *trace_class_name(unsigned class);

/*
 * Filters: one address space, by its name, also before it exists ("": all); and the events about
 * these gfns alone, none of those that are not about pages (empty range: no filter).
 */
void trace_filter_space(const char *name);
void trace_filter_gfns(struct gfn_range range);

/* Records of a CPU since boot, and those of them that newer ones have overwritten. */
struct trace_counts {
	u64 recorded, overwritten;
};
struct trace_counts trace_counts(unsigned cpu);

/*
 * Copies record number `record`, counted from 0, to `out` (struct trace_record of <trace/area.h>);
 * false: it is overwritten or not written yet.
 */
struct trace_record;
bool trace_read(unsigned cpu, u64 record, struct trace_record *out) __must_check;

#endif
