/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracing.c: the command line's words of the trace, and memory for its rings.
 *
 * The rings of a run that begins with trace= are there before the first VM. Those of a later start
 * stay until the machine ends, too, so the summary of frames leaves them out.
 */
#include <hv/tracing.h>
#include <arch/boot_info.h>
#include <arch/cpu.h>
#include <hv/memory.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <trace/control.h>
#include <trace/trace.h>

#define LOG_THIS LOG_HV

static u64 late_frames;
static bool early = true; /* before the first VM */

static unsigned ring_order(void)
{
	u64 kib = boot_option_number("trace_kib");

	return page_order((kib ? kib : CONFIG_TRACE_KIB) << 10);
}

static u64 ring_kib(void)
{
	return PAGE_SIZE << ring_order() >> 10;
}

static int give_rings(void)
{
	unsigned order = ring_order();

	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
		void *pages;

		if (trace_has_ring(cpu))
			continue;
		pages = hv_alloc(PAGE_SIZE << order);
		if (!pages)
			return ERR_NO_MEMORY; /* the rings so far stay, for the next start */
		late_frames += early ? 0 : BIT(order);
		trace_give(cpu, pages, order);
	}
	return 0;
}

int tracing_start(u32 classes)
{
	int err = give_rings();

	if (err)
		return err;
	trace_enable(classes);
	return 0;
}

int tracing_parse_gfns(const char *text, struct gfn_range *out)
{
	const char *dash = memchr(text, '-', strlen(text)), *last = dash ? dash + 1 : text;
	u64 first, end;

	if (string_to_u64(text, dash ? (size_t)(dash - text) : strlen(text), &first) ||
	    string_to_u64(last, strlen(last), &end) || end < first || end >= GFN_END)
		return ERR_FORMAT;
	*out = (struct gfn_range){{first}, {end + 1}};
	return 0;
}

static void apply_filters(void)
{
	const char *gfns = boot_option_text("trace_page");
	struct gfn_range range;

	trace_filter_space(boot_option_text("trace_vm"));
	if (!*gfns)
		return;
	if (tracing_parse_gfns(gfns, &range))
		log_error("trace_page=%s: it is a gfn or FIRST-LAST; all are traced", gfns);
	else
		trace_filter_gfns(range);
}

void tracing_init(void)
{
	const char *text = boot_option_text("trace"), *bad;
	u32 classes;
	size_t len;
	int err;

	apply_filters();
	if (trace_parse_classes(text, &classes, &bad, &len)) {
		log_error("trace=%s: there is no class '%.*s'; docs/trace.md lists them", text,
			  (int)len, bad);
		classes = 0;
	}
	err = classes ? tracing_start(classes) : 0;
	early = false;
	if (err)
		log_error("trace: rings of %lu KiB for %u CPUs: %s; nothing is traced", ring_kib(),
			  arch_cpu_count(), error_name(err));
	else if (classes)
		log_info("trace: %s, %lu KiB a CPU", text, ring_kib());
}

void tracing_summary(void)
{
	for (unsigned cpu = 0; cpu < arch_cpu_count() && trace_has_ring(cpu); cpu++) {
		struct trace_counts counts = trace_counts(cpu);

		log_info("summary: trace: cpu %u: %lu records, %lu overwritten", cpu,
			 counts.recorded, counts.overwritten);
	}
}

u64 tracing_late_frames(void)
{
	return late_frames;
}
