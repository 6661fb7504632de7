/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merging.c: when the scanner runs, and who takes part.
 *
 *     idle CPU    chunk, chunk, ... until a vCPU is ready or the pass ends; then sleep until `due`
 *     busy CPU    turn, turn, [chunk if due], turn, turn, ...        merge_share percent of its time at most
 *
 * Idle CPUs come first: a busy one leaves a pass that is due to them, and joins in when none has
 * been at it for a while.
 *
 * Why passes are spaced: a page is taken seriously when it is the same in two passes. Passes in a
 * row would call everything stable that is not written all the time.
 */
#include <hv/merging.h>
#include <abi/machine.h>
#include <arch/boot_info.h>
#include <arch/cpu.h>
#include <hv/dirty.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/merge.h>

#define LOG_THIS LOG_MM
#define CHUNK	 512

/*
 * on, interval, share, engine: [I] after init
 * due		[a] tick before which no pass begins
 * scanners	[a] CPUs that are at it; idlers: those of them that have nothing else to do
 * idle_seen	[a] tick when one of these was last at it
 * told		[a] when progress was shown; two CPUs may both do it, which costs a line
 * rest		by CPU: the tick until which its vCPUs have it for themselves
 */
static struct {
	bool on;
	u64 interval, share;
	const struct merge_engine *engine;
	u64 due, told, idle_seen;
	u32 scanners, idlers;
	u64 rest[ARCH_CPUS_MAX];
} merging;

/* merge=: an engine; without the word Kconfig's. */
static const struct merge_engine *chosen_engine(const char *word)
{
	const struct merge_engine *engine = merge_engine_find(word, strlen(word));

	if (engine)
		return engine;
	engine = merge_engine_default();
	if (word[0])
		log_error("merge=%s: no such engine; it is %s", word, merge_engine_name(engine));
	return engine;
}

void merging_init(void)
{
	const char *engine = boot_option_text("merge");
	struct merge_limits limits = {
		.cap = (u32)boot_option_number("merge_cap"),
		.secure = strcmp(boot_option_text("merge_secure"), "yes") == 0,
		.zero = true,
		.split = (u32)boot_option_number("merge_split"),
	};

	merging.on = strcmp(engine, "off") != 0;
	merging.interval = arch_ticks_per_second() / 1000 * boot_option_number("merge_ms");
	merging.share = boot_option_number("merge_share");
	merging.engine = chosen_engine(merging.on ? engine : "");
	CHECK(merge_configure(merging.engine, &limits) == 0);
}

bool merging_is_on(void)
{
	return merging.on;
}

u32 merging_domain(const struct vm *vm)
{
	if (!merging.on)
		return 0;
	return vm->config.merge_domain == VM_MERGE_OWN ? VM_MERGE_OWN + vm->id
						       : vm->config.merge_domain;
}

static int add_range(struct vm *vm, u64 start, u64 end)
{
	const struct gfn_range range = {{start >> PAGE_SHIFT}, {end >> PAGE_SHIFT}};

	if (vm->config.merge_marked)
		return merge_add_marked(vm->memory, range, merging_domain(vm));
	return merge_add(vm->memory, range, merging_domain(vm));
}

void merging_add(struct vm *vm)
{
	u32 domain = merging_domain(vm);
	int err;

	if (!domain)
		return;
	err = add_range(vm, 0, MIN(vm->config.memory, (u64)MACHINE_HOLE_START));
	if (err == 0 && vm->config.memory > MACHINE_HOLE_END)
		err = add_range(vm, MACHINE_HOLE_END, vm->config.memory);
	if (err)
		log_error("%s: its memory is not merged: %s", vm->config.name, error_name(err));
	else
		log_info("%s: mergeable%s, domain %u, engine %s, writes noticed by %s",
			 vm->config.name, vm->config.merge_marked ? " where marked" : "", domain,
			 merge_engine_name(merging.engine), dirty_source_name(vm));
}

