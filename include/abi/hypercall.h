/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall.h: the calls from a guest to the hypervisor: numbers, registers, errors.
 *
 * The one interface that both sides must read alike, so it is one header with nothing else in it.
 *
 *      RAX              number            -> result: 0 or more, or one of enum hypercall_error
 *      RDI RSI RDX R10  arguments 0 to 3  -> unchanged
 *
 * The instruction is VMCALL on Intel and VMMCALL on AMD: the CPUID vendor says which; the other one
 * raises #UD. A 16 or 32-bit guest uses the low halves (R10 is then 0). Only ring 0 may call.
 * Addresses are guest-physical; a range must lie in the guest's memory as a whole.
 *
 * A call takes HYPERCALL_STEP_MAX instructions of the hypervisor at most, whatever its arguments.
 * One on a range (P in the table) checks the whole range, works on a piece from its start, and
 * returns HYPERCALL_PROGRESS(frames done, count). The caller repeats it with the rest; between two
 * calls it takes interrupts, and its time slice can end.
 *
 * Calls with T serve tests and measurements: PERMISSION, unless the VM has test_calls=yes.
 */
#ifndef SAMEPAGE_ABI_HYPERCALL_H
#define SAMEPAGE_ABI_HYPERCALL_H

enum hypercall {
	/* () -> 0: no operation, for measuring the round trip */
	HYPERCALL_PING = 0,
	/* (address, length <= 4096) -> bytes taken, to the end of a line or 128: prints text */
	HYPERCALL_CONSOLE = 1,
	/* (status): ends the VM; does not return */
	HYPERCALL_SHUTDOWN = 2,
	/* () -> 0: leaves the rest of the time slice to other vCPUs */
	HYPERCALL_YIELD = 3,
	/* () -> nanoseconds since the hypervisor started */
	HYPERCALL_TIME = 4,
	/* (vcpu, rip, rsp, rdi) -> 0: starts it in the caller's CPU mode */
	HYPERCALL_VCPU_START = 5,
	/* () -> vCPUs of this VM */
	HYPERCALL_VCPU_COUNT = 6,
	/* (vcpu, vector 32-255) -> 0: an interrupt for that vCPU */
	HYPERCALL_IPI = 7,
	/* (enum hypercall_statistic, index) -> the count */
	HYPERCALL_STATISTIC = 8,
	/* T P (gfn, frames, enum hypercall_access): what the VM may do there */
	HYPERCALL_PROTECT = 9,
	/* T P (gfn, frames): the content is discarded; reads as zero */
	HYPERCALL_DISCARD = 10,
	/* T P (gfn, frames): the next write to each page is noticed */
	HYPERCALL_WATCH = 11,
	/* T P (gfn, frames <= 4096): no second-level entry is left */
	HYPERCALL_UNMAP = 12,
	/* T (address of a u32, of another, device) -> first << 32 | second, read in this order as that
	 * device reads; the top bit is 0 */
	HYPERCALL_DEVICE_READ = 13,
	/* T (gfn, gfn) -> 0: the two pages, which read the same, share a frame */
	HYPERCALL_SHARE = 14,
	/* T (gfn, frames <= 32) -> bit i: page gfn + i was written since the last such call */
	HYPERCALL_DIRTY = 15,
	/* (gfn, frames, enum hypercall_merge) -> pages done, 1 to 512: again for the rest */
	HYPERCALL_MERGE = 16,
	/* (address, bytes) -> bytes of struct hypercall_merge_stats, as it is here */
	HYPERCALL_MERGE_STATS = 17,
	/* (enum hypercall_engine) -> 0: the index of its domain from now on */
	HYPERCALL_MERGE_ENGINE = 18,
	/* (pages <= 512) -> pages: the scanner visits so many of all that are mergeable, at once */
	HYPERCALL_MERGE_SCAN = 19,
	/* T P (gfn, frames <= 4096): reclaims pages, their content kept; the next touch restores it;
	 * count: pages that had a frame and have none now */
	HYPERCALL_RECLAIM = 20,
	/* T P (gfn, frames, enum hypercall_operation): an operation of the VM's address space */
	HYPERCALL_OPERATE = 21,
	HYPERCALLS
};

