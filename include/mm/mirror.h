/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.h: a device with page tables of its own, as a GPU or an RDMA adapter has: a mirror of the
 * primary PTEs, filled by the device's accesses and kept right by a subscription.
 *
 *     device                                       CPU that changes the page
 *     ------                                       -------------------------
 *     mirror_read(): hit, a load                   start: the PTEs of the range go, and, by kind,
 *     miss: notifier_read_begin()                         waits for a fence or a transfer
 *           space_resolve()                        primary changes
 *           lock; notifier_read_retry(): fill      end
 *
 * Kinds, which are the names of the subscribers in statistics:
 *
 *     busy       a transfer of `wait` ticks follows each access; start waits for its rest
 *     slow       an invalidation of mapped pages is complete `wait` ticks after the command for it
 *     shadow     has change: PTEs are updated in place
 *     interval   as slow; subscribes to a part of the address space
 *
 * Every wait ends after `wait` ticks, whatever the guest does.
 *
 * Invariants:
 * MIRROR-1  An access reads the frame that the primary names, or named when a change of it began
 *           that has not passed the start of this mirror.
 */
#ifndef SAMEPAGE_MM_MIRROR_H
#define SAMEPAGE_MM_MIRROR_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;
struct mirror;

enum mirror_kind { MIRROR_BUSY, MIRROR_SLOW, MIRROR_SHADOW, MIRROR_INTERVAL, MIRROR_KINDS };

/* Subscribes for `range`; the table has 8 bytes for each of its pages. ERR_NO_MEMORY. */
int mirror_create(struct addrspace *as, enum mirror_kind kind, struct gfn_range range, u64 wait,
		  struct mirror **out) __must_check;
/* No access is under way. Takes LOCK_NOTIFIER, LOCK_MMU. */
void mirror_destroy(struct mirror *mirror);

/*
 * The device loads an aligned word; a page that it does not map is resolved as a guest's read is.
 * ERR_RANGE: not in its range, no slot, or a device's; ERR_BUSY: kind busy, while another page is
 * transferred, or the page changes faster than it is resolved; ERR_NO_MEMORY. Takes LOCK_DEVICE,
 * LOCK_MMU.
 */
int mirror_read(struct mirror *mirror, struct gpa at, u64 *word) __must_check;

/* The device reads its next page that a frame backs, in turn. False: there is none. */
bool mirror_step(struct mirror *mirror);

#endif
