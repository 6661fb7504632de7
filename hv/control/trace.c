/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c: the command `trace`, and the rings sent by the channel at the machine's end.
 *
 * A machine without a reader of its memory (Bochs, a real one) sends its rings when the VMs have
 * ended, in events that scripts/tracing/serial.py puts together again:
 *
 *     {"v":1,"event":"trace-begin","version":1,"ticks_per_second":N,"sizes":"HEX"}
 *     {"v":1,"event":"trace-space","number":1,"name":"one"}
 *     {"v":1,"event":"trace-subscriber","number":1,"space":1,"name":"stage2"}
 *     {"v":1,"event":"trace","cpu":0,"first":17,"records":"HEX HEX ..."}
 *
 * A record is hexadecimal without the zeroes at its end.
 */
#include <arch/boot_info.h>
#include <arch/cpu.h>
#include <hv/control.h>
#include <hv/tracing.h>
#include <lib/error.h>
#include <lib/string.h>
#include <trace/area.h>
#include <trace/control.h>
#include "hv/control/commands.h"
#include "hv/control/line.h"

#define LINE_RECORDS 12
#define RECORD_TEXT  (2 * sizeof(struct trace_record) + 1)
_Static_assert(LINE_RECORDS *RECORD_TEXT + 128 < LINE_BYTES, "a line has room for its records");

/* --- The command ---------------------------------------------------------------------------- */

static enum command_step trace_status(struct command_call *call)
{
	struct trace_counts all = {0, 0};

	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
		struct trace_counts counts = trace_counts(cpu);

		all.recorded += counts.recorded;
		all.overwritten += counts.overwritten;
	}
	for (unsigned i = 0; i < TRACE_CLASSES; i++)
		json_add_bool(call->json, trace_class_name(i), trace_enabled() & BIT(i));
	json_add_u64(call->json, "recorded", all.recorded);
	json_add_u64(call->json, "overwritten", all.overwritten);
	return COMMAND_DONE;
}

static enum command_step trace_switch(struct command_call *call, bool on)
{
	const char *bad;
	u32 classes;
	size_t len;

	if (trace_parse_classes(call->word[1], &classes, &bad, &len))
		return command_fail(call, "%.32s: no such class", bad);
	if (!on)
		trace_disable(classes);
	else if (tracing_start(classes))
		return command_fail(call, "no memory for the rings");
	return trace_status(call);
}

static enum command_step trace_pages(struct command_call *call)
{
	struct gfn_range range = {{0}, {0}};

	if (strcmp(call->word[1], "all") != 0 && tracing_parse_gfns(call->word[1], &range))
		return command_fail(call, "%.32s: not GFN, FIRST-LAST or all", call->word[1]);
	trace_filter_gfns(range);
	return trace_status(call);
}

enum command_step step_trace(struct command_call *call)
{
	if (!call->words)
		return trace_status(call);
	if (call->words == 2 && !strcmp(call->word[0], "on"))
		return trace_switch(call, true);
	if (call->words == 2 && !strcmp(call->word[0], "off"))
		return trace_switch(call, false);
	if (call->words == 2 && !strcmp(call->word[0], "page"))
		return trace_pages(call);
	if (call->words == 2 && !strcmp(call->word[0], "vm")) {
		trace_filter_space(strcmp(call->word[1], "all") != 0 ? call->word[1] : "");
		return trace_status(call);
	}
	return command_fail(call, "usage: trace " TRACE_USAGE);
}

/* --- The rings at the end ------------------------------------------------------------------- */

static char *put_hex(char *to, const u8 *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	*to = '\0';
	return to;
}

static struct json *begin_event(struct json *json, const char *event)
{
	line_begin(json);
	json_add_string(json, "event", event);
	return json;
}

static void send_begin(void)
{
	char sizes[2 * TRACE_EVENTS_MAX + 1];
	struct json json;

	put_hex(sizes, trace_area.size, trace_area.events);
	begin_event(&json, "trace-begin");
	json_add_u64(&json, "version", trace_area.version);
	json_add_u64(&json, "ticks_per_second", trace_area.ticks_per_second);
	json_add_string(&json, "sizes", sizes);
	line_send(&json);
}

static void send_names(void)
{
	struct json json;

	for (unsigned i = 0; i < TRACE_SPACES; i++)
		if (trace_area.space[i][0] && line_wait()) {
			begin_event(&json, "trace-space");
			json_add_u64(&json, "number", i);
			json_add_string(&json, "name", trace_area.space[i]);
			line_send(&json);
		}
	for (unsigned i = 0; i < TRACE_SUBSCRIBERS; i++)
		if (trace_area.subscriber[i].name[0] && line_wait()) {
			begin_event(&json, "trace-subscriber");
			json_add_u64(&json, "number", i);
			json_add_u64(&json, "space", trace_area.subscriber[i].space);
			json_add_string(&json, "name", trace_area.subscriber[i].name);
			line_send(&json);
		}
}

/* The records of a line as text; returns how many. */
static unsigned format_records(unsigned cpu, u64 first, u64 end, char *text)
{
	unsigned count = 0;

	for (; count < LINE_RECORDS && first + count < end; count++) {
		struct trace_record record;
		size_t len = sizeof(record);

		if (!trace_read(cpu, first + count, &record))
			break;
		while (len > 1 && !((const u8 *)&record)[len - 1])
			len--;
		if (count)
			*text++ = ' ';
		text = put_hex(text, (const u8 *)&record, len);
	}
	return count;
}

static void send_ring(unsigned cpu)
{
	static char text[LINE_RECORDS * RECORD_TEXT + 1];
	struct trace_counts counts = trace_counts(cpu);
	u64 at = counts.overwritten;

	while (at < counts.recorded && line_wait()) {
		unsigned count = format_records(cpu, at, counts.recorded, text);
		struct json json;

		if (!count)
			break;
		begin_event(&json, "trace");
		json_add_u64(&json, "cpu", cpu);
		json_add_u64(&json, "first", at);
		json_add_string(&json, "records", text);
		line_send(&json);
		at += count;
	}
}

void control_send_trace(void)
{
	if (strcmp(boot_option_text("trace_dump"), "yes") != 0 || !trace_has_ring(0) ||
	    !line_wait())
		return;
	trace_disable(TRACE_ALL_CLASSES);
	send_begin();
	send_names();
	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++)
		send_ring(cpu);
}
