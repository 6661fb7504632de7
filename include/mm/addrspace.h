/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addrspace.h: the primary MMU: which frame backs a gfn, and why.
 *
 * Why: all other translations of a gfn (an EPT, a device model's cache) are derived from this one
 * and may be discarded at any time. So a guest's memory changes in one place, by the operations
 * below, and each names the event that its subscribers receive.
 */
#ifndef SAMEPAGE_MM_ADDRSPACE_H
#define SAMEPAGE_MM_ADDRSPACE_H

#include <arch/addr.h>
#include <arch/pgtable.h>
#include <lib/types.h>
#include <mm/policy.h>

struct addrspace;
struct notifier;

/* MMIO: frames of a device, by addrspace_add_device(). */
enum slot_kind { SLOT_RAM, SLOT_ROM, SLOT_MMIO };

/* What a fault does that raced with an invalidation of its own gfn. */
enum retry_mode {
	RETRY_REENTER, /* enters the guest, which faults again if it must (as KVM does) */
	RETRY_INPLACE, /* resolves again in the handler, without a second exit */
};

/*
 * How a fault resolves that only reads. AS_WRITE: as a write would, where the page may be written,
 * as KVM did when change_pte was new: the first read that faults breaks a shared page.
 */
enum read_mode { READ_AS_READ, READ_AS_WRITE };

/*
 * What all operations on a range have in common. ERR_INVALID: empty, wraps, or wider than a guest
 * can be; ERR_RANGE: not wholly in slots; ERR_REENTRANT: called from a subscriber's callback;
 * ERR_WOULD_BLOCK: ADDRSPACE_NOBLOCK was given and a subscriber would have had to wait. On any of
 * them nothing has changed. They take LOCK_MMU and no lock of a lower rank may be missing below it;
 * interrupts do not matter.
 */
enum addrspace_flags { ADDRSPACE_NOBLOCK = 1 };

/*
 * One guest-physical address space. ERR_NO_MEMORY. `name` is copied. destroy frees all it backed.
 */
int addrspace_create(const char *name, struct addrspace **out) __must_check;
/*
 * The guest is over: all slots go, pinned pages too, and nothing is ever backed again; so
 * subscribers can be taken apart in any order, whatever they still hold. Event RELEASE.
 * ERR_REENTRANT: nothing changed. Takes LOCK_MMU.
 */
int addrspace_release(struct addrspace *as) __must_check;
/*
 * Releases what is not released yet. No subscription is left, and no other CPU is inside
 * it.
 */
void addrspace_destroy(struct addrspace *as);
const char *addrspace_name(const struct addrspace *as);
/* Its number, as the rmap has it; and back, NULL when there is none. */
u16 addrspace_id(const struct addrspace *as);
struct addrspace *addrspace_by_id(u16 id);

/*
 * Its chain of subscribers, its notification policy and its modes, changeable at any time.
 * set_policy: ERR_INVALID (a point that is refused), ERR_REENTRANT; the point is copied. policy:
 * takes LOCK_NOTIFIER.
 */
struct notifier *addrspace_notifier(struct addrspace *as);
int addrspace_set_policy(struct addrspace *as, const struct notifier_policy *policy) __must_check;
struct notifier_policy addrspace_policy(struct addrspace *as);
void addrspace_set_retry(struct addrspace *as, enum retry_mode retry);
enum retry_mode addrspace_retry(const struct addrspace *as);

void addrspace_set_read(struct addrspace *as, enum read_mode read);
enum read_mode addrspace_read_mode(const struct addrspace *as);

/*
 * Pages that a write fault may break the sharing of, its own among them, when the guest writes page
 * after page: 1, the default of mm, to 16. Any context.
 */
void addrspace_set_ahead(struct addrspace *as, unsigned most);

/*
 * Pages that the fault of a first touch may back and map, its own among them, when the guest
 * touches page after page: 1, the default of mm, to 16. Any context.
 */
void addrspace_set_touch(struct addrspace *as, unsigned most);

/*
 * Pages that got a copy of a shared frame; *ahead: those of them that were broken before a write to
 * them. Any context; exact while no page is broken.
 */
u64 addrspace_breaks(const struct addrspace *as, u64 *ahead);

/* Policy (NULL: Kconfig's; copied) and modes of address spaces created later. At boot. */
void addrspace_configure(const struct notifier_policy *policy, enum retry_mode retry,
			 enum read_mode read, unsigned ahead, unsigned touch);

/* 0 if the range lies wholly in slots; errors of a range as above. Takes LOCK_MMU. */
int addrspace_check(struct addrspace *as, struct gfn_range range) __must_check;

/*
 * A memory slot; frames come lazily. ERR_INVALID (empty, wraps), ERR_EXISTS (overlaps),
 * ERR_NO_MEMORY: no change.
 */
int addrspace_add_slot(struct addrspace *as, struct gfn_range range,
		       enum slot_kind kind) __must_check;
/*
 * A slot of a device's frames, from `first` on: mapped at once, uncached, one by one; never
 * cleared, merged, moved, pinned, reclaimed, or copied by the hypervisor; protecting it works.
 * ERR_PERMISSION: one of them lies where the machine has memory (in 128 MiB that hold any); the
 * caller makes sure that no other device is given away. ERR_INVALID, ERR_EXISTS,
 * ERR_NO_MEMORY as add_slot: no change.
 */
int addrspace_add_device(struct addrspace *as, struct gfn_range range,
			 struct mfn first) __must_check;
/* Takes away the slot that is exactly `range`. ERR_NOT_FOUND. Event UNMAP. */
int addrspace_remove_slot(struct addrspace *as, struct gfn_range range) __must_check;

/*
 * Backs every absent gfn of the range with a zeroed private frame now, in blocks as large as can
 * be. ERR_NO_MEMORY.
 */
int addrspace_populate(struct addrspace *as, struct gfn_range range) __must_check;

/*
 * Takes the backing away; the next touch finds zeroes. Pinned pages and a device's stay. Event
 * CLEAR.
 */
int addrspace_clear(struct addrspace *as, struct gfn_range range, unsigned flags) __must_check;
/* The same at the guest's own request. Event BALLOON. */
int addrspace_balloon(struct addrspace *as, struct gfn_range range, unsigned flags) __must_check;

/*
 * May the guest write? Holds also for pages that are absent, or become so. Fewer rights: event
 * PROTECT_PAGE for one gfn, else PROTECT_RANGE, and ERR_NO_MEMORY (no right has changed); more: no
 * event.
 */
int addrspace_protect(struct addrspace *as, struct gfn_range range, bool writable) __must_check;

/* From now on the first write to each page is seen. Event SOFT_DIRTY. */
int addrspace_clear_soft_dirty(struct addrspace *as, struct gfn_range range) __must_check;
/* Was gfn written since? False for what is absent. */
bool addrspace_is_soft_dirty(const struct addrspace *as, struct gfn gfn);

/*
 * Moves a private page to a fresh frame. ERR_BUSY: not private, pinned, or written meanwhile;
 * ERR_NO_MEMORY. Event MIGRATE, after PROTECT_PAGE.
 */
int addrspace_migrate(struct addrspace *as, struct gfn gfn) __must_check;

/* All subscribers but `owner` drop the page. Event EXCLUSIVE. */
int addrspace_exclusive(struct addrspace *as, struct gfn gfn, const void *owner) __must_check;

/*
 * Moves the 512 private pages of the block around gfn together, so that secondaries can use one
 * large leaf; if they lie together already, only drops the small leaves. Pages of a block that is
 * not logged coarsely become soft-dirty if one is. ERR_BUSY: a page is not private, pinned, or was
 * written meanwhile; ERR_NO_MEMORY. Events PROTECT_RANGE, COLLAPSE.
 */
int addrspace_collapse(struct addrspace *as, struct gfn gfn) __must_check;
/* Large leaves over the range must go; nothing moves. Event SPLIT. */
int addrspace_split(struct addrspace *as, struct gfn_range range) __must_check;

/* Was a page of the range touched since the last call? Event AGE. */
int addrspace_age(struct addrspace *as, struct gfn_range range, bool *young) __must_check;

/*
 * A pinned page is never moved, shared or reclaimed until each of its users has unpinned it. Backs
 * the page, breaks sharing. ERR_NO_MEMORY, ERR_PERMISSION (read-only), ERR_BUSY (being changed, a
 * device's, or pinned by eight users already).
 */
int addrspace_pin(struct addrspace *as, struct gfn gfn) __must_check;
void addrspace_unpin(struct addrspace *as, struct gfn gfn);

/* Carries out the flushes that merges put off, then frees their frames. Takes LOCK_MMU. */
void addrspace_settle(struct addrspace *as);
/* The same for frames that no CPU can use any more: kicks none and waits for none. */
void addrspace_try_settle(struct addrspace *as);

/* Its pages by what stands behind them; the others of its slots are absent. Takes LOCK_MMU. */
struct addrspace_pages {
	u64 private, shared, zero, reclaimed, device;
};
void addrspace_count(struct addrspace *as, struct addrspace_pages *out);

/*
 * Copies to and from guest memory through the primary, populating and breaking sharing as a guest's
 * access would, page by page. write reaches ROM slots too: it is the hypervisor's own, a loader's.
 * ERR_RANGE (no slot, or a device's): nothing is copied. ERR_NO_MEMORY: pages before the one that
 * failed are copied. Takes LOCK_MMU.
 */
int addrspace_write(struct addrspace *as, struct gpa to, const void *from, size_t len) __must_check;
int addrspace_read(struct addrspace *as, struct gpa from, void *to, size_t len) __must_check;
/*
 * Compares and swaps 4 or 8 aligned bytes of guest memory, atomically against the guest's CPUs; as
 * a write otherwise. *swapped: the old value was there.
 */
int addrspace_swap(struct addrspace *as, struct gpa at, size_t len, u64 old, u64 new,
		   bool *swapped) __must_check;

#endif
