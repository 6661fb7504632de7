/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_trace.c: an event site that is off, on, and on behind a filter that holds the event back.
 */
#include "bench.h"
#include "sim/sim.h"

#include <trace/control.h>
#include <trace/trace.h>

#define ROUNDS 1000

static void __attribute__((__noinline__)) site(u64 i)
{
	TRACE(merge_protect, 1, .gfn = i, .mfn = i + 1);
}

static void __attribute__((__noinline__)) no_site(u64 i)
{
	__asm__ volatile("" : : "r"(i));
}

static void measure(const char *name, void (*function)(u64 i))
{
	bench_begin();
	bench_on();
	for (u64 i = 0; i < ROUNDS; i++)
		function(i);
	bench_off();
	bench_end(name, ROUNDS);
}

int main(void)
{
	sim_boot(1, MIB);
	bench_begin();
	bench_on();
	bench_off();
	bench_end("empty", 1);
	trace_give(0, sim_memory + MIB, 0);
	measure("no_site", no_site);
	measure("off", site);
	trace_enable(TRACE_ALL_CLASSES);
	measure("on", site);
	trace_filter_gfns((struct gfn_range){{ROUNDS}, {ROUNDS + 1}});
	measure("filtered", site);
	return 0;
}
