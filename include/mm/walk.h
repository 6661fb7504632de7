/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h: the one table walker, for every format.
 *
 *            root (level 3)        level 2            level 1            level 0
 *     in ->  [47:39] ------------> [38:30] ---------> [29:21] ---------> [20:12] --> 4 KiB
 *                                  leaf: 1 GiB        leaf: 2 MiB
 *
 * map, unmap, protect and the rest are small visitors over one walk. Each operation walks twice:
 * the first walk counts the tables it needs and reserves them, which may fail and changes nothing;
 * the second one changes the table and cannot fail.
 *
 * Invariants (docs/mm/walk.md names the tests that hold them):
 *   WALK-1  every change of a linked table is one atomic 8-byte compare-and-swap
 *   WALK-2  after each store every address reads as before the operation or as after it
 *   WALK-3  split and collapse never change what an address reads as
 *   WALK-4  a table is filled before it is linked
 *   WALK-5  an operation that fails has stored nothing and keeps no table it allocated
 *   WALK-6  no D that the CPU sets while an operation runs is lost: a leaf that leaves the table is
 *           passed to `dropped` as it was when it left; protect and split keep D; a joined writable
 *           leaf counts as dirty
 *   WALK-7  nothing outside [start, end) changes what it reads as
 *   WALK-8  `tables` is the number of tables allocated and not yet freed
 *
 * Locking: the caller serializes changes to one table. Lookups may run beside them, and the CPU's
 * walks do. A table passed to `free` is unlinked, but a CPU may still walk it until the next flush:
 * `free` must defer its reuse until then.
 */
#ifndef SAMEPAGE_MM_WALK_H
#define SAMEPAGE_MM_WALK_H

#include <arch/pgtable.h>
#include <ck_pr.h>
#include <lib/types.h>

struct pgtable_visit;

/*
 * The memory operations of a table; injected, so that tests can fail the n-th allocation and record
 * every store.
 *
 * alloc	a zeroed page; ERR_NO_MEMORY
 * free		releases a page that was linked, see Locking above
 * cancel	releases a page that never was linked, so that no CPU walks it. NULL: as `free`
 * virt		where a table can be read. NULL: it is a frame of the machine, arch_hpa_to_virt()
 * store	every store to a table that is not linked yet. NULL: a plain store
 * swap		every compare-and-swap; true: *slot was `old`. NULL: the atomic instruction
 * dropped	a leaf that was unmapped or replaced, its `pte` as it was when it left (so no D is
 *		lost); `slot` is where it was, NULL if the table went too. NULL: not reported
 */
struct pgtable_memory {
	int (*alloc)(void *context, struct hpa *table);
	void (*free)(void *context, struct hpa table);
	void (*cancel)(void *context, struct hpa table);
	void *(*virt)(void *context, struct hpa table);
	void (*store)(void *context, pte_t *slot, pte_t value);
	bool (*swap)(void *context, pte_t *slot, pte_t old, pte_t value);
	void (*dropped)(void *context, const struct pgtable_visit *leaf);
	void *context;
};

/* [c]: the lock by which the caller serializes changes */
struct pgtable {
	const struct pgtable_format *format; /* [I] */
	const struct pgtable_memory *memory; /* [I] */
	struct hpa root;		     /* [I] */
	u64 tables;			     /* how many tables, the root included; [c] */
};

/* ERR_NO_MEMORY. fini frees every table; leaves are not looked at and not reported. */
int pgtable_init(struct pgtable *table, const struct pgtable_format *format,
		 const struct pgtable_memory *memory) __must_check;
void pgtable_fini(struct pgtable *table);

enum visit_flags { VISIT_LEAF = 1, VISIT_ABSENT = 2, VISIT_TABLE = 4 };

/*
 * The argument of a visitor.
 *
 * address	first address that the slot covers
 * start, end	the part of the slot's span inside the walk's range
 * pte		as read; the CPU may set A and D in *slot at any later time
 * slot		may be stored to through pgtable_swap() and pgtable_exchange() only
 */
struct pgtable_visit {
	u64 address, start, end;
	pte_t pte;
	pte_t *slot;
	u8 level;
	u8 kind; /* one of visit_flags */
};

/*
 * Returns 0 to go on, VISIT_SKIP to go on without descending below this slot, or an error, which
 * ends the walk and is its result. The slot is read again after the visit: the walk descends into a
 * table that the visitor has put there.
 */
#define VISIT_SKIP 1
typedef int (*pgtable_visitor)(struct pgtable *table, const struct pgtable_visit *visit,
			       void *argument);

/*
 * Visits the slots that cover [start, end) in address order. ERR_INVALID: unaligned, empty, or out
 * of the format's width.
 */
