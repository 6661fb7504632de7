/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h: a check that all records of memory in mm agree.
 *
 * Why: the same fact stands in several places on purpose (a PTE, the rmap, a reference, a leaf of a
 * secondary), because each place answers another question fast. A bug that lets them drift apart
 * shows much later and elsewhere; the auditor compares all of them at once. It runs after every
 * test of mm, at the end of a VM, and at the end of a run.
 *
 *     address spaces --- primary PTEs ---> frames: kind, references, rmap
 *            |                ^               |
 *            |                +-------- rmap -+
 *            +--- subscribers: every translation they keep, against the primary
 *
 * The caller ensures that no other CPU is inside mm and no operation is under way; guests may run.
 */
#ifndef SAMEPAGE_MM_AUDIT_H
#define SAMEPAGE_MM_AUDIT_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;

/* The faults; docs/mm/audit.md has a line for each. */
enum audit_fault {
	AUDIT_PTE_FRAME, /* a primary PTE names what is no guest frame (or, MMIO, what is one) */
	AUDIT_PTE_ZERO,	 /* a zero page names another frame, or the frame of zeroes is not zero */
	AUDIT_PTE_SLOT,	 /* a gfn is backed outside every slot */
	AUDIT_PTE_BUSY,	 /* a change that never ended */
	AUDIT_PRIVATE,	 /* a private page's frame has other users or references */
	AUDIT_RMAP_MISSING, /* a PTE that its frame's rmap does not list */
	AUDIT_RMAP_STALE,   /* an rmap entry, and its PTE does not name the frame */
	AUDIT_REFS,	    /* fewer references than users */
	AUDIT_HELD,	    /* more references than users and holders: a leak */
	AUDIT_LOST,	    /* a guest frame without references that was not freed */
	AUDIT_FREE,	    /* a free frame with references */
	AUDIT_COUNTS,	    /* the allocator's statistics differ from the records */
	AUDIT_LEAF_FRAME,   /* a secondary maps a frame of the hypervisor, a table, or a free one */
	AUDIT_LEAF_STALE, /* a secondary maps another frame than the primary, or what is not backed */
	AUDIT_LEAF_RIGHTS, /* a secondary allows more than the primary: a writable alias */
	AUDIT_STORE,	   /* reclaimed pages and what is kept of them differ in number */
	AUDIT_TABLE,	   /* a table that is no table frame, is linked twice, or is not counted */
	AUDIT_FAULTS
};

/* What was examined, and what was found. */
struct audit_report {
	u64 spaces, pages, translations, frames;
	u64 held; /* references beyond the rmap's users, zero frames and deferred frames */
	u64 found[AUDIT_FAULTS];
	u64 total;
};

/*
 * Examines everything; the first faults go to the log. `held`: references held beside the PTEs (a
 * merging engine's, one for each cow_offer() it has not put). Returns the number of faults. Takes
 * LOCK_NOTIFIER, then LOCK_MMU, of one address space at a time.
 */
u64 audit_run(u64 held, struct audit_report *out);

/*
 * Examines one address space: its PTEs, their frames and rmap entries, its secondaries. Other
 * address spaces may be in use meanwhile; this one must not change. Returns the number of faults.
 * Locks as above.
 */
u64 audit_space(struct addrspace *as, struct audit_report *out);

/* "leaf rights", for messages. */
const char *audit_fault_name(enum audit_fault fault);

/*
 * For subscribers (struct subscriber_ops.audit): reports one translation, of `frames` gfns to as
 * many consecutive frames, with its PT_RWX rights; one table, once; a fault of the subscriber's own
 * records.
 */
struct audit;
void audit_translation(struct audit *audit, struct gfn gfn, struct mfn mfn, u64 frames,
		       unsigned rights);
void audit_table(struct audit *audit, struct mfn table);
void audit_found(struct audit *audit, enum audit_fault fault, struct gfn gfn, struct mfn mfn);

#endif
