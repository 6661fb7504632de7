/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_ways.c: each call and return on a fault's way and on a page's way to its merge.
 *
 * Built by the preset `ways` alone: every function calls __cyg_profile_func_enter() and _exit()
 * (gcc's -finstrument-functions), without optimisation, so that inline functions are calls too.
 * While a scenario is recorded, both append to a list. The program prints a line "way NAME", and
 * then ">ADDRESS" for a call and "<" for a return; scripts/benches/ways.py finds the files.
 */
#include "sim/mm_world.h"

#include <mm/merge.h>
#include <stdio.h>

#define EVENTS	    (1u << 16)
#define PAGES	    16u
#define PLAIN	    __attribute__((no_instrument_function))
#define CONTENT	    7u
#define MERGE_PAGES 4u

static void *events[EVENTS]; /* a function's address at its call; NULL at its return */
static unsigned count;
static bool recording;

void PLAIN __cyg_profile_func_enter(void *function, void *from);
void PLAIN __cyg_profile_func_exit(void *function, void *from);

static void PLAIN append(void *function)
{
	if (recording && count < EVENTS)
		events[count++] = function;
}

void PLAIN __cyg_profile_func_enter(void *function, void *from)
{
	append(function);
}

void PLAIN __cyg_profile_func_exit(void *function, void *from)
{
	append(NULL);
}

static void PLAIN begin(void)
{
	count = 0;
	recording = true;
}

static void PLAIN end(const char *way)
{
	recording = false;
	if (count == EVENTS) {
		fprintf(stderr, "ways: more than %u events\n", EVENTS);
		exit(1);
	}
	printf("way %s\n", way);
	for (unsigned i = 0; i < count; i++)
		if (events[i])
			printf(">%lx\n", (unsigned long)events[i]);
		else
			printf("<\n");
}

static void fault(struct stage2 *s2, u64 gfn, unsigned access, const char *way)
{
	enum fault_outcome outcome;

	begin();
	outcome = fault_handle(s2, gfn_to_gpa((struct gfn){gfn}), access);
	end(way);
	assert_true(outcome <= FAULT_SPURIOUS);
}

/* The neighbour's fault made the tables. */
static void first_touch(void)
{
	struct addrspace *as;
	struct stage2 *s2;

	world_begin(1, 64);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	assert_int_equal(fault_handle(s2, (struct gpa){0}, HV_WRITE), FAULT_MAPPED);
	fault(s2, 1, HV_WRITE, "first_touch");
}

static void write_to_shared(void)
{
	const u64 gfns[] = {0, 1, 2};
	struct addrspace *as;
	struct stage2 *s2;

	world_begin(1, 64);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	world_share(as, gfns, 3, CONTENT);
	assert_true(fault_handle(s2, gfn_to_gpa((struct gfn){1}), HV_READ) <= FAULT_SPURIOUS);
	fault(s2, 1, HV_WRITE, "write_to_shared");
}

/* The pass after the one that saw the pages stand still. */
static void merge(void)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};
	struct addrspace *as;
	struct stage2 *s2;

	world_begin(1, 64);
	assert_int_equal(merge_configure(merge_engine_find("hash", 4), &limits), 0);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, MERGE_PAGES), 0), 0);
	for (u64 gfn = 0; gfn < MERGE_PAGES; gfn++)
		assert_int_equal(
			guest_write(s2, gfn * PAGE_SIZE, gfn < 2 ? CONTENT : CONTENT + gfn),
			FAULT_MAPPED);
	guest_out();
	merge_scan(MERGE_PAGES);
	begin();
	merge_scan(MERGE_PAGES);
	end("merge");
}

int main(void)
{
	first_touch();
	write_to_shared();
	merge();
	return 0;
}
