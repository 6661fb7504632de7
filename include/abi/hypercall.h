/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall.h: what a guest may ask of the hypervisor: numbers, registers, errors.
 *
 * Why: the one interface both sides must read alike, so it is one header with nothing else in it.
 *
 *      RAX            number            -> result: 0 or more, or one of enum hypercall_error
 *      RDI RSI RDX R10  arguments 0 to 3   -> unchanged
 *
 * The instruction is VMCALL on Intel and VMMCALL on AMD: the CPUID vendor says which; the other one
 * raises #UD. A 16 or 32-bit guest uses the low halves (R10 is then 0). Only ring 0 may call.
 * Addresses are guest-physical; a range must lie in the guest's memory as a whole.
 */
#ifndef SAMEPAGE_ABI_HYPERCALL_H
#define SAMEPAGE_ABI_HYPERCALL_H

enum hypercall {
	HYPERCALL_PING = 0,	/* () -> 0: does nothing, for measuring the way there and back */
	HYPERCALL_CONSOLE = 1,	/* (address, length <= 4096) -> length: text to this VM's console */
	HYPERCALL_SHUTDOWN = 2, /* (status): ends the VM; does not return */
	HYPERCALL_YIELD = 3,	/* () -> 0: gives the rest of the time slice away */
	HYPERCALL_TIME = 4,	/* () -> nanoseconds since the hypervisor started */
	HYPERCALL_VCPU_START =
		5, /* (vcpu, rip, rsp, rdi) -> 0: starts it in the caller's CPU mode */
	HYPERCALL_VCPU_COUNT = 6, /* () -> vCPUs of this VM */
	HYPERCALL_IPI = 7,	  /* (vcpu, vector 32-255) -> 0: an interrupt for that vCPU */
	HYPERCALL_STATISTIC = 8,  /* (enum hypercall_statistic, index) -> the count */
	HYPERCALL_PROTECT =
		9, /* (gfn, frames, enum hypercall_access) -> 0: what the VM may do there */
	HYPERCALL_DISCARD = 10, /* (gfn, frames) -> 0: the content is gone; reads zero */
	HYPERCALL_WATCH = 11,	/* (gfn, frames) -> 0: the next write to each page is noticed */
	HYPERCALL_FORGET = 12,	/* (gfn, frames <= 4096) -> 0: no second-level entry is left */
	HYPERCALL_DEVICE_READ =
		13, /* (address of a u32, of another, device) -> first << 32 | second, read in
				       this order as that device reads; the top bit is 0 */
	HYPERCALL_SHARE =
		14, /* (gfn, gfn) -> 0: the two pages, which read the same, share a frame */
	HYPERCALL_DIRTY =
		15, /* (gfn, frames <= 32) -> bit i: page gfn + i was written since last asked */
	HYPERCALL_MERGE =
		16, /* (gfn, frames, enum hypercall_merge) -> pages done, 1 to 512: again for the rest */
	HYPERCALL_MERGE_STATS =
		17, /* (address, bytes) -> bytes of struct hypercall_merge_stats, as it is here */
	HYPERCALL_MERGE_ENGINE =
		18, /* (enum hypercall_engine) -> 0: how its domain looks pages up from now on */
	HYPERCALL_MERGE_SCAN =
		19, /* (pages <= 512) -> pages: the scanner looks at so many of all that are mergeable, here and
				       now */
	HYPERCALL_RECLAIM =
		20, /* (gfn, frames <= 4096) -> how many of the pages gave up their frames, their
				       content kept: the next touch brings it back */
	HYPERCALLS
};

enum hypercall_error {
	HYPERCALL_ERROR_NUMBER = -1,  /* no such call */
	HYPERCALL_ERROR_INVALID = -2, /* an argument is malformed: unaligned, empty, wrapping */
	HYPERCALL_ERROR_RANGE = -3, /* well formed, but names memory or a vCPU that is not there */
	HYPERCALL_ERROR_BUSY = -4,  /* that vCPU runs already */
	HYPERCALL_ERROR_NO_MEMORY = -5,	  /* the hypervisor is out of frames */
	HYPERCALL_ERROR_PERMISSION = -6,  /* called outside ring 0, or not allowed to this VM */
	HYPERCALL_ERROR_UNSUPPORTED = -7, /* this build or machine lacks it */
};