/* The result of a P call: frames from the start of the range that are done, and a count. */
#define HYPERCALL_PROGRESS(frames, count) \
	((long long)((unsigned long long)(frames) << 32 | (count)))
#define HYPERCALL_FRAMES(result) ((unsigned long long)(result) >> 32)
#define HYPERCALL_COUNT(result)	 ((unsigned int)(result))

/* Instructions of the hypervisor in one call, at most. */
#define HYPERCALL_STEP_MAX 2000000

enum hypercall_error {
	HYPERCALL_ERROR_NUMBER = -1,	  /* no such call */
	HYPERCALL_ERROR_INVALID = -2,	  /* malformed argument: unaligned, empty, wrapping */
	HYPERCALL_ERROR_RANGE = -3,	  /* well formed, but no such memory or vCPU */
	HYPERCALL_ERROR_BUSY = -4,	  /* that vCPU runs already */
	HYPERCALL_ERROR_NO_MEMORY = -5,	  /* the hypervisor is out of frames */
	HYPERCALL_ERROR_PERMISSION = -6,  /* called outside ring 0, or not allowed to this VM */
	HYPERCALL_ERROR_UNSUPPORTED = -7, /* this build or machine lacks it */
};

/*
 * T calls act on the caller's own memory. A write to a READ range raises #GP(0); a write to a
 * watched page, or an access to one without second-level entry, costs one second-level fault that
 * the guest can count. SHARE: INVALID if the pages differ, BUSY if one is shared already, not
 * backed, or was written meanwhile. DIRTY, where the CPU lists writes (dirty=pml): those of another
 * vCPU are in the result once its turn has ended.
 *
 * MERGE_SCAN lets a measurement choose the time of each pass, with a long merge_ms; a call
 * continues where the last ended. PERMISSION: the VM is not merged itself, or has merge_control=no:
 * the scanner visits the memory of all VMs.
 */
enum hypercall_access { HYPERCALL_ACCESS_READ = 1, HYPERCALL_ACCESS_WRITE = 3 };

/*
 * OPERATE. VIEW and SLOT work on the whole range, 512 frames at most (INVALID); MIGRATE, PIN and
 * UNPIN on one page at a time, the others up to the next multiple of 512 gfns.
 */
enum hypercall_operation {
	HYPERCALL_MIGRATE,	  /* to a fresh frame, count 1; BUSY: pinned, shared, written */
	HYPERCALL_COLLAPSE,	  /* to 512 frames in a row; BUSY as above */
	HYPERCALL_SPLIT,	  /* large second-level leaves go */
	HYPERCALL_AGE,		  /* count 1: touched since the last AGE; 0: not */
	HYPERCALL_PIN,		  /* backed, and not moved, merged or reclaimed until UNPIN */
	HYPERCALL_UNPIN,	  /* of one PIN */
	HYPERCALL_BALLOON,	  /* given back; reads as zero */
	HYPERCALL_BALLOON_NOWAIT, /* likewise; BUSY if a subscriber had to wait */
	HYPERCALL_VIEW_READ_ONLY, /* the VM's second-level tables allow no write: #GP(0) */
	HYPERCALL_VIEW_ALL,	  /* ends VIEW_READ_ONLY of exactly this range */
	HYPERCALL_SLOT_ADD,	  /* more RAM, where there is none; BUSY: there is some */
	HYPERCALL_SLOT_REMOVE,	  /* the slot of exactly this range; RANGE: there is none */
	HYPERCALL_OPERATIONS
};

