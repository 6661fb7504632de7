/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: the table of figures, and what a scope's figures are taken into.
 */
#ifndef SAMEPAGE_HV_STAT_PRIVATE_H
#define SAMEPAGE_HV_STAT_PRIVATE_H

#include <hv/exit.h>
#include <hv/stat.h>
#include <hv/vm.h>
#include <lib/boot_phase.h>
#include <mm/fault.h>
#include <mm/frame.h>
#include <mm/inspect.h>
#include <mm/merge.h>
#include <mm/reclaim.h>

#define STAT_BUCKETS EXIT_BUCKETS /* of a histogram */

/* A gauge goes up and down, SIGNED below zero, too; a peak is the most that a gauge was. */
enum stat_kind { STAT_COUNTER, STAT_GAUGE, STAT_SIGNED, STAT_PEAK, STAT_HISTOGRAM };

/* The '*' in a family's name: exits.* by reason. */
struct stat_family {
	unsigned count;
	const char *(*name)(unsigned index);
};

/* at: the byte in the scope's figures where its u64 is, or the first of a family's. */
struct stat_row {
	const char *name, *unit;
	enum stat_kind kind;
	size_t at;
	const struct stat_family *family;
	const char *text;
};

/*
 * prefix	of the names of an instance's figures; false: past the last instance
 * take		its figures. STAT_AGAIN: the walk is not at its end, and goes on with the next call;
 *		figures and `walk`, 0 at first, stay as they are
 */
enum stat_taken { STAT_TAKEN, STAT_NONE, STAT_AGAIN };
struct stat_scope {
	const char *name;
	const struct stat_row *rows;
	unsigned count;
	bool (*prefix)(unsigned instance, char *prefix);
	enum stat_taken (*take)(unsigned instance, void *figures, u64 *walk);
};
extern const struct stat_scope stat_scopes[];
extern const unsigned stat_scope_count;

struct stat_machine {
	u64 uptime, ticks_per_second, cpus, vms, log_lines;
	u64 boot[BOOT_PHASES];
	struct frame_stats frames;
	struct reclaim_stats reclaim;
	struct merge_stats merge;
	u64 breaks, saved;
	struct stat_channel channel;
};

struct stat_cpu {
	u64 turns, flushes, waited, scan_time;
	struct merge_cpu_stats scan;
};

struct stat_domain {
	u64 pages, frames, bytes;
};

struct stat_vm {
	u64 exits[HV_EXIT_REASONS], exit_time[HV_EXIT_REASONS];
	u64 exit_ticks[HV_EXIT_REASONS][STAT_BUCKETS];
	u64 slices, used, stolen, injected, lost_ports, lost_accesses, starved, console_dropped;
	u64 state, paused, memory;
	struct vm_memory_stats stats;
};

struct stat_vcpu {
	u64 exits[HV_EXIT_REASONS];
	u64 state, cpu, slices, used, stolen, starved;
};

struct stat_subscriber {
	u64 count, invalidated[EVENTS], in_place[EVENTS];
	struct subscriber_work work;
};

struct stat_slot {
	u64 start, pages, kind;
};

/* take.c, take_vm.c */
#define STAT_SCOPE(name)                                            \
	bool stat_##name##_prefix(unsigned instance, char *prefix); \
	enum stat_taken stat_##name##_take(unsigned instance, void *figures, u64 *walk)
STAT_SCOPE(machine);
STAT_SCOPE(cpu);
STAT_SCOPE(domain);
STAT_SCOPE(vm);
STAT_SCOPE(memory);
STAT_SCOPE(vcpu);
STAT_SCOPE(subscriber);
STAT_SCOPE(subscribers);
STAT_SCOPE(slot);

const char *stat_exit_name(unsigned index);
const char *stat_fault_name(unsigned index);
const char *stat_event_name(unsigned index);
const char *stat_reason_name(unsigned index);

#endif
