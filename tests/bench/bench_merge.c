/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_merge.c: what merging costs, in nanoseconds a page, by Samepage's own code on this
 * computer.
 *
 *     bench_merge PAGES DUPLICATES ENGINE [late] [ksm]
 *
 * VMS address spaces of one domain, each with a stage 2 through which a simulated guest has written
 * every page, so that dirty bits are where the CPU would have set them.
 *
 *     merge        passes from nothing known until all that can be merged is, for each page
 *     rescan       a pass without writes                     rescan_1pct  one before which a hundredth was written
 *     break        a guest's write to a merged page, from the fault handler's call to its return, the copy included
 *     metadata     bytes for each page, merged or not
 *     floor        what reading alone takes on this computer, in order and none of it cached:
 *                  the hash of a page, and the comparison of two that are the same; the hash
 *                  also with the next page prefetched meanwhile, as the scanner has it
 *     over_floor   merge over the floor: a hash for each page, a comparison for each with a match
 *
 * Under callgrind both sides are counted in instructions: "floor_hash", "floor_compare", "merge".
 */
#include "sim/mm_world.h"

#include <mm/dirty_log.h>
#include <mm/merge.h>
#include <sys/mman.h>

#include "bench.h"
#include "bench_merge.h"
#include "mm/merge/content_hash.h"

#define VMS	    4u
#define ROUNDS	    8u	       /* of rescans; fewer where a pass is long */
#define MANY	    (1u << 17) /* pages */
#define BREAKS	    1024u
#define PASSES	    8u
#define FLOOR	    (1u << 14) /* pages */
#define FLOOR_BYTES ((size_t)FLOOR * PAGE_SIZE)
#define SPARE	    (64 * MIB) /* tables, notes, indexes: besides 64 bytes a page */

static const struct bench_data *data;
static double floor_hash, floor_compare; /* ns */
static struct addrspace *space[VMS];
static struct stage2 *view[VMS];
static uint64_t *content; /* of each page by now */

static unsigned rounds(void)
{
	return data->pages > MANY ? ROUNDS / 4 : ROUNDS;
}

static unsigned vm_of(uint64_t page)
{
	return (unsigned)(page / (data->pages / VMS));
}

static u64 gfn_of(uint64_t page)
{
	return page % (data->pages / VMS);
}

static uint64_t *frame_words(uint64_t page)
{
	struct mfn mfn = {world_mfn(space[vm_of(page)], gfn_of(page))};

	return arch_hpa_to_virt(mfn_to_hpa(mfn));
}

/* The guest writes the page: the first word by its CPU, which sets D; the rest follows. */
static void write_page(uint64_t page, uint64_t what)
{
	assert_int_equal(guest_write(view[vm_of(page)], gfn_of(page) * PAGE_SIZE, 0), FAULT_MAPPED);
	bench_fill(data, what, frame_words(page));
	content[page] = what;
}

/*
 * The hypervisor's direct map is made of large pages and backed before anything is timed; so is
 * this one.
 */
static void boot(void)
{
	u64 bytes = ALIGN_UP(data->pages * (PAGE_SIZE + 64) + SPARE, 2 * MIB);

	world_begin(1, bytes / MIB);
	madvise(sim_memory, bytes, MADV_HUGEPAGE);
	for (u64 at = MIB; at < bytes; at += PAGE_SIZE)
		__atomic_fetch_add(&sim_memory[at], 0, __ATOMIC_RELAXED);
}

/* What is read at one place of the floor's pages, which come three times. */
typedef uint64_t floor_read(const char *page);

static uint64_t hash_of(const char *page)
{
	return page_content_hash(page, NULL);
}

static uint64_t hash_ahead_of(const char *page)
{
	return page_content_hash(page + 2 * FLOOR_BYTES, page + 2 * FLOOR_BYTES + PAGE_SIZE);
}

static uint64_t compare_at(const char *page)
{
	return memcmp(page, page + FLOOR_BYTES, PAGE_SIZE) == 0;
}

static double floor_of(const char *name, floor_read *read, const char *pages)
{
	uint64_t start, sum = 0;
	double took;

	bench_begin();
	bench_on();
	start = bench_clock();
	for (uint64_t page = 0; page < FLOOR; page++)
		sum += read(pages + page * PAGE_SIZE);
	took = (double)(bench_clock() - start) / FLOOR;
	bench_off();
	bench_end(name, FLOOR);
	bench_print(name, took, "ns");
	assert_true(sum >= FLOOR);
	return took;
}

static void bench_floor(void)
{
	char *pages = aligned_alloc(2 * MIB, 3 * FLOOR_BYTES + 2 * MIB);

	madvise(pages, 3 * FLOOR_BYTES + 2 * MIB, MADV_HUGEPAGE);
	for (uint64_t at = 0; at < FLOOR_BYTES; at += PAGE_SIZE) {
		bench_fill(data, at / PAGE_SIZE, (uint64_t *)(pages + at));
		memcpy(pages + FLOOR_BYTES + at, pages + at, PAGE_SIZE);
		memcpy(pages + 2 * FLOOR_BYTES + at, pages + at, PAGE_SIZE);
	}
	content_hash_init();
	floor_hash = floor_of("floor_hash", hash_of, pages);
	floor_compare = floor_of("floor_compare", compare_at, pages);
	(void)floor_of("floor_hash_ahead", hash_ahead_of, pages);
	free(pages);
}