/*
 * 16 to 18 are about merging the caller's pages with those of its domain (docs/mm/merge.md). MERGE
 * acts on whole pages of the range, from its start to the next multiple of 512 gfns or its end; the
 * result is how many that were.
 *
 * MERGEABLE, UNMERGEABLE: these pages may be merged, or may not and are private when the call
 * returns.
 * LIKELY, VOLATILE: hints, which change when a page is visited and nothing else.
 *
 * INVALID: empty, wrapping, no such advice; RANGE: a page of the whole range is not this VM's RAM;
 * PERMISSION: the VM is not merged (merge=off), or may not do this (merge_control=no); UNSUPPORTED:
 * merging is off; NO_MEMORY, BUSY: try again, the pages up to there are done.
 */
enum hypercall_merge {
	HYPERCALL_MERGE_MERGEABLE,
	HYPERCALL_MERGE_UNMERGEABLE,
	HYPERCALL_MERGE_LIKELY,
	HYPERCALL_MERGE_VOLATILE,
	HYPERCALL_MERGES
};

/* The hypervisor's table of engines, in its order. */
enum hypercall_engine { HYPERCALL_ENGINE_TREE, HYPERCALL_ENGINE_HASH, HYPERCALL_ENGINES };

/*
 * MERGE_STATS writes min(bytes, its own size) of this at an address that is a multiple of 8; the
 * whole may not cross a page (INVALID). New fields come at the end. The names are those of Linux's
 * /proc/PID/ksm_stat and /sys/kernel/mm/ksm where they mean the same, of this VM's pages alone.
 * PERMISSION also in secure mode, which hides it from the guest.
 */
struct hypercall_merge_stats {
	unsigned int version; /* 1 */
	unsigned int engine;  /* enum hypercall_engine */
	unsigned long long full_scans;
	unsigned long long ksm_merging_pages; /* merged with others, zero pages aside */
	unsigned long long ksm_zero_pages;
	long long ksm_process_profit; /* bytes saved, less the metadata of pages */
	unsigned long long pages_unshared, pages_volatile;
	unsigned long long pages_candidate; /* visited once, or hinted at; not yet in an index */
	unsigned long long pages_new;	    /* not visited yet */
	unsigned long long pages_absent;    /* without backing */
	unsigned long long pages_busy; /* pinned, or changed at the wrong moment, or no memory */
	unsigned long long pages_excluded; /* by UNMERGEABLE, or not marked in a VM that marks */
	unsigned long long pages_large;	   /* not merged: a 2 MiB leaf would have to be split */
	unsigned long long dirty_source;   /* of writes: 0 write protection, 1 dirty bits, 2 PML */
};
#define HYPERCALL_MERGE_STATS_VERSION 1

/* HYPERCALL_STATISTIC. `index` is a vCPU where the text says so, else 0. */
enum hypercall_statistic {
	HYPERCALL_STATISTIC_EXITS,     /* exits of vCPU `index`, all reasons */
	HYPERCALL_STATISTIC_FAULTS,    /* second-level faults of vCPU `index` */
	HYPERCALL_STATISTIC_SLICES,    /* times vCPU `index` was given a CPU */
	HYPERCALL_STATISTIC_CPU,       /* the machine's CPU that vCPU `index` runs on */
	HYPERCALL_STATISTIC_TURNS,     /* times that CPU was given to any vCPU */
	HYPERCALL_STATISTIC_FLUSHES,   /* times this VM's second-level translations were flushed */
	HYPERCALL_STATISTIC_CALLBACKS, /* calls of subscribers to its memory: start, end, change */
	HYPERCALL_STATISTIC_MERGES, /* its pages that were given another frame of the same content */
	HYPERCALL_STATISTIC_BREAKS, /* its pages that were given a copy of a shared frame */
	HYPERCALL_STATISTIC_KICKS,  /* CPUs inside this VM that a flush kicked and waited for */
	HYPERCALL_STATISTIC_WAITS,  /* invalidations that waited for a device (subscriber=) */
	HYPERCALL_STATISTIC_WAITED, /* ticks of that */
	HYPERCALL_STATISTICS
};

#endif
