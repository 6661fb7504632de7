/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier.h: subscriptions to changes of an address space's primary PTEs.
 *
 * A secondary MMU (a stage 2, a device model's cache) keeps copies of primary PTEs. It subscribes
 * to the address space and is called around each change:
 *
 *     start      before the change: invalidate the range, cache nothing of it until `end`
 *     change     under LOCK_MMU: the new PTEs, in batches; take them over, or invalidate
 *     end        after the change: the range may be cached again
 *
 * Which of these calls a subscription gets for an event, and in which order, is the policy's choice
 * (mm/policy.h). Linux wrapped change_pte in start and end in 2012; KVM zaps in start, so
 * change_pte found nothing to change. docs/mm/notifier.md has the proposals of the 2014 thread,
 * each of which is a policy, and a section on each event.
 *
 * Invariants:
 * NOTIFIER-1  After notifier_unsubscribe() has returned, no callback of the subscription runs.
 * NOTIFIER-2  A subscription with a called start gets end exactly once, also when a later start
 *             fails.
 * NOTIFIER-3  When an operation returns, each subscription that overlaps the range and has a role
 *             in the event has been called: by start and end, by change, or by take.
 * NOTIFIER-4  Callbacks do not re-enter: an operation that notifies or changes the same chain fails
 *             with ERR_REENTRANT inside a callback. Operations without an event (populate, granting
 *             the right to write) are allowed where no lock is held.
 * NOTIFIER-5  At every point that notifier_policy_refusal() accepts, but `late`: no mapping of the
 *             new frame is writable while a subscriber may still use the old one.
 *
 * Locking: subscribing, unsubscribing and a change of policy take LOCK_NOTIFIER, then LOCK_MMU. A
 * notification takes no lock for the subscriptions: it is a reader of the view in force. A callback
 * takes locks of a higher rank than LOCK_NOTIFIER alone, because unsubscribing waits for it under
 * that lock. mm/notify/notifier.c has the memory order.
 *
 * Field keys: [I] constant after the set-up, [n] LOCK_NOTIFIER, [m] LOCK_MMU, [a] atomic.
 */
#ifndef SAMEPAGE_MM_NOTIFIER_H
#define SAMEPAGE_MM_NOTIFIER_H

#include <arch/addr.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/lock.h>
#include <lib/quiesce.h>
#include <lib/types.h>
#include <mm/policy.h>

/* What happens to the range. */
enum notify_event {
	EVENT_UNMAP,	     /* the slot goes away */
	EVENT_CLEAR,	     /* the backing goes, the slot stays: reads as zero next */
	EVENT_PROTECT_RANGE, /* fewer rights on many gfns, same frames */
	EVENT_PROTECT_PAGE,  /* fewer rights on one gfn, same frame */
	EVENT_SOFT_DIRTY,    /* soft-dirty is cleared: the next write must be noticed */
	EVENT_RELEASE,	     /* the address space ends: nothing is backed any more */
	EVENT_MIGRATE,	     /* another frame, same content, same rights */
	EVENT_EXCLUSIVE,     /* the owner alone may use the page from now on */
	EVENT_MERGE,	     /* a read-only frame is replaced by another of the same content */
	EVENT_COW_BREAK,     /* a shared frame is replaced by a writable copy */
	EVENT_RECLAIM,	     /* the frame goes; a fault restores the content */
	EVENT_BALLOON,	     /* as CLEAR, at the guest's request */
	EVENT_SPLIT,	     /* large leaves must go; no gfn reads differently */
	EVENT_COLLAPSE,	     /* frames of a block move together; content and rights stay */
	EVENT_AGE,	     /* accessed bits are read or cleared */
	EVENTS
};

#define EVENTS_ALL (BIT(EVENTS) - 1)
/* The events for which change_pte was made: one page gets another frame or other rights. */
#define EVENTS_CHANGE_PTE \
	(BIT(EVENT_PROTECT_PAGE) | BIT(EVENT_MIGRATE) | BIT(EVENT_MERGE) | BIT(EVENT_COW_BREAK))
/* All events that change() can be given: those and the ones that take rights from a range. */
#define EVENTS_IN_PLACE (EVENTS_CHANGE_PTE | BIT(EVENT_PROTECT_RANGE) | BIT(EVENT_SOFT_DIRTY))
/* The events that carry NOTIFY_LAZY under flush=lazy; MERGE, because its old frame is kept. */
#define EVENTS_LAZY                                                                   \
	(BIT(EVENT_PROTECT_PAGE) | BIT(EVENT_PROTECT_RANGE) | BIT(EVENT_SOFT_DIRTY) | \
	 BIT(EVENT_MERGE))

enum notify_flags {
	NOTIFY_NOBLOCK = 1,	   /* start must not wait; it may fail with ERR_WOULD_BLOCK */
	NOTIFY_CHANGE_FOLLOWS = 2, /* subscribers with change get the new PTEs (start=tagged) */
	NOTIFY_LAZY = 4,	   /* the frame and its content stay: start leaves none of the
				      translations writable, and may leave others until sync() */
};

/* owner: the cause of the event, or NULL; a subscriber may ignore its own events. */
struct notify_range {
	enum notify_event event;
	struct gfn_range range;
	unsigned flags;
	const void *owner;
};

/* A gfn's new backing. rights: PT_RWX bits; 0: not backed, and mfn has no meaning. */
struct pte_change {
	struct gfn gfn;
	struct mfn mfn;
	unsigned rights;
};

enum change_flags {
	CHANGE_ESTABLISH = 1, /* may map what is not mapped (establish=yes) */
	CHANGE_LAZY = 2,      /* the flush may wait for sync(): old and new frame read the same and
				 the old one is kept, or more changes of the operation follow */
	CHANGE_STARTED = 4,   /* each subscriber's start of the same operation was called */
};

#define NOTIFY_BATCH 32 /* changes in one call, at most */

struct notify_change {
	const struct notify_range *range;
	const struct pte_change *changes; /* ascending gfns */
	unsigned count;
	unsigned flags; /* enum change_flags */
};

struct subscription;
struct audit;

/* What a subscriber has of a page: rights: PT_RWX bits; level: of a leaf. */
struct held_page {
	struct mfn mfn;
	unsigned rights, level;
};

/*
 * What a subscriber did: accesses through what it cached, look-ups in the primary, those that were
 * void since an invalidation came between; invalidations that waited, and the ticks of that.
 */
struct subscriber_work {
	u64 accesses, misses, retries, waits, waited;
};

/*
 * struct subscriber_ops: the callbacks of a kind of subscriber; each may be NULL.
 *
 * start	invalidates. May wait unless NOTIFY_NOBLOCK; returns 0, or ERR_WOULD_BLOCK without effect. No lock held.
 * end		the range may be cached again. No lock held.
 * start_begin	passes=two: as start, but leaves the wait to finish. NULL: start. No lock held.
 * finish	passes=two: waits for what start_begin began. NULL: nothing. No lock held.
 * change	takes over new PTEs; must not wait, may invalidate instead. LOCK_MMU held. When it returns, none of the old
 * 		translations is in use, unless CHANGE_LAZY; until then no CPU may write through a new one.
 * change_start, change_end	start=companion: called in place of start and end where change follows
 * sync		does deferred flushes, before old frames are freed. LOCK_MMU held.
 * sync_begin	begins them without waiting; sync_ended: have those begun last ended? LOCK_MMU held.
 * young	whether a gfn of the range was accessed since the last `clear`. LOCK_MMU held.
 * dirty	reports to the primary (space_mark) the gfns of the range that were written; `revoke`: also removes the
 * 		right to write that a clean page has. LOCK_MMU held.
 * take		for each bit i of `written` clears what records writes to gfn range.start + i;
 *		where there was something sets bit i of `taken`, and begins a flush, unawaited.
 *		Returns the number of the flush begun last; 0: none. take_ended: has it ended? Until
 *		then a write may go unrecorded. take_hurry: CPUs that hold it up are kicked, and not
 *		waited for. LOCK_MMU held.
 * holds	what it has cached of a gfn, for people; false: nothing. LOCK_NOTIFIER held.
 * audit	reports every cached translation to the auditor (mm/audit.h). LOCK_NOTIFIER, LOCK_MMU held.
 * work		its own counters. LOCK_NOTIFIER held.
 * sequenced	its subscriptions keep `sequence`: notifier_read_begin(), notifier_read_retry()
 */
struct subscriber_ops {
	const char *name;
	int (*start)(struct subscription *sub, const struct notify_range *range);
	void (*end)(struct subscription *sub, const struct notify_range *range);
	int (*start_begin)(struct subscription *sub, const struct notify_range *range);
	void (*finish)(struct subscription *sub, const struct notify_range *range);
	void (*change)(struct subscription *sub, const struct notify_change *change);
	int (*change_start)(struct subscription *sub, const struct notify_range *range);
	void (*change_end)(struct subscription *sub, const struct notify_range *range);
	void (*sync)(struct subscription *sub);
	void (*sync_begin)(struct subscription *sub);
	bool (*sync_ended)(struct subscription *sub);
	bool (*young)(struct subscription *sub, struct gfn_range range, bool clear);
	void (*dirty)(struct subscription *sub, struct gfn_range range, bool revoke);
	u64 (*take)(struct subscription *sub, struct gfn_range range, const u64 *written,
		    u64 *taken);
	bool (*take_ended)(struct subscription *sub, u64 flush);
	void (*take_hurry)(struct subscription *sub, u64 flush);
	bool (*holds)(struct subscription *sub, struct gfn gfn, struct held_page *out);
	void (*audit)(struct subscription *sub, struct audit *audit);
	void (*work)(struct subscription *sub, struct subscriber_work *out);
	bool sequenced;
};

/* Calls of a subscription for one event. changes, changed_gfns: [m]; the others [a]. */
struct subscription_counters {
	u64 starts, changes, changed_gfns, refused;
};

/*
 * struct subscription: embedded in the subscriber, which fills in ops, range, the masks and owner;
 * those are constant while subscribed.
 *
 * number, space	[I] in the trace, and of the address space; set by notifier_subscribe()
 * around	[I] by SUB_COMPANION | SUB_TWO_PASSES: the two calls around a change; what stands for a
 *		method that is NULL is chosen by notifier_subscribe()
 * finish	[I] likewise
 * sequenced	[I] of ops
 * sequence	[a] changes and ended invalidations so far << 8 | invalidations that run
 * invalidate_events, change_events	the masks of start=mask: events with start and end, events
 *		with change; an event in neither has no call. Other start sets do not use them.
 */
enum { SUB_COMPANION = 1, SUB_TWO_PASSES = 2, SUB_CALLS = 4 };
struct notifier_calls {
	int (*start)(struct subscription *sub, const struct notify_range *range);
	void (*end)(struct subscription *sub, const struct notify_range *range);
};
struct subscription {
	const struct subscriber_ops *ops;
	struct gfn_range range;
	u32 invalidate_events, change_events;
	const void *owner;
	u16 number, space;
	bool sequenced;
	u64 sequence;
	struct notifier_calls around[SUB_CALLS];
	void (*finish)(struct subscription *sub, const struct notify_range *range);
	struct subscription_counters counters[EVENTS];
};

/*
 * A look-up in the primary that may race with an invalidation, without a log of the subscriber's
 * own (Linux: mmu_interval_read_begin, mmu_interval_read_retry).
 *
 *     begun = notifier_read_begin(sub)
 *     resolve a gfn in the primary            start: lock; drop; unlock     the lock is the
 *     lock                                    primary changes               subscriber's own
 *     notifier_read_retry(sub, begun)         end
 *     false: install    true: once more
 *     unlock
 *
 * One word for the subscription, as Linux has one for an interval: an invalidation of another gfn
 * of its range is a retry, too. Where that is dear, or where a look-up must not wait for the end of
 * an invalidation of another gfn, a subscriber keeps a struct invalidate_log (mm/invalidate.h): a
 * stage 2, because its faults are frequent, and the guest cache, because its start waits for users
 * that may be in a look-up of another page.
 *
 * NOTIFIER-6  What was resolved after read_begin and is installed under the lock, where read_retry
 *             was false, is not older than the last start or change that has taken the lock.
 */
#define SEQUENCE_RUNNING BITS(7, 0)
#define SEQUENCE_ONE	 BIT(8)

/* No lock. */
static inline u64 notifier_read_begin(const struct subscription *sub)
{
	u64 begun = ck_pr_load_64(&sub->sequence);

	/* Pairs with a change: the sequence moves before start, and after the primary. */
	ck_pr_fence_load();
	return begun;
}

/* Called under the lock that the subscriber's start and change take. */
static inline bool notifier_read_retry(const struct subscription *sub, u64 begun)
{
	return (begun & SEQUENCE_RUNNING) || ck_pr_load_64(&sub->sequence) != begun;
}

struct notifier_counters {
	u64 notifications;
	u64 gfns;
};

/*
 * struct notifier: the subscriptions of one address space.
 *
 * policy	[n] in force
 * events	[a] bitmap: the events in which a subscription has a role, under the policy in force
 * view		[a] the subscriptions as dispatch reads them; constant once published
 *		(NULL: there was no subscription yet)
 * lock		LOCK_NOTIFIER
 * spare	[n] where the next view is built, so that unsubscribing allocates nothing
 * order	[n] both views are 2^order pages
 * readers	[a] the CPUs that run a notification
 * space	[I] number of the address space, for the trace
 * mmu_lock	[I] LOCK_MMU of the address space
 * counters	[m] by event
 * skipped	[a] by event: operations without a call
 */
struct notifier {
	struct notifier_policy policy;
	u64 events;
	struct notifier_view *view;
	struct spinlock lock;
	struct notifier_view *spare;
	unsigned order;
	u16 space;
	struct spinlock *mmu_lock;
	struct notifier_counters counters[EVENTS];
	u64 skipped[EVENTS];
	struct quiesce readers;
};

void notifier_init(struct notifier *notifier, const struct notifier_policy *policy,
		   struct spinlock *mmu_lock);
/* No subscription is left. */
void notifier_fini(struct notifier *notifier);

/*
 * Adds a subscription. Every change after the return calls it; what it caches must be read from the
 * primary after the return. Waits for notifications that run. ERR_INVALID (no ops, an empty range,
 * an unknown event, an event in both masks, change_events without ops->change), ERR_NO_MEMORY,
 * ERR_REENTRANT. Takes LOCK_NOTIFIER, then LOCK_MMU.
 */
int notifier_subscribe(struct notifier *notifier, struct subscription *sub) __must_check;
/*
 * Removes a subscription (NOTIFIER-1). Waits likewise; allocates nothing. ERR_NOT_FOUND,
 * ERR_REENTRANT: no effect.
 */
int notifier_unsubscribe(struct notifier *notifier, struct subscription *sub) __must_check;

/*
 * Changes the policy of operations that begin after the return; waits for those that run. The point
 * is copied. ERR_INVALID: notifier_policy_refusal() has the reason; ERR_REENTRANT. Takes
 * LOCK_NOTIFIER, then LOCK_MMU.
 */
int notifier_set_policy(struct notifier *notifier,
			const struct notifier_policy *policy) __must_check;

/*
 * Calls `visit` for each subscription until it returns other than 0. notifier_each() takes
 * LOCK_NOTIFIER; for notifier_each_locked() the caller holds it.
 */
void notifier_each(struct notifier *notifier,
		   int (*visit)(struct subscription *sub, void *argument), void *argument);
void notifier_each_locked(struct notifier *notifier,
			  int (*visit)(struct subscription *sub, void *argument), void *argument)
	LOCK_REQUIRES(notifier->lock);
/* Calls of start, end and change so far, of present subscriptions. Takes LOCK_NOTIFIER. */
u64 notifier_callbacks(struct notifier *notifier);
/*
 * Notifications of an event so far; and operations, with or without a call. No lock.
 */
u64 notifier_notifications(const struct notifier *notifier, enum notify_event event);
u64 notifier_events(const struct notifier *notifier, enum notify_event event);

const char *notify_event_name(enum notify_event event);

#endif
