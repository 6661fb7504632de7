/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_growth.c: instructions of a pass and of a VM's start and end, by size (./run bench growth).
 * What can be counted without callgrind is in unit/mm/growth, which also holds it.
 */
#include "sim/mm_world.h"

#include <mm/merge.h>

#include "bench.h"

static struct addrspace *as;
static struct stage2 *s2;

static void begin(u64 pages, bool merge)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	world_begin(1, 512);
	assert_int_equal(merge_configure(merge_engine_find("hash", 4), &limits), 0);
	as = world_space(pages);
	s2 = world_stage2(as);
	if (merge)
		assert_int_equal(merge_add(as, world_range(0, pages), 0), 0);
}

static void end(bool merge)
{
	if (merge)
		merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void write_pages(u64 pages, u64 stride, u64 salt)
{
	for (u64 page = 0; page < pages; page += stride)
		assert_int_equal(guest_write(s2, page * PAGE_SIZE, salt + page), FAULT_MAPPED);
	guest_out();
}

/* A pass over memory of which every page has settled, one in `stride` is written; 0: none. */
static void bench_pass(const char *curve, u64 x, u64 pages, u64 stride)
{
	char name[64];

	begin(pages, true);
	write_pages(pages, 1, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(merge_scan(pages), pages);
	if (stride)
		write_pages(pages, stride, 1 << 20);
	bench_begin();
	bench_on();
	(void)merge_scan(pages);
	bench_off();
	snprintf(name, sizeof(name), "%s_%lu", curve, x);
	bench_end(name, 1);
	end(true);
}

/* A VM of so many pages, one in `stride` touched: its start, and its end. */
static void bench_vm(const char *curve, u64 x, u64 pages, u64 stride)
{
	char name[64];

	world_begin(1, 512);
	bench_begin();
	bench_on();
	as = world_space(pages);
	s2 = world_stage2(as);
	bench_off();
	snprintf(name, sizeof(name), "%s_start_%lu", curve, x);
	bench_end(name, 1);
	if (stride)
		write_pages(pages, stride, 1);
	bench_begin();
	bench_on();
	stage2_destroy(s2);
	addrspace_destroy(as);
	bench_off();
	snprintf(name, sizeof(name), "%s_end_%lu", curve, x);
	bench_end(name, 1);
	world_end();
}

int main(void)
{
	bench_begin();
	for (unsigned i = 0; i < 256; i++) {
		bench_on();
		bench_off();
	}
	bench_end("empty", 256);
	for (u64 pages = 1 << 10; pages <= 1 << 16; pages *= 4)
		bench_pass("pass_owned", pages, pages, 0);
	for (u64 stride = 1 << 14; stride; stride /= 4)
		bench_pass("pass_written", (1 << 14) / stride, 1 << 14, stride);
	for (unsigned order = 8; order <= 28; order += 4)
		bench_vm("vm_size", 1ull << order, 1ull << order, 0);
	for (u64 stride = 1 << 14; stride; stride /= 4)
		bench_vm("vm_touched", (1 << 14) / stride, 1 << 14, stride);
	return 0;
}
