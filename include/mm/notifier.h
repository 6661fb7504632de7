/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier.h: how whoever caches answers of an address space learns that they change.
 *
 * One notification of a change, as a subscriber may see it; which calls it gets, and in which
 * order, is the policy's choice:
 *
 *     start      from now on the old answers may go: drop them, keep nothing of the range until `end`
 *     change     under LOCK_MMU: these gfns are backed thus now (a batch); take it over, or drop
 *     end        the range may be filled again
 *
 * Why policies: Linux wrapped change_pte in start and end in 2012, so that the page to be changed
 * had always just been dropped. docs/mm/notifier.md tells the story, what each of the nine repairs
 * does, and what each event means.
 *
 * Invariants:
 * NOTIFIER-1  After notifier_unsubscribe() no callback of the subscription runs or will run.
 * NOTIFIER-2  A subscriber whose start was called sees end exactly once, also when a later start
 *             failed.
 * NOTIFIER-3  When an operation returns, each subscription that overlaps the range and wants the
 *             event was told, by start and end or by change.
 * NOTIFIER-4  Callbacks do not re-enter: an operation that would tell the same chain, or change it,
 *             is refused with ERR_REENTRANT when begun inside one. What tells nobody (populate,
 *             more rights) may be called where no lock is held.
 * NOTIFIER-5  Under every policy but `late`: no mapping of the new frame is writable while a
 *             subscriber may still use the old one.
 */
#ifndef SAMEPAGE_MM_NOTIFIER_H
#define SAMEPAGE_MM_NOTIFIER_H

#include <arch/addr.h>
#include <arch/cpu.h>
#include <lib/lock.h>
#include <lib/quiesce.h>
#include <lib/types.h>

/* What happens to the range. docs/mm/notifier.md has a section for each. */
enum notify_event {
	EVENT_UNMAP,	     /* the slot goes away */
	EVENT_CLEAR,	     /* the backing goes, the slot stays: reads as zero next */
	EVENT_PROTECT_RANGE, /* fewer rights on many gfns, same frames */
	EVENT_PROTECT_PAGE,  /* fewer rights on one gfn, same frame */
	EVENT_SOFT_DIRTY,    /* soft-dirty is cleared: the next write must be seen */
	EVENT_RELEASE,	     /* the guest is over: nothing is backed any more, or ever again */
	EVENT_MIGRATE,	     /* another frame, same content, same rights */
	EVENT_EXCLUSIVE,     /* one owner alone may use the page now */
	EVENT_MERGE,	     /* a read-only frame is replaced by another of the same content */
	EVENT_COW_BREAK,     /* a shared frame is replaced by a writable copy */
	EVENT_RECLAIM,	     /* the content goes to where a fault brings it back from */
	EVENT_BALLOON,	     /* the guest gave the page away: as CLEAR, but it asked for it */
	EVENT_SPLIT,	     /* large leaves must go; no gfn reads differently */
	EVENT_COLLAPSE,	     /* frames of a block move together; content and rights stay */
	EVENT_AGE,	     /* young bits are read or cleared */
	EVENTS
};

/*
 * Events that change a page's frame or rights and whose new PTE can be handed over: change_pte's,
 * in every policy.
 */
#define EVENTS_HANDED \
	(BIT(EVENT_PROTECT_PAGE) | BIT(EVENT_MIGRATE) | BIT(EVENT_MERGE) | BIT(EVENT_COW_BREAK))
#define EVENTS_ALL (BIT(EVENTS) - 1)

enum notify_flags {
	NOTIFY_NOBLOCK = 1, /* start must not wait; it may fail with ERR_WOULD_BLOCK */
	NOTIFY_HANDED = 2,  /* policy `event`: whoever has change will be handed the new PTEs */
};

/* owner: whoever causes the event, NULL for nobody in particular; a subscriber may skip its own. */
struct notify_range {
	enum notify_event event;
	struct gfn_range range;
	unsigned flags;
	const void *owner;
};

/* How a gfn is backed now. rights: PT_RWX bits; 0: not at all, and mfn means nothing. */
struct pte_change {
	struct gfn gfn;
	struct mfn mfn;
	unsigned rights;
};

enum change_flags {
	CHANGE_ESTABLISH = 1, /* a subscriber may map what its start dropped (policy `establish`) */
	CHANGE_LAZY = 2,  /* the flush may wait for sync(): old and new read the same and the old
				 frame lives, or more changes of the same operation follow */
	CHANGE_FLUSH = 4, /* flush even if only rights grew (policy `late_wp`) */
};

#define NOTIFY_BATCH 32 /* changes in one call, at most */

struct notify_change {
	const struct notify_range *range;
	const struct pte_change *changes; /* ascending gfns */
	unsigned count;
	unsigned flags;
};

struct subscription;
struct audit;

