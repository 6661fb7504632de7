/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: struct stage2 as mm/ itself sees it.
 */
#ifndef SAMEPAGE_MM_STAGE2_PRIVATE_H
#define SAMEPAGE_MM_STAGE2_PRIVATE_H

#include <arch/cpu.h>
#include <lib/lock.h>
#include <mm/fault.h>
#include <mm/invalidate.h>
#include <mm/notifier.h>
#include <mm/stage2.h>
#include <mm/tlb.h>
#include <mm/walk.h>
#include "mm/space/space.h"

#define STAGE2_LIMITS 8

/*
 * The cause of the next fault: the event that took a leaf or its right to write, and 1; 0: none. It
 * stands in the entry itself, absent or not, in bits that EPT (SDM 28.3.2) and NPT (APM 15.25.5)
 * leave to software. Where a table went as a whole, the entry that named it has the cause of the
 * first fault in its block.
 */
#define STAGE2_CAUSE_SHIFT 52
#define STAGE2_CAUSE	   BITS(55, 52)
_Static_assert(EVENTS < 16, "the events have four bits");

struct stage2_limit {
	struct gfn_range range;
	unsigned rights; /* PT_RWX bits */
};

/* Counters for the report. All [m]. */
struct stage2_counters {
	u64 faults[FAULT_OUTCOMES];
	u64 cause[16]; /* faults by STAGE2_CAUSE of the entry; [0]: none, or no entry */
	u64 retries;   /* passes repeated in the handler, mode `inplace` */
	u64 drops;     /* leaves invalidated */
	u64 changed;   /* leaves that change_pte gave a new frame or new rights */
	u64 moot;      /* change_pte found no leaf */
	u64 established;
	u64 ahead;   /* leaves of pages beside the one of the fault */
	u64 put_off; /* changes that left their flush for later */
	u64 synced;  /* flushes that then had to be sent for them */
	u64 flushes, kicks;
};

/*
 * struct stage2: one secondary MMU in the CPU's format.
 *
 * tlb		[a] its part of the flush protocol (tlb.h); comes first
 * as		[I] the address space it is derived from; as->lock guards all that is marked m
 * sub		[I] its subscription to `as`
 * table	[m] the EPT or NPT
 * memory	[I] where its tables come from
 * log		[m] which invalidations run or ended last
 * doomed	[m] tables unlinked but perhaps still in a CPU's caches, chained through their first
 * 		word; freed after the next flush
 * near_block, near	[m] the level-0 table used last, and its gfn >> 9; NULL: none. Cleared when any
 * 		table is freed. Saves most faults and changes the walk, because they cluster
 * cause	[m] STAGE2_CAUSE bits of the notification that this stage 2 carries out; 0: none
 * caused	[m] the block of the table that went last with that cause
 * gone		[m] the leaf that went last, as the CPU left it
 * stale	[m] PTEs were taken away since the last flush
 * moved	[m] leaves have another frame, and the flush was put off: the old ones may be read
 * dropped	[m] leaves went that no TLB has writable, flush put off; dropping: it is begun
 * begun	[m] generation of the flush for either that was begun last
 * taken	[m] generation of the flush that stage2_take() began last
 * hurried	[m] generation at which CPUs were kicked for such a flush last
 * limit	[m] what this view allows at most, by range (view.c)
 */
struct stage2 {
	struct stage2_tlb tlb;
	struct addrspace *as;
	struct subscription sub;
	struct pgtable table;
	struct pgtable_memory memory;
	struct invalidate_log log;
	u64 *doomed;
	u64 near_block;
	pte_t *near;
	pte_t gone, cause;
	u64 caused;
	bool stale, moved, dropped, dropping;
	u64 begun, taken, hurried;
	unsigned limit_count;
	struct stage2_limit limit[STAGE2_LIMITS];
	struct stage2_counters counters;
};

/* From now on leaves go because of this event. LOCK_MMU. */
static inline void stage2_set_cause(struct stage2 *s2, enum notify_event event)
{
	s2->cause = (pte_t)(event + 1) << STAGE2_CAUSE_SHIFT;
	s2->caused = ~0ull;
}

/*
 * This CPU changes an entry with a cause: the first one, if that is for a fault of its own, is the
 * cause of the fault.
 */
static inline void stage2_take_cause(pte_t pte)
{
	u64 *taken = &stage2_inside[arch_cpu_id()].taken;

	if (unlikely(pte & STAGE2_CAUSE) && !*taken)
		*taken = pte & STAGE2_CAUSE;
}

/* Counts a fault by the cause in an entry. LOCK_MMU. */
static inline void stage2_count_entry(struct stage2 *s2, pte_t pte)
{
	s2->counters.cause[(pte & STAGE2_CAUSE) >> STAGE2_CAUSE_SHIFT]++;
}

/*
 * The same, where resolving has changed an entry with a cause: that comes first. stepped: resolving
 * was repeated in the handler. LOCK_MMU.
 */
static __always_inline void stage2_count_step(struct stage2 *s2, pte_t pte, bool stepped)
{
	u64 *taken = &stage2_inside[arch_cpu_id()].taken;

	stage2_count_entry(s2, *taken ? *taken : pte);
	*taken = 0;
	s2->counters.retries += stepped;
}

/*
 * The leaf of the page that a break of sharing changes allows every access by now. If the break is
 * for a fault of this stage 2, that fault has nothing left to install, and is counted. LOCK_MMU.
 */
