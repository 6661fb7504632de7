/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c: the rings' memory, names, classes and filters.
 *
 * Sites read classes and filters without a lock: a change of both is seen class by class, so a
 * record more or less passes while it is made.
 */
#include <trace/control.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/string.h>
#include <trace/area.h>

struct trace_area trace_area = {
	.magic = TRACE_MAGIC,
	.version = TRACE_VERSION,
	.events = TRACE_EVENTS,
	.size =
		{
#define TRACE_EVENT(NAME, name, CLASS, ABOUT, text, fields) \
	[TRACE_##NAME] = sizeof(struct trace_##name),
#include <trace/events.def>
		},
};

static const char *const class_names[] = {
#define TRACE_CLASS(NAME, name, text) #name,
#include <trace/events.def>
};

/* The address space to be traced, as it was named; the number follows when it exists. */
static char filter_name[TRACE_NAME];

const char *trace_class_name(unsigned class)
{
	return class < TRACE_CLASSES ? class_names[class] : NULL;
}

void trace_give(unsigned cpu, void *pages, unsigned order)
{
	struct trace_ring *ring = &trace_area.ring[cpu];

	trace_area.ticks_per_second = arch_ticks_per_second();
	trace_area.places = (u32)((PAGE_SIZE << order) / sizeof(struct trace_record));
	trace_area.cpus = MAX(trace_area.cpus, cpu + 1);
	ring->machine = arch_virt_to_hpa(pages).raw;
	ck_pr_fence_store();
	ck_pr_store_ptr(&ring->records, pages);
}

bool trace_has_ring(unsigned cpu)
{
	return trace_area.ring[cpu].records != NULL;
}

void trace_enable(u32 classes)
{
	ck_pr_or_32(&trace_classes, classes & TRACE_ALL_CLASSES);
	trace_area.classes = trace_classes;
}

void trace_disable(u32 classes)
{
	ck_pr_and_32(&trace_classes, ~classes);
	trace_area.classes = trace_classes;
}

u32 trace_enabled(void)
{
	return ck_pr_load_32(&trace_classes);
}

/* The classes of one word; 0: none of this name. */
static u32 classes_named(const char *word, size_t len)
{
	if (string_is(word, len, "all"))
		return TRACE_ALL_CLASSES;
	for (unsigned i = 0; i < TRACE_CLASSES; i++)
		if (string_is(word, len, class_names[i]))
			return (u32)BIT(i);
	return 0;
}

int trace_parse_classes(const char *text, u32 *classes, const char **bad, size_t *bad_len)
{
	*classes = 0;
	while (*text && *text != ' ') {
		size_t len = 0;
		u32 found;

		while (text[len] && text[len] != ',' && text[len] != ' ')
			len++;
		found = classes_named(text, len);
		if (!found) {
			*bad = text;
			*bad_len = len;
			return ERR_NOT_FOUND;
		}
		*classes |= found;
		text += len + (text[len] == ',');
	}
	return 0;
}

static void update_filter(void)
{
	ck_pr_store_32(&trace_filter.on, filter_name[0] || gfn_range_frames(trace_filter.gfns));
}

/* The number of the space of that name; a number that no space has while there is none. */
static u32 space_named(const char *name)
{
	for (u32 i = 1; i < TRACE_SPACES; i++)
		if (!strcmp(trace_area.space[i], name))
			return i;
	return ~0u;
}

void trace_filter_space(const char *name)
{
	(void)string_copy(filter_name, sizeof(filter_name), name);
	ck_pr_store_32(&trace_filter.space, name[0] ? space_named(filter_name) : 0);
	update_filter();
}

void trace_filter_gfns(struct gfn_range range)
{
	trace_filter.gfns = range;
	update_filter();
}

void trace_name_space(unsigned space, const char *name)
{
	if (space >= TRACE_SPACES)
		return;
	(void)string_copy(trace_area.space[space], TRACE_NAME, name);
	if (filter_name[0] && !strcmp(trace_area.space[space], filter_name))
		ck_pr_store_32(&trace_filter.space, space);
}

unsigned trace_number_subscriber(unsigned space, const char *name)
{
	u32 number = ck_pr_faa_32(&trace_area.subscribers, 1) + 1;
	struct trace_subscriber *row;

	if (number >= TRACE_SUBSCRIBERS) {
		ck_pr_dec_32(&trace_area.subscribers);
		return 0;
	}
	row = &trace_area.subscriber[number];
	(void)string_copy(row->name, sizeof(row->name), name);
	row->space = (u16)space;
	return number;
}

struct trace_counts trace_counts(unsigned cpu)
{
	u64 recorded = ck_pr_load_64(&trace_area.ring[cpu].next), places = trace_area.places;

	return (struct trace_counts){recorded, recorded > places ? recorded - places : 0};
}

bool trace_read(unsigned cpu, u64 record, struct trace_record *out)
{
	const struct trace_ring *ring = &trace_area.ring[cpu];
	const struct trace_record *from;

	if (!ring->records)
		return false;
	from = &ring->records[record & (trace_area.places - 1)];
	if (ck_pr_load_64(&from->sequence) != record + 1)
		return false;
	ck_pr_fence_load();
	*out = *from;
	ck_pr_fence_load();
	return ck_pr_load_64(&ring->next) - record <= trace_area.places;
}
