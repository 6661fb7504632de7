/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merging.c: when the scanner runs, and on which CPUs.
 *
 *     idle CPU    chunk, chunk, ... until a vCPU is ready or the pass ends; then sleep until `due`
 *     busy CPU    turn, turn, [chunk if due], turn, turn, ...        merge_share percent of its time at most
 *
 * Idle CPUs come first: a busy one leaves a pass that is due to them, and joins in when none has
 * scanned for a while.
 *
 * The pause between two passes follows what the last one saved (pace.c), or is merge_ms. With
 * merge_ms the scanner backs off where nothing is merged: from the third pass on in which no page
 * was merged the pause doubles with each, up to 32 times merge_ms. A pass that merges, a new region
 * and a guest's hint take it back to merge_ms. The first pass comes after a pause, too: a guest
 * that calls for passes itself (merge_control=yes) has none beside its own within a long merge_ms.
 *
 * Why passes are spaced: a page is looked up when it is the same in two passes. In passes without a
 * pause all pages would be that are not written all the time.
 */
#include <hv/merging.h>
#include <arch/boot_info.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/dirty.h>
#include <hv/ram.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>
#include <mm/merge.h>
#include "hv/jobs/pace.h"

#define LOG_THIS LOG_MM
#define CHUNK	 512
#define BACK_OFF 5 /* doublings of the pause between passes, at most */

/*
 * on, share	[I] after init
 * fixed	[a] merge_ms; 0: the scanner paces itself
 * interval	[a] ticks between two passes: merge_ms, or the shortest pause
 * pace		[a] the scanner's own
 * pacing	[a] a CPU is in adapt_pause(); paced_by: the pass that changed `pace` last
 * hurried	[a] the next pass is to follow after the shortest pause
 * engine, limits	of domains; CPU 0
 * due		[a] tick before which no pass begins
 * scanners	[a] CPUs that scan; idlers: those of them without a ready vCPU
 * idle_seen	[a] tick when an idle CPU last scanned
 * shown	[a] tick when progress was last shown; two CPUs may both show it, which costs a line
 * rest		by CPU: the tick until which it does not scan while it has a ready vCPU
 * spent	[a] by CPU: ticks of its steps so far
 */
static struct {
	bool on;
	u64 fixed, interval, share;
	struct pace pace;
	u64 paced_by;
	u32 pacing, hurried;
	const struct merge_engine *engine;
	struct merge_limits limits;
	u64 due, shown, idle_seen;
	u32 scanners, idlers;
	u64 rest[ARCH_CPUS_MAX], spent[ARCH_CPUS_MAX];
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

static u64 ticks_of_ms(u64 ms)
{
	return arch_ticks_per_second() / 1000 * ms;
}

/* 0: the scanner's own. */
static void set_pace(u64 ms)
{
	ck_pr_store_64(&merging.fixed, ms);
	ck_pr_store_32(&merging.hurried, 1);
	ck_pr_store_64(&merging.pace.pause, PACE_SHORTEST);
	ck_pr_store_64(&merging.interval, ticks_of_ms(ms ? ms : PACE_SHORTEST));
}

void merging_init(void)
{
	const char *engine = boot_option_text("merge");

	merging.limits = (struct merge_limits){
		.cap = (u32)boot_option_number("merge_cap"),
		.secure = strcmp(boot_option_text("merge_secure"), "no") != 0,
		.zero = true,
		.split = (u32)boot_option_number("merge_split"),
	};

	merging.on = strcmp(engine, "off") != 0;
	set_pace(boot_option_number("merge_ms"));
	merging.due = merging.fixed ? arch_ticks() + merging.interval : 0;
	merging.share = boot_option_number("merge_share");
	merging.engine = chosen_engine(merging.on ? engine : "");
	CHECK(merge_configure(merging.engine, &merging.limits) == 0);
	if (merging.on)
		frame_reserve_fill();
}

const char *merging_engine_name(void)
{
	return merging.on ? merge_engine_name(merging.engine) : "off";
}

bool merging_is_secure(void)
{
	return merging.limits.secure;
}

u64 merging_pace(void)
{
	u64 fixed = ck_pr_load_64(&merging.fixed);

	return fixed ? fixed : ck_pr_load_64(&merging.pace.pause);
}

void merging_set_pace(u64 ms)
{
	set_pace(ms);
	merging_hurry();
}

/* Of the domains that there are. */
static int switch_domains(const struct merge_engine *engine)
{
	struct merge_domain_stats domain;
	int err = 0;

	for (unsigned i = 0; !err && merge_domain_stats(i, &domain); i++)
		err = merge_switch(domain.number, engine);
	return err;
}

int merging_set_engine(const char *name)
{
	const struct merge_engine *engine = merge_engine_find(name, strlen(name));
	int err = engine ? switch_domains(engine) : ERR_NOT_FOUND;

	if (!err)
		merging.engine = engine;
	return err;
}

static void each_running_vm(void (*visit)(struct vm *vm))
{
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		if (!vm_hold(vm))
			continue;
		visit(vm);
		vm_release(vm);
	}
}