void merging_remove(struct vm *vm)
{
	merge_remove_all(vm->memory);
}

/* A line a second, as long as passes end: what a person who waits wants to see. */
static void tell_progress(u64 now)
{
	struct merge_stats s;

	if (!merge_is_active() || now < merging.told + arch_ticks_per_second())
		return;
	merging.told = now;
	merge_stats(&s);
	log_info("merge: pass %llu: %llu KiB saved, %llu pages in %llu frames, %llu zero, %llu "
		 "unique, general_profit %lld KiB",
		 (unsigned long long)s.full_scans,
		 (unsigned long long)(s.pages_sharing + s.zero_pages) * PAGE_SIZE >> 10,
		 (unsigned long long)(s.pages_sharing + s.pages_shared),
		 (unsigned long long)s.pages_shared, (unsigned long long)s.zero_pages,
		 (unsigned long long)s.pages_unshared, (long long)(s.general_profit / 1024));
}

/*
 * How long a busy CPU waits for an idle one, which the alarm has woken. Alone, it has nobody to
 * wait for.
 */
static u64 grace(void)
{
	return arch_cpu_count() > 1 ? merging.interval / 16 : 0;
}

static bool is_time(bool idle, u64 now)
{
	u64 due = __atomic_load_n(&merging.due, __ATOMIC_RELAXED);
	u64 seen = __atomic_load_n(&merging.idle_seen, __ATOMIC_RELAXED);

	if (!merging.on || now < due)
		return false;
	if (idle)
		return true;
	return !__atomic_load_n(&merging.idlers, __ATOMIC_RELAXED) &&
	       now >= MAX(due, seen) + grace() && now >= merging.rest[arch_cpu_id()];
}

/*
 * A fourth of the CPUs scan at a time, at least one. More of them mostly wait for one another's
 * locks, and where the CPUs are threads of an emulator that share fewer real ones, a lock's holder
 * is often not running.
 */
static bool begin_scan(bool idle)
{
	u32 most = MAX(arch_cpu_count() / 4, 1u);

	if (__atomic_add_fetch(&merging.scanners, 1, __ATOMIC_ACQ_REL) <= most) {
		__atomic_add_fetch(&merging.idlers, idle, __ATOMIC_RELAXED);
		return true;
	}
	__atomic_sub_fetch(&merging.scanners, 1, __ATOMIC_ACQ_REL);
	return false;
}

/*
 * A step that took long, for what it had to read, is followed by a long rest, should the CPU be
 * busy then.
 */
static void end_scan(bool idle, u64 took, u64 now)
{
	merging.rest[arch_cpu_id()] = now + took * (100 - merging.share) / merging.share;
	if (idle)
		__atomic_store_n(&merging.idle_seen, now, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&merging.idlers, idle, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&merging.scanners, 1, __ATOMIC_ACQ_REL);
}

bool merging_step(bool idle)
{
	u64 began = arch_ticks(), passes = merge_passes(), now;
	bool more;

	if (!is_time(idle, began) || !begin_scan(idle))
		return false;
	more = merge_scan(CHUNK) > 0;
	now = arch_ticks();
	end_scan(idle, now - began, now);
	if (merge_passes() == passes)
		return more;
	__atomic_store_n(&merging.due, now + merging.interval, __ATOMIC_RELAXED);
	tell_progress(now);
	return false;
}

/* Who finds enough others at it looks again in a millisecond. */
u64 merging_alarm(void)
{
	u64 soon = arch_ticks() + arch_ticks_per_second() / 1000;

	if (!merging.on || !merge_is_active())
		return TICK_NEVER;
	return MAX(__atomic_load_n(&merging.due, __ATOMIC_RELAXED), soon);
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
	log_info("summary: merge: %llu large leaves split, %llu whole again",
		 (unsigned long long)s.large_split, (unsigned long long)s.large_collapsed);
	log_info("summary: merge: at best %llu KiB saved", (unsigned long long)(s.best_pages * 4));
}
