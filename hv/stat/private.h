/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: the table of figures, and what a scope's figures are taken into.
 */
#ifndef SAMEPAGE_HV_STAT_PRIVATE_H
#define SAMEPAGE_HV_STAT_PRIVATE_H

#include <hv/exit.h>
#include <hv/stat.h>
#include <hv/vm.h>
#include <mm/frame.h>
#include <mm/merge.h>
#include <mm/reclaim.h>

#define STAT_BUCKETS 32 /* of a histogram: bucket n counts values from 2^n to 2^(n+1) - 1 */

/* A gauge goes up and down, a peak is the most that a gauge was; SIGNED may be below zero. */
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
 * prefix: of the names of an instance's figures; false: past the last instance. take: its figures;
 * false: it has none now.
 */
struct stat_scope {
	const char *name;
	const struct stat_row *rows;
	unsigned count;
	bool (*prefix)(unsigned instance, char *prefix);
	bool (*take)(unsigned instance, void *figures);
};
extern const struct stat_scope stat_scopes[];
extern const unsigned stat_scope_count;

struct stat_machine {
	u64 uptime, ticks_per_second, cpus, vms, log_lines;
	struct frame_stats frames;
	struct reclaim_stats reclaim;
	struct merge_stats merge;
	struct stat_channel channel;
};

struct stat_cpu {
	u64 turns;
};

struct stat_vm {
	u64 exits[HV_EXIT_REASONS], slices, used;
};

/* take.c */
const char *stat_exit_name(unsigned index);
bool stat_machine_prefix(unsigned instance, char *prefix);
bool stat_machine_take(unsigned instance, void *figures);
bool stat_cpu_prefix(unsigned instance, char *prefix);
bool stat_cpu_take(unsigned instance, void *figures);
bool stat_vm_prefix(unsigned instance, char *prefix);
bool stat_vm_take(unsigned instance, void *figures);

#endif
