/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merging.c: when the scanner runs, and who takes part.
 *
 *     idle CPU    chunk, chunk, ... until a vCPU is ready or the pass ends; then sleep until `due`
 *     busy CPU    turn, turn, [chunk if due], turn, turn, ...        a fifth of its time at most
 *
 * Why passes are spaced: a page is taken seriously when it is the same in two passes. Passes in a row would call everything
 * stable that is not written all the time.
 */
#include <abi/machine.h>
#include <arch/boot_info.h>
#include <arch/cpu.h>
#include <hv/merging.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/merge.h>

#define LOG_THIS LOG_MM
#define CHUNK	 512

/*
 * on, interval: [I] after init
 * due		[a] tick before which no pass begins
 * told		[a] when progress was shown; two CPUs may both do it, which costs a line
 * rest		by CPU: the tick until which its vCPUs have it for themselves
 */
static struct {
	bool on;
	u64 interval;
	u64 due, told;
	u64 rest[ARCH_CPUS_MAX];
} merging;

static const struct merge_engine *chosen_engine(const char *word)
{
	const struct merge_engine *engine = merge_engine_find(word, strlen(word));

	if (engine)
		return engine;
	if (word[0])
		log_error("merge=%s: no such engine; it is hash", word);
	return &merge_engine_hash;
}

void merging_init(void)
{
	const char *engine = boot_option_text("merge");
	struct merge_limits limits = {
		.cap = (u32)boot_option_number("merge_cap"),
		.secure = strcmp(boot_option_text("merge_secure"), "yes") == 0,
		.zero = true,
	};

	merging.on = strcmp(engine, "off") != 0;
	merging.interval = arch_ticks_per_second() / 1000 * boot_option_number("merge_ms");
	CHECK(merge_configure(chosen_engine(merging.on ? engine : ""), &limits) == 0);
}

void merging_add(struct vm *vm)
{
	const struct gfn_range low = {
		{0}, {MIN(vm->config.memory, (u64)MACHINE_HOLE_START) >> PAGE_SHIFT}};
	const struct gfn_range high = {{MACHINE_HOLE_END >> PAGE_SHIFT},
				       {vm->config.memory >> PAGE_SHIFT}};
	u32 domain = vm->config.merge_domain == VM_MERGE_OWN ? VM_MERGE_OWN + vm->id
							     : vm->config.merge_domain;
	int err;

	if (!merging.on || !domain)
		return;
	err = merge_add(vm->memory, low, domain);
	if (err == 0 && high.start.raw < high.end.raw)
		err = merge_add(vm->memory, high, domain);
	if (err)
		log_error("%s: its memory is not merged: %s", vm->config.name, error_name(err));
	else
		log_info("%s: mergeable, domain %u, engine %s", vm->config.name, domain,
			 merge_engine_name(chosen_engine(boot_option_text("merge"))));
}

void merging_remove(struct vm *vm)
{
	merge_remove_all(vm->memory);
}

/* A line a second, as long as passes end: what a person who waits wants to see. */
static void tell_progress(u64 now)
{
	struct merge_stats s;

	if (now < merging.told + arch_ticks_per_second())
		return;
	merging.told = now;
	merge_stats(&s);
	log_info("merge: pass %llu: %llu KiB saved, %llu pages in %llu frames, %llu zero, %llu "
		 "unique",
		 (unsigned long long)s.full_scans,
		 (unsigned long long)(s.pages_sharing + s.zero_pages) * PAGE_SIZE >> 10,
		 (unsigned long long)(s.pages_sharing + s.pages_shared),
		 (unsigned long long)s.pages_shared, (unsigned long long)s.zero_pages,
		 (unsigned long long)s.pages_unshared);
}

/* A busy CPU's vCPUs keep four fifths of it: a step that took long, for what it had to read, is followed by a long rest. */
#define REST 4

static bool is_time(bool idle, u64 now)
{
	if (!merging.on || now < __atomic_load_n(&merging.due, __ATOMIC_RELAXED))
		return false;
	return idle || now >= merging.rest[arch_cpu_id()];
}

bool merging_step(bool idle)
{
	u64 began = arch_ticks(), passes = merge_passes(), now;
	bool more;

	if (!is_time(idle, began))
		return false;
	more = merge_scan(CHUNK) > 0;
	now = arch_ticks();
	merging.rest[arch_cpu_id()] = now + REST * (now - began);
	if (merge_passes() == passes)
		return more;
	__atomic_store_n(&merging.due, now + merging.interval, __ATOMIC_RELAXED);
	tell_progress(now);
	return false;
}

u64 merging_alarm(void)
{
	return merging.on && merge_is_active() ? __atomic_load_n(&merging.due, __ATOMIC_RELAXED)
					       : ~0ull;
}

void merging_summary(void)
{
	struct merge_stats s;

	merge_stats(&s);
	if (!s.full_scans && !s.pages_scanned)
		return;
	log_info("summary: merge: %llu passes, %llu pages visited, %llu read, %llu skipped, %llu "
		 "compares",
		 (unsigned long long)s.full_scans, (unsigned long long)s.pages_scanned,
		 (unsigned long long)s.pages_read, (unsigned long long)s.pages_skipped,
		 (unsigned long long)s.compares);
	log_info("summary: merge: %llu merged, %llu to the frame of zeroes, %llu races lost",
		 (unsigned long long)s.merged, (unsigned long long)s.zeroed,
		 (unsigned long long)s.lost_races);
	log_info("summary: merge: at best %llu KiB saved", (unsigned long long)(s.best_pages * 4));
}
