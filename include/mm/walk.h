/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h: the one table walker, for every format.
 *
 *            root (level 3)        level 2            level 1            level 0
 *     in ->  [47:39] ------------> [38:30] ---------> [29:21] ---------> [20:12] --> 4 KiB
 *                                  leaf: 1 GiB        leaf: 2 MiB
 *
 * Each store to a table is one atomic 8-byte store that makes the table read as before or as after, at every instant.
 * Invalid intermediate tables never become visible: a new table is filled, then linked.
 *
 * Locking: the caller serializes changes to one table; lookups may run beside them.
 */
#ifndef SAMEPAGE_MM_WALK_H
#define SAMEPAGE_MM_WALK_H

#include <arch/pgtable.h>
#include <lib/types.h>

/* Where tables come from and go to; injected, so that tests can fail the n-th allocation and record every store. */
struct pgtable_memory {
	int (*alloc)(void *context, struct hpa *table); /* zeroed; ERR_NO_MEMORY */
	void (*free)(void *context, struct hpa table);
	void *(*virt)(void *context, struct hpa table);
	void (*store)(void *context, pte_t *slot, pte_t value); /* NULL: a plain atomic store */
	void *context;
};

struct pgtable {
	const struct pgtable_format *format; /* [I] */
	const struct pgtable_memory *memory; /* [I] */
	struct hpa root;		     /* [I] */
	u64 tables;			     /* how many tables, the root included */
};

/* ERR_NO_MEMORY. fini frees every table; leaves are not looked at. */
int pgtable_init(struct pgtable *table, const struct pgtable_format *format, const struct pgtable_memory *memory)
	__must_check;
void pgtable_fini(struct pgtable *table);

/* What a visitor is shown. `slot` may be stored to through pgtable_store() only. */
struct pgtable_visit {
	u64 address; /* first address the slot covers */
	unsigned level;
	pte_t pte;   /* as read */
	pte_t *slot;
};

enum visit_flags { VISIT_LEAF = 1, VISIT_ABSENT = 2, VISIT_TABLE_BEFORE = 4, VISIT_TABLE_AFTER = 8 };

/* Returns 0 to go on, else the walk stops and returns it. */
typedef int (*pgtable_visitor)(struct pgtable *table, const struct pgtable_visit *visit, void *argument);

/* Visits the slots that cover [start, end) in address order. ERR_INVALID: unaligned, empty or out of the format's width. */
int pgtable_walk(struct pgtable *table, u64 start, u64 end, unsigned flags, pgtable_visitor visitor, void *argument);

/* The leaf that maps `address`, or the absent slot where the walk ended (visit->pte not present). */
void pgtable_lookup(struct pgtable *table, u64 address, struct pgtable_visit *visit);

/* Stores a PTE through the table's memory operations. */
void pgtable_store(struct pgtable *table, pte_t *slot, pte_t value);
/* Atomically swaps; false when *slot was not `old` (the CPU set A or D meanwhile) and then nothing changed. */
bool pgtable_swap(struct pgtable *table, pte_t *slot, pte_t old, pte_t value);

/*
 * Maps [start, end) to `to` with the largest leaves up to max_level that alignment allows, replacing what is there.
 * All or nothing: ERR_NO_MEMORY and ERR_INVALID (unaligned, attr the format cannot express) change no leaf.
 */
int pgtable_map(struct pgtable *table, u64 start, u64 end, struct hpa to, unsigned attr, unsigned max_level) __must_check;
/* Unmaps [start, end), freeing tables that became empty; a larger leaf at an edge is split first (ERR_NO_MEMORY). */
int pgtable_unmap(struct pgtable *table, u64 start, u64 end) __must_check;
/* Gives the leaves of [start, end) the access rights of `attr` (PT_RWX bits only); splits at edges (ERR_NO_MEMORY). */
int pgtable_protect(struct pgtable *table, u64 start, u64 end, unsigned attr) __must_check;
/* Splits the leaf at `address` until it is at most of `level`. The mapping reads the same at every instant. */
int pgtable_split(struct pgtable *table, u64 address, unsigned level) __must_check;
/* Joins the leaves under the slot of `level` at `address`: ERR_INVALID unless contiguous and alike (A and D are or-ed). */
int pgtable_collapse(struct pgtable *table, u64 address, unsigned level) __must_check;

#endif