int pgtable_walk(struct pgtable *table, u64 start, u64 end, unsigned flags, pgtable_visitor visitor,
		 void *argument) __must_check;

/*
 * The leaf that maps `address`, or the absent slot where the walk ended (kind says which). An
 * address out of the format's width has no slot: NULL, absent. Takes no lock.
 */
void pgtable_lookup(struct pgtable *table, u64 address, struct pgtable_visit *visit);
/* As lookup, but goes no deeper than `level`, where it may find a table (VISIT_TABLE). */
void pgtable_lookup_level(struct pgtable *table, u64 address, unsigned level,
			  struct pgtable_visit *visit);

/*
 * Atomically swaps; false, and nothing changed, when *slot was not `old`: the CPU set A or D. A
 * full barrier: a reader that loads `value` (pte_load()) sees all that was stored before, such as
 * the entries of a table that is linked here (WALK-4).
 */
static inline bool pgtable_swap(struct pgtable *table, pte_t *slot, pte_t old, pte_t value)
{
	const struct pgtable_memory *memory = table->memory;

	if (unlikely(memory->swap))
		return memory->swap(memory->context, slot, old, value);
	return ck_pr_cas_64(slot, old, value);
}
/* Swaps unconditionally, and returns the old value. */
pte_t pgtable_exchange(struct pgtable *table, pte_t *slot, pte_t value);

/*
 * Maps [start, end) to `to` with the largest leaves up to max_level that alignment allows,
 * replacing what is there. All or nothing: ERR_NO_MEMORY and ERR_INVALID (unaligned, attr the
 * format cannot express) change nothing.
 */
int pgtable_map(struct pgtable *table, u64 start, u64 end, struct hpa to, unsigned attr,
		unsigned max_level) __must_check;

/*
 * Unmaps [start, end). Tables that served this range only are freed; one that served more stays,
 * even if it is empty now, because the next fault fills it again. A larger leaf at an edge is split
 * first (ERR_NO_MEMORY: nothing changed). ERR_INVALID as pgtable_walk.
 */
int pgtable_unmap(struct pgtable *table, u64 start, u64 end) __must_check;

/*
 * Gives the leaves of [start, end) the access rights of `attr` (PT_RWX bits only) and leaves all
 * else as it is. Splits at edges (ERR_NO_MEMORY: nothing changed). ERR_INVALID also for rights the
 * format cannot express.
 */
int pgtable_protect(struct pgtable *table, u64 start, u64 end, unsigned attr) __must_check;

/*
 * Clears PT_ACCESSED, PT_DIRTY or both (`attr`) in the leaves of [start, end) and calls `found`,
 * unless NULL, for each leaf that had any of them, with the PTE as it was. `found` returns 0, or an
 * error that ends the walk. A and D belong to a leaf: one that extends beyond the range loses them
 * for all it covers, LEVEL_SIZE(visit->level) from visit->address. Until the caller has flushed, a
 * CPU may go on without setting them again.
 */
int pgtable_harvest(struct pgtable *table, u64 start, u64 end, unsigned attr, pgtable_visitor found,
		    void *argument) __must_check;

/*
 * Has any leaf of [start, end) PT_ACCESSED or PT_DIRTY (of those in `attr`)? A lookup for each
 * table and a load for each entry: cheap where the answer is mostly no. Tables must not be freed
 * meanwhile. False where the format does not translate.
 */
bool pgtable_any(struct pgtable *table, u64 start, u64 end, unsigned attr);

/*
 * Visits the leaves of [start, end) that have PT_ACCESSED or PT_DIRTY (of those in `attr`), in
 * address order; the cost of the others is that of pgtable_any. The visitor changes no table, and
 * ends the walk by an error. ERR_INVALID as pgtable_walk.
 */
int pgtable_walk_having(struct pgtable *table, u64 start, u64 end, unsigned attr,
			pgtable_visitor visitor, void *argument) __must_check;

/*
 * Splits the leaf at `address` until it is at most of `level`; attributes, A and D are inherited.
 * The mapping reads the same at every instant. ERR_NOT_FOUND: nothing is mapped there.
 * ERR_NO_MEMORY: nothing changed.
 */
int pgtable_split(struct pgtable *table, u64 address, unsigned level) __must_check;

/*
 * Joins the leaves under the slot of `level` at `address` into one. ERR_INVALID unless all of it is
 * mapped, contiguous, aligned and equal except for A and D, which are or-ed. A writable leaf is
 * dirty afterwards: until the caller has flushed, a CPU may still set D in the tables just freed. A
 * leaf of that level already: 0, nothing done.
 */
int pgtable_collapse(struct pgtable *table, u64 address, unsigned level) __must_check;

#endif