/* New regions take the mode; a domain without a region is gone. */
int merging_set_secure(bool secure)
{
	struct merge_limits limits = merging.limits;
	int err;

	limits.secure = secure;
	each_running_vm(merging_remove);
	err = merge_configure(merging.engine, &limits);
	if (!err)
		merging.limits = limits;
	each_running_vm(merging_add);
	return err;
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

static int add_range(struct vm *vm, const struct ram_range *ram)
{
	const struct gfn_range range = {{ram->start >> PAGE_SHIFT}, {ram->end >> PAGE_SHIFT}};

	if (vm->config.merge_marked)
		return merge_add_marked(vm->memory, range, merging_domain(vm));
	return merge_add(vm->memory, range, merging_domain(vm));
}

void merging_add(struct vm *vm)
{
	u32 domain = merging_domain(vm);
	struct ram_range ram;
	int err = 0;

	if (!domain)
		return;
	merging_hurry();
	for (unsigned n = 0; !err && ram_range(vm->config.memory, n, &ram); n++)
		err = add_range(vm, &ram);
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

/* A line a second, as long as passes end. */
static void show_progress(u64 now)
{
	struct merge_stats s;

	if (!merge_is_active() || now < merging.shown + arch_ticks_per_second())
		return;
	merging.shown = now;
	merge_stats(&s);
	log_info("merge: pass %llu: %llu KiB saved, %llu pages in %llu frames, %llu zero, %llu "
		 "unique, general_profit %lld KiB",
		 (unsigned long long)s.full_scans,
		 (unsigned long long)(s.pages_sharing + s.zero_pages) * PAGE_SIZE >> 10,
		 (unsigned long long)(s.pages_sharing + s.pages_shared),
		 (unsigned long long)s.pages_shared, (unsigned long long)s.zero_pages,
		 (unsigned long long)s.pages_unshared, (long long)(s.general_profit / 1024));
}

/* How long a busy CPU leaves a pass that is due to idle ones, which the alarm has woken. */
static u64 grace(void)
{
	return arch_cpu_count() > 1 ? merging.interval / 16 : 0;
}

static bool is_time(bool idle, u64 now)
{
	u64 due = ck_pr_load_64(&merging.due);
	u64 seen = ck_pr_load_64(&merging.idle_seen);

	if (!merging.on || now < due)
		return false;
	if (idle)
		return true;
	return !ck_pr_load_32(&merging.idlers) && now >= MAX(due, seen) + grace() &&
	       now >= merging.rest[arch_cpu_id()];
}

/*
 * A fourth of the CPUs scan at a time, at least one. More of them mostly wait for each other's
 * locks; and where CPUs are threads of an emulator on fewer real ones, a lock's holder is often not
 * running.
 */
static bool begin_scan(bool idle)
{
	u32 most = MAX(arch_cpu_count() / 4, 1u);

	if (ck_pr_faa_32(&merging.scanners, 1) < most) {
		ck_pr_add_32(&merging.idlers, idle);
		return true;
	}
	ck_pr_dec_32(&merging.scanners);
	return false;
}

/* A long step is followed by a long rest, should the CPU be busy then. */
static void end_scan(bool idle, u64 took, u64 now)
{
	u64 *spent = &merging.spent[arch_cpu_id()];

	ck_pr_store_64(spent, *spent + took);
	merging.rest[arch_cpu_id()] = now + took * (100 - merging.share) / merging.share;
	if (idle)
		ck_pr_store_64(&merging.idle_seen, now);
	ck_pr_sub_32(&merging.idlers, idle);
	ck_pr_dec_32(&merging.scanners);
}

/* The pass that has ended sets the pause, once, whichever CPUs see its end. */
static void adapt_pause(void)
{
	struct merge_work work;
	struct pace pace;

	if (!ck_pr_cas_32(&merging.pacing, 0, 1))
		return;
	merge_work(&work);
	pace = merging.pace;
	if (ck_pr_fas_32(&merging.hurried, 0))
		pace = (struct pace){.pause = PACE_SHORTEST};
	if (work.pass != merging.paced_by)
		pace_next(&pace, &work);
	merging.paced_by = work.pass;
	merging.pace.read = pace.read;
	ck_pr_store_64(&merging.pace.pause, pace.pause);
	ck_pr_fence_release();
	ck_pr_store_32(&merging.pacing, 0);
}

/* With merge_ms: a page is merged at its second look, so two passes decide. */
static u64 pass_pause(void)
{
	u64 quiet, beyond;

	if (!ck_pr_load_64(&merging.fixed)) {
		adapt_pause();
		return ticks_of_ms(ck_pr_load_64(&merging.pace.pause));
	}
	quiet = merge_quiet_passes();
	beyond = quiet - MIN(quiet, (u64)MERGE_SETTLED);

	return ck_pr_load_64(&merging.interval) << MIN(beyond, (u64)BACK_OFF);
}

void merging_hurry(void)
{
	u64 soon = arch_ticks() + ck_pr_load_64(&merging.interval);

	ck_pr_store_32(&merging.hurried, 1);
	if (ck_pr_load_64(&merging.due) > soon)
		ck_pr_store_64(&merging.due, soon);
}

u64 merging_time(unsigned cpu)
{
	return ck_pr_load_64(&merging.spent[cpu]);
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
	ck_pr_store_64(&merging.due, now + pass_pause());
	show_progress(now);
	return false;
}

/* A CPU that finds enough others scanning tries again in a millisecond. */
u64 merging_alarm(void)
{
	u64 soon = arch_ticks() + arch_ticks_per_second() / 1000;

	if (!merging.on || !merge_is_active())
		return ~0ull;
	return MAX(ck_pr_load_64(&merging.due), soon);
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