static inline void stage2_end_own_fault(struct stage2 *s2)
{
	struct stage2 **breaks = &stage2_inside[arch_cpu_id()].breaks;

	if (*breaks != s2)
		return;
	*breaks = NULL;
	stage2_count_step(s2, 0, true);
}

/*
 * The cause that a leaf has afterwards. A right to write that is granted ends it; one that is taken
 * away, or another frame under a leaf without it, is the cause of a write fault to come.
 */
static inline pte_t stage2_next_cause(const struct stage2 *s2, pte_t old, unsigned granted,
				      bool taken)
{
	if (!(granted & PT_WRITE) && !taken)
		return old & STAGE2_CAUSE;
	stage2_take_cause(old);
	return granted & PT_WRITE ? 0 : s2->cause;
}

/* A leaf that is not writable keeps the cause of the entry before it: a write will fault, too. */
static inline pte_t stage2_keep_cause(pte_t leaf, unsigned attr, pte_t before)
{
	return attr & PT_WRITE ? leaf : leaf | (before & STAGE2_CAUSE);
}

/* The events it subscribes to, as change or as drop (notify.c). */
extern const struct subscriber_ops stage2_ops;
bool stage2_holds(struct subscription *sub, struct gfn gfn, struct held_page *out);
void stage2_audit(struct subscription *sub, struct audit *audit);
#define STAGE2_CHANGES                                                                \
	(BIT(EVENT_PROTECT_RANGE) | BIT(EVENT_PROTECT_PAGE) | BIT(EVENT_SOFT_DIRTY) | \
	 BIT(EVENT_MIGRATE) | BIT(EVENT_MERGE) | BIT(EVENT_COW_BREAK))
#define STAGE2_DROPS                                                                        \
	(BIT(EVENT_UNMAP) | BIT(EVENT_CLEAR) | BIT(EVENT_RELEASE) | BIT(EVENT_EXCLUSIVE) |  \
	 BIT(EVENT_RECLAIM) | BIT(EVENT_BALLOON) | BIT(EVENT_SPLIT) | BIT(EVENT_COLLAPSE) | \
	 BIT(EVENT_AGE))
_Static_assert((STAGE2_CHANGES | STAGE2_DROPS) == EVENTS_ALL, "one of the two, of each");

static inline struct stage2 *stage2_of(struct subscription *sub)
{
	return container_of(sub, struct stage2, sub);
}

/* What this view allows for gfn at most. LOCK_MMU. */
unsigned stage2_view_limit(const struct stage2 *s2, struct gfn gfn);
static inline unsigned stage2_limit(const struct stage2 *s2, struct gfn gfn)
{
	return unlikely(s2->limit_count) ? stage2_view_limit(s2, gfn) : PT_RWX;
}

/* The largest level, up to `level`, at which no limit cuts the block around gfn. LOCK_MMU. */
unsigned stage2_view_level(const struct stage2 *s2, struct gfn gfn, unsigned level);

/* pgtable_lookup() by gfn; remembers a table of level 0. LOCK_MMU. */
void stage2_walk(struct stage2 *s2, struct gfn gfn, struct pgtable_visit *visit);

/* The same, without address, start and end; quicker in the table used last. LOCK_MMU. */
static inline void stage2_lookup(struct stage2 *s2, struct gfn gfn, struct pgtable_visit *visit)
{
	if (!s2->near || s2->near_block != gfn.raw >> LEVEL_BITS) {
		stage2_walk(s2, gfn, visit);
		return;
	}
	visit->slot = &s2->near[gfn.raw % PGTABLE_ENTRIES];
	visit->pte = ck_pr_load_64(visit->slot);
	visit->level = 0;
	visit->kind = pte_present(s2->table.format, visit->pte, 0) ? VISIT_LEAF : VISIT_ABSENT;
}

/* The entry of level 0 for gfn, or NULL where its table does not exist. LOCK_MMU. */
pte_t *stage2_find_small_slot(struct stage2 *s2, struct gfn gfn);
static inline pte_t *stage2_small_slot(struct stage2 *s2, struct gfn gfn)
{
	if (likely(s2->near && s2->near_block == gfn.raw >> LEVEL_BITS))
		return &s2->near[gfn.raw % PGTABLE_ENTRIES];
	return stage2_find_small_slot(s2, gfn);
}

/* If PTEs were taken away since the last flush: flushes, then frees doomed tables. LOCK_MMU. */
void stage2_flush_stale(struct stage2 *s2);

/* Invalidates the leaves of the range; needs no memory. LOCK_MMU. */
void stage2_drop(struct stage2 *s2, struct gfn_range range);

/* Installs a leaf for gfn if its table exists; false: it does not. LOCK_MMU. */
bool stage2_establish(struct stage2 *s2, const struct pte_change *change, unsigned flags);

/*
 * After a first touch of gfn: if it goes on with others, the pages of its window get frames and
 * leaves (ahead.c). Takes LOCK_MMU.
 */
void stage2_map_ahead(struct stage2 *s2, struct gfn gfn);

/* Gathers D bits into soft-dirty; `drop`: and drops the range (dirty.c). LOCK_MMU. */
void stage2_dirty(struct subscription *sub, struct gfn_range range, bool drop);
/* Clears D of the small leaves of written gfns, with a flush that is begun (dirty.c). LOCK_MMU. */
u64 stage2_take(struct subscription *sub, struct gfn_range range, const u64 *written, u64 *taken);
bool stage2_take_ended(struct subscription *sub, u64 flush);
void stage2_take_hurry(struct subscription *sub, u64 flush);

#endif
