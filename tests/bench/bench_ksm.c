/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_ksm.c: the same by the running kernel's KSM, for comparison. It needs root, and changes
 * KSM's settings; the caller restores them (scripts/benches/merge.py), because it outlives this
 * program.
 *
 * What is taken is the time that ksmd ran (/proc/PID/schedstat), so that what else the computer
 * does costs it nothing. A break is timed as the write that causes it, with the page fault around
 * it. KSM scans whatever is mergeable on this computer: an attempt during which it came to other
 * pages than ours is thrown away.
 */
#include "bench_merge.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KSM	 "/sys/kernel/mm/ksm/"
#define BREAKS	 1024u
#define PASSES	 8u
#define BATCH	 4096 /* pages a wake-up: ksmd cannot be stopped in the middle */
#define WAIT_S	 60u
#define ATTEMPTS 5u

static const struct bench_data *data;
static uint64_t *memory;
static bool *changed; /* by page: written since it was merged */
static char schedstat[64];

static long long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long long value = -1;

	if (file && fscanf(file, "%lld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

static long long ksm(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), KSM "%s", name);
	return read_number(path);
}

static int ksm_set(const char *name, long long value)
{
	char path[96];
	FILE *file;
	int bad;

	snprintf(path, sizeof(path), KSM "%s", name);
	file = fopen(path, "w");
	if (!file)
		return -1;
	bad = fprintf(file, "%lld", value) < 0;
	return fclose(file) || bad ? -1 : 0;
}

/* /proc/self/ksm_stat: what this process has of it. -1: this kernel lacks it. */
static long long own(const char *name)
{
	FILE *file = fopen("/proc/self/ksm_stat", "r");
	long long value, found = -1;
	char word[64];

	while (file && fscanf(file, "%63s %lld", word, &value) >= 1) {
		if (strcmp(word, name) == 0)
			found = value;
	}
	if (file)
		fclose(file);
	return found;
}

/* The place of ksmd's schedstat; false: there is none. */
static bool find_ksmd(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (proc && !found && (entry = readdir(proc))) {
		char path[300], name[16] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		found = fscanf(file, "%15s", name) == 1 && strcmp(name, "ksmd") == 0;
		fclose(file);
		snprintf(schedstat, sizeof(schedstat), "/proc/%.20s/schedstat", entry->d_name);
	}
	if (proc)
		closedir(proc);
	return found && read_number(schedstat) >= 0;
}

/*
 * --- No other process's pages
 * ----------------------------------------------------------------------------------------------
 */

/*
 * Does a process other than this have memory that ksmd would scan? QEMU says so of its guests',
 * unless that is disabled.
 */
static bool is_mergeable(const char *pid)
{
	char path[300], line[64];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/ksm_stat", pid);
	file = pid[0] >= '1' && pid[0] <= '9' && atoi(pid) != getpid() ? fopen(path, "r") : NULL;
	while (file && fgets(line, sizeof(line), file))
		found |= strcmp(line, "ksm_mergeable: yes\n") == 0;
	if (file)
		fclose(file);
	return found;
}

static bool others_are_mergeable(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (proc && !found && (entry = readdir(proc)))
		found = is_mergeable(entry->d_name);
	if (proc)
		closedir(proc);
	return found;
}

static bool wait_until_alone(void)
{
	for (unsigned i = 0; i < WAIT_S * 10; i++) {
		if (!others_are_mergeable())
			return true;
		usleep(100000);
	}
	return false;
}

static long long visited(void)
{
	return ksm("pages_scanned") + ksm("pages_skipped");
}

/* Has ksmd been at more pages than ours since the attempt began? Then what it took says nothing. */
static struct {
	long long visited, scans;
} began;

static bool is_alone(void)
{
	long long passes = ksm("full_scans") - began.scans + 2;

	return visited() - began.visited <= passes * (long long)(data->pages + data->pages / 100);
}

/*
 * --- One attempt
 * ------------------------------------------------------------------------------------------------------
 */

static struct {
	const char *name, *unit;
	double value;
} figures[8];
static unsigned figure_count;

static void keep(const char *name, double value, const char *unit)
{
	figures[figure_count].name = name;
	figures[figure_count].value = value;
	figures[figure_count++].unit = unit;
}

/* Lets ksmd run until `scans` passes in all have ended, or pages of another process come in. */
static bool run_until(long long scans)
{
	bool alone;

	ksm_set("run", 1);
	while ((alone = is_alone()) && ksm("full_scans") < scans)
		usleep(200);
	ksm_set("run", 0);
	return alone;
}

/*
 * `passes` whole passes; the nanoseconds of ksmd for each page and pass. The one at hand is ended
 * before.
 */
