/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary.h: the primary PTEs of an address space: 8 bytes for each gfn, in a radix tree.
 *
 *     root (level 3)       level 2              level 1               level 0
 *     gfn[35:27] --------> gfn[26:18] --------> gfn[17:9] ----------> gfn[8:0]
 *                                     entry: page | UNIFORM           primary PTE
 *
 * Why a radix tree: its pages live as long as the address space, so a lookup is four loads without
 * a lock, and a PTE that was found stays valid. Leaf pages are allocated when the first gfn in them
 * is backed, so a large empty slot costs nothing.
 *
 * UNIFORM says that all PTEs below an entry are private, physically contiguous and allow the same,
 * so that a secondary may use one large leaf. It is a hint, read under LOCK_MMU.
 *
 * A primary PTE:
 *
 *     63   52 51             12 11   9    8     7     6     5     4     3   2     0
 *     | GEN  | mfn             | PINS | BSY | PIN | YNG | SDT | WP  | WRT | state |  backed
 *     | GEN  | token, 51:9            | BSY | PIN | YNG | SDT | WP  | WRT | state |  reclaimed
 *
 * Invariants:
 * PRIMARY-1  A PTE changes only under LOCK_MMU, by one 8-byte store; a reader without the lock sees
 *            the old or the new.
 * PRIMARY-2  UNIFORM on an entry implies that what it says is true of the PTEs below.
 */
#ifndef SAMEPAGE_MM_SPACE_PRIMARY_H
#define SAMEPAGE_MM_SPACE_PRIMARY_H

#include <arch/addr.h>
#include <arch/cpu.h>
#include <arch/pgtable.h>
#include <ck_pr.h>
#include <lib/types.h>

#define PRIMARY_LEVELS 4
_Static_assert(PRIMARY_LEVELS *LEVEL_BITS == GFN_BITS, "the tree has a place for each gfn");

enum ppte_state {
	PPTE_ABSENT,	/* in a slot, not backed: the next touch backs it */
	PPTE_PRIVATE,	/* a frame of its own */
	PPTE_SHARED,	/* a frame that others may share: read-only until broken */
	PPTE_ZERO,	/* the frame of zeroes: as shared, but not in the rmap */
	PPTE_RECLAIMED, /* no frame; the content is kept under a token (store.h) */
	PPTE_MMIO,	/* a device's memory, without a frame record */
};

typedef u64 ppte_t;

/*
 * PPTE_WRITE		the guest may write; on a shared page, after breaking the sharing
 * PPTE_WP		write-protected while the content is looked at; a write fault ends it. On
 *			an absent page: read-only once it is backed
 * PPTE_SOFT_DIRTY	written since soft-dirty was cleared; clear: the next write has to be seen
 * PPTE_YOUNG		accessed since last aged
 * PPTE_PINNED		held by a device: never moved, merged or reclaimed
 * PPTE_BUSY		between the two steps of a change: not writable, a write fault waits
 * PPTE_PINS		how many hold it beside the first
 * PPTE_GIVEN		on an absent page: its guest has given it back
 * PPTE_GENERATION	counts ended write protections, exchanged frames and frames given back: a
 *			page is what it was when looked at only in the same generation. An absent
 *			page keeps it
 */
#define PPTE_STATE	    7ull
#define PPTE_WRITE	    BIT(3)
#define PPTE_WP		    BIT(4)
#define PPTE_SOFT_DIRTY	    BIT(5)
#define PPTE_YOUNG	    BIT(6)
#define PPTE_PINNED	    BIT(7)
#define PPTE_BUSY	    BIT(8)
#define PPTE_PINS	    BITS(11, 9)
#define PPTE_PIN	    BIT(9)
#define PPTE_GIVEN	    PPTE_PIN
#define PPTE_MFN	    BITS(51, 12)
#define PPTE_TOKEN	    BITS(51, 9)
#define PPTE_GENERATION	    BITS(63, 52)
#define PPTE_GENERATION_ONE BIT(52)

static inline enum ppte_state ppte_state(ppte_t pte)
{
	return pte & PPTE_STATE;
}

static inline struct mfn ppte_mfn(ppte_t pte)
{
	return (struct mfn){(pte & PPTE_MFN) >> PAGE_SHIFT};
}

static inline ppte_t ppte_make(enum ppte_state state, struct mfn mfn, u64 flags)
{
	return (mfn.raw << PAGE_SHIFT) | flags | state;
}

static inline ppte_t ppte_make_reclaimed(u64 token, u64 flags)
{
	return token << 9 | flags | PPTE_RECLAIMED;
}

static inline u64 ppte_token(ppte_t pte)
{
	return (pte & PPTE_TOKEN) >> 9;
}

/* The bits of the next generation. */
static inline u64 ppte_next_generation(ppte_t pte)
{
	return (pte + PPTE_GENERATION_ONE) & PPTE_GENERATION;
}

/* Backed by a frame that others may use too: a write breaks the sharing. */
static inline bool ppte_shared(ppte_t pte)
{
	return ppte_state(pte) == PPTE_SHARED || ppte_state(pte) == PPTE_ZERO;
}

/* A frame, or a device, stands behind it. */
static inline bool ppte_backed(ppte_t pte)
{
	return pte & PPTE_STATE && ppte_state(pte) != PPTE_RECLAIMED;
}