static void begin(const char *engine)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	boot();
	assert_int_equal(merge_configure(merge_engine_find(engine, strlen(engine)), &limits), 0);
	content = malloc(data->pages * sizeof(*content));
	for (unsigned vm = 0; vm < VMS; vm++) {
		space[vm] = world_space(data->pages / VMS);
		view[vm] = world_stage2(space[vm]);
		dirty_log_coarse(space[vm], true); /* as for a VM that is merged */
		assert_int_equal(merge_add(space[vm], world_range(0, data->pages / VMS), 0), 0);
	}
	for (uint64_t page = 0; page < data->pages; page++)
		write_page(page, bench_content(data, page));
	guest_out();
}

static double pass(void)
{
	uint64_t start = bench_clock();

	assert_int_equal(merge_scan(data->pages), data->pages);
	return (double)(bench_clock() - start) / (double)data->pages;
}

static uint64_t merged_pages(void)
{
	struct merge_stats stats;

	merge_stats(&stats);
	return stats.pages_shared + stats.pages_sharing;
}

static void bench_first_merge(void)
{
	uint64_t expected = bench_matches(data, data->pages);
	unsigned passes = 0;
	double sum = 0, floor;

	bench_begin();
	do {
		bench_on();
		sum += pass();
		bench_off();
		passes++;
	} while ((merged_pages() < expected || passes < 2) && passes < PASSES);
	assert_int_equal(merged_pages(), expected);
	bench_end("merge", data->pages);
	floor = floor_hash + floor_compare * (double)expected / (double)data->pages;
	bench_print("samepage_merge", sum, "ns");
	bench_print("samepage_over_floor", sum / floor, "times");
	bench_print("samepage_passes", passes, "passes");
}

static void bench_rescans(void)
{
	double sum = 0;

	(void)pass();
	(void)pass();
	for (unsigned i = 0; i < rounds(); i++)
		sum += pass();
	bench_print("samepage_rescan", sum / rounds(), "ns");
	sum = 0;
	for (unsigned round = 0; round < rounds(); round++) {
		for (uint64_t n = 0; n < data->pages / 100; n++)
			write_page(bench_victim(data, round, n, data->pages / 100),
				   (round + 2) * data->pages + n);
		guest_out();
		sum += pass();
	}
	bench_print("samepage_rescan_1pct", sum / rounds(), "ns");
}

static void bench_metadata(void)
{
	struct merge_stats stats;

	merge_stats(&stats);
	bench_print("samepage_metadata", (double)stats.metadata_bytes / (double)data->pages,
		    "bytes");
}

static bool is_merged(uint64_t page)
{
	return merge_reason(space[vm_of(page)], (struct gfn){gfn_of(page)}) == MERGE_SHARED;
}

/* Breaks spread over all of memory, so that neither page is warm. */
static void bench_breaks(void)
{
	uint64_t count = 0, ticks = 0, stride = MAX(data->pages / BREAKS, 1);

	for (uint64_t page = 0; page < data->pages; page += stride) {
		uint64_t start;

		while (page < data->pages && !is_merged(page))
			page++;
		if (page >= data->pages)
			break;
		start = bench_clock();
		assert_true(fault_handle(view[vm_of(page)], (struct gpa){gfn_of(page) * PAGE_SIZE},
					 HV_WRITE) <= FAULT_SPURIOUS);
		ticks += bench_clock() - start;
		count++;
	}
	if (count)
		bench_print("samepage_break", (double)ticks / (double)count, "ns");
}

static void verify(void)
{
	for (uint64_t page = 0; page < data->pages; page++)
		assert_true(bench_verify(data, content[page], frame_words(page)));
}

static void end(void)
{
	verify();
	for (unsigned vm = 0; vm < VMS; vm++) {
		merge_remove_all(space[vm]);
		stage2_destroy(view[vm]);
		addrspace_destroy(space[vm]);
	}
	world_end();
	munmap(sim_memory, SIM_MEMORY_MAX);
	sim_memory = NULL;
	free(content);
}

static bool has_word(int argc, char **argv, const char *word)
{
	for (int i = 4; i < argc; i++) {
		if (strcmp(argv[i], word) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct bench_data given = {.seed = 2014};

	if (argc < 4) {
		fprintf(stderr, "usage: %s PAGES DUPLICATES ENGINE [late] [ksm]\n", argv[0]);
		return 2;
	}
	given.pages = strtoull(argv[1], NULL, 0);
	given.duplicates = strtoull(argv[2], NULL, 0);
	given.late = has_word(argc, argv, "late");
	data = &given;
	bench_floor();
	begin(argv[3]);
	bench_first_merge();
	bench_metadata();
	bench_rescans();
	bench_breaks();
	end();
	return has_word(argc, argv, "ksm") ? bench_ksm(&given, rounds()) : 0;
}
