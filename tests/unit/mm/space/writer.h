/* SPDX-License-Identifier: Apache-2.0 */
/* writer.h: one address space with one stage 2, and writes of a guest, counted by exits. */
#ifndef SAMEPAGE_TESTS_MM_SPACE_WRITER_H
#define SAMEPAGE_TESTS_MM_SPACE_WRITER_H

#include "sim/mm_world.h"

#include <mm/audit.h>

static struct addrspace *as;
static struct stage2 *s2;

/* The test program's: makes both. */
static void setup(void *world);

static void teardown(void)
{
	struct audit_report report;

	guest_out();
	assert_int_equal(audit_run(0, &report), 0);
	assert_int_equal(report.total, 0);
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void begin(void)
{
	world_begin(2, 64);
	setup(NULL);
}

static void end(void)
{
	teardown();
	world_end();
}

static void write_page(u64 gfn)
{
	assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, gfn), FAULT_MAPPED);
}

/* Exits of the write. */
static u64 write_exits(u64 gfn)
{
	u64 exits = guest_counters.exits;

	write_page(gfn);
	return guest_counters.exits - exits;
}

#endif