static bool scan(unsigned passes, double *ns)
{
	long long start;

	if (!run_until(ksm("full_scans") + 1))
		return false;
	start = read_number(schedstat);
	if (!run_until(ksm("full_scans") + passes))
		return false;
	*ns = (double)(read_number(schedstat) - start) / (double)data->pages / passes;
	return true;
}

static uint64_t *page_at(uint64_t page)
{
	return memory + page * BENCH_WORDS;
}

static bool make_memory(void)
{
	memory = mmap(NULL, data->pages * BENCH_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("bench: ksm: mmap");
		return false;
	}
	for (uint64_t page = 0; page < data->pages; page++)
		bench_fill(data, bench_content(data, page), page_at(page));
	return true;
}

/*
 * From nothing known until all that can be merged is, in whole passes; each page is come to twice
 * at least.
 */
static bool measure_merge(void)
{
	long long expected = (long long)bench_matches(data, data->pages),
		  start = read_number(schedstat);
	unsigned passes = 0;

	if (madvise(memory, data->pages * BENCH_PAGE, MADV_MERGEABLE)) {
		perror("bench: ksm: madvise");
		return false;
	}
	do {
		if (!run_until(ksm("full_scans") + 1))
			return false;
		passes++;
	} while (visited() - began.visited < 2 * (long long)data->pages ||
		 (own("ksm_merging_pages") < expected && passes < PASSES));
	keep("ksm_merge", (double)(read_number(schedstat) - start) / (double)data->pages, "ns");
	keep("ksm_passes", passes, "passes");
	keep("ksm_merged", (double)own("ksm_merging_pages"), "pages");
	return true;
}

static void write_hundredth(unsigned round)
{
	for (uint64_t n = 0; n < data->pages / 100; n++) {
		uint64_t page = bench_victim(data, round, n, data->pages / 100);

		bench_fill(data, (round + 2) * data->pages + n, page_at(page));
		changed[page] = true;
	}
}

static bool measure_rescans(unsigned rounds)
{
	double ns, sum = 0;

	if (!scan(rounds, &ns))
		return false;
	keep("ksm_rescan", ns, "ns");
	for (unsigned round = 0; round < rounds; round++) {
		write_hundredth(round);
		if (!scan(1, &ns))
			return false;
		sum += ns;
	}
	keep("ksm_rescan_1pct", sum / rounds, "ns");
	return true;
}

static void measure_metadata(void)
{
	long long saved = own("ksm_merging_pages") + own("ksm_zero_pages");
	long long bytes = saved * BENCH_PAGE - own("ksm_process_profit");

	keep("ksm_metadata", (double)bytes / (double)data->pages, "bytes");
}

static bool is_merged(uint64_t page)
{
	return bench_content(data, page) < data->pages && !changed[page];
}

/* Writes spread over all of memory, to pages that are merged. */
static void measure_breaks(void)
{
	uint64_t count = 0, ticks = 0, stride = data->pages / BREAKS ? data->pages / BREAKS : 1;

	for (uint64_t page = 0; page < data->pages; page += stride) {
		uint64_t start;

		while (page < data->pages && !is_merged(page))
			page++;
		if (page >= data->pages)
			break;
		start = bench_clock();
		__atomic_fetch_add(page_at(page), 1, __ATOMIC_RELAXED);
		ticks += bench_clock() - start;
		count++;
	}
	if (count)
		keep("ksm_break", (double)ticks / (double)count, "ns");
}

static bool attempt(unsigned rounds)
{
	bool good;

	figure_count = 0;
	began.visited = visited();
	began.scans = ksm("full_scans");
	if (!make_memory())
		return false;
	changed = calloc(data->pages, sizeof(*changed));
	good = changed && measure_merge();
	if (good) {
		measure_metadata();
		good = measure_rescans(rounds);
	}
	if (good)
		measure_breaks();
	ksm_set("run", 0);
	munmap(memory, data->pages * BENCH_PAGE);
	free(changed);
	return good;
}

static int give_up(const char *why)
{
	printf("bench: ksm: %s\n", why);
	return 0;
}

int bench_ksm(const struct bench_data *given, unsigned rounds)
{
	bool good = false;

	data = given;
	if (ksm("run") < 0 || !find_ksmd() || own("ksm_rmap_items") < 0)
		return give_up("this kernel has none, or does not count its work");
	if (ksm_set("run", 0) || ksm_set("pages_to_scan", BATCH) || ksm_set("sleep_millisecs", 0))
		return give_up("its settings cannot be changed");
	for (unsigned i = 0; i < ATTEMPTS && !good; i++) {
		if (!wait_until_alone())
			return give_up("other processes have mergeable memory, which it would scan "
				       "as well");
		good = attempt(rounds);
	}
	if (!good)
		return give_up("other processes' memory came in each time");
	for (unsigned i = 0; i < figure_count; i++)
		bench_print(figures[i].name, figures[i].value, figures[i].unit);
	return 0;
}
