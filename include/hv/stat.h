/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat.h: the statistics: every figure of the machine by a dotted name.
 *
 *     machine.frames.free 65012        vm.one.exits.cpuid 31        cpu.1.flush.sent 7
 *
 * hv/stat/rows.c is the table: a row has name, unit, kind, scope and a sentence, and
 * docs/statistics.md is made from it. The figures are those of the moment: the counters are read
 * where they are counted, and nothing is cached.
 *
 * Invariants:
 * STAT-1  A figure's name is unique, and each row has a unit and a sentence.
 *
 * Context: CPU 0, no lock held.
 */
#ifndef SAMEPAGE_HV_STAT_H
#define SAMEPAGE_HV_STAT_H

#include <lib/json.h>
#include <lib/types.h>

#define STAT_FIGURES_MAX 16384 /* bytes of the figures of one scope's instance */
#define STAT_PREFIX_MAX	 96

/*
 * struct stat_cursor: a walk over the figures, which goes on in the next buffer where one is full.
 *
 * pattern	names to write, '*' stands for any text; none: all
 * figures	of the scope's instance that the walk is in
 */
struct stat_cursor {
	const char *const *pattern;
	unsigned patterns;
	unsigned scope, instance, row, index;
	bool taken;
	u64 walk;
	char prefix[STAT_PREFIX_MAX];
	u64 figures[STAT_FIGURES_MAX / sizeof(u64)];
};

/* The patterns stay valid for the walk. */
void stat_begin(struct stat_cursor *cursor, const char *const *pattern, unsigned patterns);

/*
 * Adds members `name: number` to an open object until it is full or all are written. A histogram is
 * an array of counts by power of two. Figures of a family (exits by reason) that are 0 are left
 * out. STAT_LATER: the next figures need a walk over a VM's pages, a step of which is done; what
 * was written before stands.
 */
enum stat_progress { STAT_DONE, STAT_MORE, STAT_LATER };
enum stat_progress stat_write(struct stat_cursor *cursor, struct json *json);

/* Does the text match the pattern? */
bool stat_match(const char *pattern, const char *text);

/* Ticks as nanoseconds. */
u64 stat_ns(u64 ticks);

struct vm;

/* A VM has stopped and is about to be destroyed: its last figures go into it. Run loop. */
void stat_vm_end(struct vm *vm);
/* Its counters, once no scanner visits it any more: they stand still. Run loop, after the above. */
void stat_vm_end_counters(struct vm *vm);

/* Shared pages of the VM that a write made private, so far. */
u64 stat_vm_breaks(struct vm *vm);

/* Of the control channel, which adds to them. */
struct stat_channel {
	u64 requests, refused, lines, dropped, bytes_in, bytes_out;
};
extern struct stat_channel stat_channel;

#endif