/* The page has a content, in a frame or under a token. */
static inline bool ppte_has_content(ppte_t pte)
{
	return pte & PPTE_STATE && ppte_state(pte) != PPTE_MMIO;
}

/* What a secondary may allow: PT_RWX bits. */
static inline unsigned ppte_rights(ppte_t pte)
{
	const u64 writable = PPTE_WRITE | PPTE_SOFT_DIRTY, protected = PPTE_WP | PPTE_BUSY;

	if (!ppte_backed(pte))
		return 0;
	if (ppte_state(pte) == PPTE_MMIO)
		return pte & PPTE_WRITE ? PT_READ | PT_WRITE : PT_READ;
	if (IS_ENABLED(CONFIG_BREAK_WRITE_PROTECT) && ppte_state(pte) == PPTE_SHARED)
		return PT_RWX;
	if (ppte_state(pte) == PPTE_PRIVATE && (pte & (writable | protected)) == writable)
		return PT_RWX;
	return PT_READ | PT_EXEC;
}

struct primary {
	u64 *root;		   /* [I] */
	u64 pages;		   /* [m] radix pages, the root included */
	u64 marks;		   /* [m] entries with UNIFORM */
	u64 no_matter;		   /* [m] bits in which the PTEs of a uniform block may differ */
	u64 count[PPTE_STATE + 1]; /* [a] PTEs by state, but for ABSENT; written under LOCK_MMU */
};

/* ERR_NO_MEMORY. fini frees the radix pages; PTEs are not looked at. */
int primary_init(struct primary *primary) __must_check;
void primary_fini(struct primary *primary);

/* The page an entry names; NULL for none. */
static inline u64 *primary_page(const u64 *page, struct gfn gfn, unsigned level)
{
	u64 entry = ck_pr_load_64(&page[(gfn.raw >> (LEVEL_BITS * level)) & 511]);

	return (u64 *)(uintptr_t)ALIGN_DOWN(entry, PAGE_SIZE);
}

/*
 * The PTE's place, or NULL when its leaf page does not exist (the gfn is absent). No lock. Places
 * never go away.
 */
static inline ppte_t *primary_find(const struct primary *primary, struct gfn gfn)
{
	u64 *page = primary_page(primary->root, gfn, 3);

	if (likely(page))
		page = primary_page(page, gfn, 2);
	if (likely(page))
		page = primary_page(page, gfn, 1);
	return likely(page) ? &page[gfn.raw & 511] : NULL;
}

/* The PTE's value; 0 (absent) where there is no leaf page. No lock. gfn is valid. */
static inline ppte_t primary_load(const struct primary *primary, struct gfn gfn)
{
	const ppte_t *slot = primary_find(primary, gfn);

	return slot ? ck_pr_load_64(slot) : 0;
}

/* As primary_find, but makes what is missing. ERR_NO_MEMORY. LOCK_MMU. */
int primary_make(struct primary *primary, struct gfn gfn, ppte_t **slot) __must_check;

/* Clears UNIFORM above a PTE. LOCK_MMU. */
void primary_unmark(struct primary *primary, struct gfn gfn);

/* Counts the PTEs by state. */
static inline void primary_move_count(struct primary *primary, enum ppte_state old,
				      enum ppte_state state)
{
	arch_local_add_64(&primary->count[old], (u64)-1);
	arch_local_add_64(&primary->count[state], 1);
}

/* How many PTEs are in this state, not ABSENT. No lock. */
static inline u64 primary_count(const struct primary *primary, enum ppte_state state)
{
	return ck_pr_load_64(&primary->count[state]);
}

/* Stores a PTE, and clears UNIFORM above it if it holds no longer. LOCK_MMU. */
static inline void primary_store(struct primary *primary, struct gfn gfn, ppte_t *slot,
				 ppte_t value)
{
	if (ppte_state(*slot) != ppte_state(value))
		primary_move_count(primary, ppte_state(*slot), ppte_state(value));
	if (unlikely(primary->marks) && ((*slot ^ value) & ~primary->no_matter))
		primary_unmark(primary, gfn);
	ck_pr_store_64(slot, value);
}

/*
 * The place of the first PTE in [*gfn, end) that has a leaf page; *gfn moves to it. NULL when there
 * is none. Without LOCK_MMU a leaf page that is made meanwhile may be missed.
 */
ppte_t *primary_next(const struct primary *primary, struct gfn *gfn, struct gfn end);

/*
 * The same for PTEs that lie side by side: the place of the first, and in *count how many there are
 * below `end` in its leaf page, at least one.
 */
ppte_t *primary_run(const struct primary *primary, struct gfn *gfn, struct gfn end, u64 *count);

/* The largest level up to `max` at which the block around gfn is UNIFORM, or 0. LOCK_MMU. */
unsigned primary_uniform(const struct primary *primary, struct gfn gfn, unsigned max);

/* Marks the blocks of level 1 and 2 around gfn UNIFORM if they are. LOCK_MMU. */
void primary_mark_uniform(struct primary *primary, struct gfn gfn);

/*
 * May the PTEs of a uniform block differ in soft-dirty? True where the CPU records first writes (D
 * bits, PML) and soft-dirty says nothing about rights. Ending it clears all UNIFORM: the caller has
 * invalidated what was derived from them. LOCK_MMU.
 */
void primary_ignore_soft_dirty(struct primary *primary, bool ignore);

#endif