/*
 * struct subscriber_ops: what a kind of subscriber can do; any may be NULL.
 *
 * start	may wait unless NOTIFY_NOBLOCK; returns 0, or ERR_WOULD_BLOCK and then has done nothing. No lock held.
 * end		undoes start's "keep nothing". No lock held.
 * change	takes new PTEs over at once; may not wait, may decline by dropping. LOCK_MMU held. When it returns, none of
 * 		the old translations is in use, unless CHANGE_LAZY; and before that no CPU may write through a new one.
 * change_start, change_end	policy `companion`: called instead of start and end around a change
 * sync		carries out put-off flushes, because old frames are about to be freed. LOCK_MMU held.
 * young	any gfn of the range touched since last asked? `clear` forgets it. LOCK_MMU held.
 * dirty	tells the primary (space_mark) which gfns of the range were written through it; `forget`: and drops what
 * 		lets a guest write although the primary calls the page clean. LOCK_MMU held.
 * audit	shows the auditor every translation it keeps (mm/audit.h). LOCK_NOTIFIER, LOCK_MMU held.
 */
struct subscriber_ops {
	const char *name;
	int (*start)(struct subscription *sub, const struct notify_range *range);
	void (*end)(struct subscription *sub, const struct notify_range *range);
	void (*change)(struct subscription *sub, const struct notify_change *change);
	void (*change_start)(struct subscription *sub, const struct notify_range *range);
	void (*change_end)(struct subscription *sub, const struct notify_range *range);
	void (*sync)(struct subscription *sub);
	bool (*young)(struct subscription *sub, struct gfn_range range, bool clear);
	void (*dirty)(struct subscription *sub, struct gfn_range range, bool forget);
	void (*audit)(struct subscription *sub, struct audit *audit);
};

/* What a subscription was told, by event. changes, changed_gfns: under LOCK_MMU; the others [a]. */
struct subscription_counters {
	u64 starts, changes, changed_gfns, refused;
};

/*
 * struct subscription: embedded in the subscriber. All but `counters` is filled by who subscribes
 * and constant after.
 *
 * want_drop, want_change	sets of events: told by start and end, by change; in neither: not at all. Only the
 * 			policy `masked` asks; under the others everybody hears everything.
 */
struct subscription {
	const struct subscriber_ops *ops;
	struct gfn_range range;
	u32 want_drop, want_change;
	const void *owner;
	struct subscription_counters counters[EVENTS];
};

/* What an address space's chain was told to tell, by policy and event. */
struct notifier_counters {
	u64 notifications;
	u64 gfns;
};

struct notifier_policy;
struct notifier_view;
extern const struct notifier_policy *const notifier_policies[];
#define NOTIFIER_POLICIES 9

/* The policy called `name`, or NULL. */
const struct notifier_policy *notifier_policy_find(const char *name, size_t len);
const char *notifier_policy_name(const struct notifier_policy *policy);

/*
 * struct notifier: the chain of one address space.
 *
 * wanted	[a] events that somebody must be told of, under the policy in force
 * view		[a] the subscriptions as dispatch reads them; never changed once published
 * spare	[n] where the next view is built, so that unsubscribing needs no memory
 * order	[n] size of both, `capacity` subscriptions
 * subs		[n] all subscriptions
 * readers	[a] the CPUs that run a notification
 * mmu_lock	[I] the address space's LOCK_MMU
 */
struct notifier {
	const struct notifier_policy *policy; /* [a] */
	u64 wanted;
	struct notifier_view *view;
	struct spinlock lock;
	struct notifier_view *spare;
	unsigned order, capacity, count;
	struct spinlock *mmu_lock;
	struct notifier_counters counters[NOTIFIER_POLICIES][EVENTS]; /* [m] */
	u64 unwanted[EVENTS]; /* [a] operations that nobody had to be told of */
	struct quiesce readers;
};

void notifier_init(struct notifier *notifier, const struct notifier_policy *policy,
		   struct spinlock *mmu_lock);
/* Wants no subscription left. */
void notifier_fini(struct notifier *notifier);

/*
 * From its return on, the subscription is told of every change; what it caches must have been asked
 * for after it. Waits until running notifications have ended. ERR_INVALID (no ops, empty range, an
 * event in both sets or in want_change without ops->change), ERR_NO_MEMORY, ERR_REENTRANT. Takes
 * LOCK_NOTIFIER, then LOCK_MMU.
 */
int notifier_subscribe(struct notifier *notifier, struct subscription *sub) __must_check;
/* NOTIFIER-1. Waits likewise. ERR_NOT_FOUND, ERR_REENTRANT: nothing happened. Allocates nothing. */
int notifier_unsubscribe(struct notifier *notifier, struct subscription *sub) __must_check;

/*
 * For operations that begin after it; waits for those that run. ERR_REENTRANT. Takes LOCK_NOTIFIER,
 * LOCK_MMU.
 */
int notifier_set_policy(struct notifier *notifier,
			const struct notifier_policy *policy) __must_check;

/*
 * Shows every subscription there is to `visit`; stops where that returns other than 0. Takes
 * LOCK_NOTIFIER.
 */
void notifier_each(struct notifier *notifier,
		   int (*visit)(struct subscription *sub, void *argument), void *argument);
/* Calls of start, end and change so far, of those who are subscribed now. Takes LOCK_NOTIFIER. */
u64 notifier_callbacks(struct notifier *notifier);
/*
 * Operations of this kind that were carried out so far, under whichever policy, told or not. No
 * lock.
 */
u64 notifier_events(const struct notifier *notifier, enum notify_event event);

const char *notify_event_name(enum notify_event event);

#endif