/*
 * 9 to 15, and 20, act on the caller's own memory, for tests and measurements. A write to a READ
 * range raises #GP(0); a write to a watched page, or an access to a forgotten one, costs one
 * second-level fault that the guest does not see but can count. SHARE: INVALID if the pages differ,
 * BUSY if one is shared already, not backed, or was written meanwhile. DIRTY, where the CPU lists
 * writes (dirty=pml): those of another vCPU are in the answer once its turn has ended.
 *
 * MERGE_SCAN makes passes happen when a measurement wants them, and none else when merge_ms is
 * long; a call goes on where the last ended, in chunks of 512 pages. PERMISSION: the VM is not
 * merged itself, or has no say in the scanner (merge_control=no): it looks at the memory of all.
 */
enum hypercall_access { HYPERCALL_ACCESS_READ = 1, HYPERCALL_ACCESS_WRITE = 3 };

/*
 * 16 to 18 are about merging the caller's pages with those of its domain (docs/mm/merge.md). What
 * MERGE says holds for whole pages of the range, from its start to the next multiple of 512 gfns or
 * its end; the result says how many that were.
 *
 * ALLOW, EXCLUDE: these pages may be merged, or may not and are private when the call returns.
 * LIKELY, VOLATILE: hints, which move when a page is looked at and nothing else.
 *
 * INVALID: empty, wrapping, no such wish; RANGE: a page of the whole range is not this VM's RAM;
 * PERMISSION: the VM is not merged (merge=off), or may not do this (merge_control=no); UNSUPPORTED:
 * nothing is merged here; NO_MEMORY, BUSY: try again, the pages up to there are done.
 */
enum hypercall_merge {
	HYPERCALL_MERGE_ALLOW,
	HYPERCALL_MERGE_EXCLUDE,
	HYPERCALL_MERGE_LIKELY,
	HYPERCALL_MERGE_VOLATILE,
	HYPERCALL_MERGES
};

enum hypercall_engine { HYPERCALL_ENGINE_TREE, HYPERCALL_ENGINE_HASH, HYPERCALL_ENGINES };

/*
 * MERGE_STATS writes min(bytes, its own size) of this at an address that is a multiple of 8; the
 * whole may not cross a page (INVALID). New fields come at the end. The names are those of Linux's
 * /proc/PID/ksm_stat and /sys/kernel/mm/ksm where they mean the same, of this VM's pages alone.
 * PERMISSION also in secure mode, where a guest must not learn it.
 */
struct hypercall_merge_stats {
	unsigned int version; /* 1 */
	unsigned int engine;  /* enum hypercall_engine */
	unsigned long long full_scans;
	unsigned long long ksm_merging_pages; /* merged with others, zero pages aside */
	unsigned long long ksm_zero_pages;
	long long
		ksm_process_profit; /* bytes that would be needed without merging, less what is remembered of pages */
	unsigned long long pages_unshared, pages_volatile;
	unsigned long long pages_waiting; /* looked at once, or hinted at, and not yet looked up */
	unsigned long long pages_new;	  /* not looked at yet */
	unsigned long long pages_absent;  /* nothing behind them */
	unsigned long long pages_busy;	  /* pinned, or changed at the wrong moment, or no memory */
	unsigned long long pages_excluded; /* by EXCLUDE, or not marked in a VM that marks */
	unsigned long long
		pages_large; /* others have the same, but a 2 MiB leaf would have to be split for it */
	unsigned long long
		dirty_source; /* how writes are noticed: 0 write protection, 1 dirty bits, 2 PML */
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
	HYPERCALL_STATISTICS
};

#endif
