/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.c: devices with page tables of their own. mirror.h has the protocol.
 *
 * The device is simulated: its accesses are loads of the CPU that calls mirror_read(), its fences
 * and transfers are ticks of the clock. They run beside the CPUs: fences of several devices that
 * were begun together end together, which passes=two makes use of.
 *
 * Locking: mirror->lock (LOCK_DEVICE) for the table; an access holds it from the look-up of the PTE
 * to the load, so that start returns after the last load by an old PTE.
 */
#include <mm/mirror.h>
#include <arch/cpu.h>
#include <arch/exit.h>
#include <lib/error.h>
#include <lib/lock.h>
#include <lib/log.h>
#include <lib/race.h>
#include <mm/audit.h>
#include <mm/notifier.h>
#include "mm/frame/pool.h"
#include "mm/space/space.h"

/* A PTE of the device. */
#define MIRROR_VALID BIT(0)
#define MIRROR_WRITE BIT(1)
#define MIRROR_MFN   BITS(51, 12)

/* Events of which a mirror has no use: it maps single pages, and reports no accesses. */
#define MIRROR_SKIPS (BIT(EVENT_SPLIT) | BIT(EVENT_AGE))

/*
 * struct mirror
 *
 * pte		[d] one for each gfn of the subscription's range; 2^order pages
 * fence	[d] tick at which the invalidations that were begun are complete
 * moving, until	[d] kind busy: the page of the transfer, and the tick at which it ends
 * hand		[d] gfn that mirror_step() looks at next
 * wait		[I] ticks
 */
struct mirror {
	struct addrspace *as;
	struct subscription sub;
	struct spinlock lock;
	u64 *pte;
	unsigned order;
	enum mirror_kind kind;
	u64 wait, fence;
	struct gfn moving, hand;
	u64 until;
	struct subscriber_work work;
};

static struct pool mirrors = POOL_INITIALIZER(sizeof(struct mirror), "mirrors");

static struct mirror *mirror_of(struct subscription *sub)
{
	return container_of(sub, struct mirror, sub);
}

static u64 *mirror_pte(struct mirror *mirror, struct gfn gfn)
{
	return &mirror->pte[gfn.raw - mirror->sub.range.start.raw];
}

static struct gfn_range mirror_part(const struct mirror *mirror, struct gfn_range range)
{
	const struct gfn_range *all = &mirror->sub.range;

	return (struct gfn_range){{MAX(range.start.raw, all->start.raw)},
				  {MIN(range.end.raw, all->end.raw)}};
}

static unsigned mirror_rights(u64 pte)
{
	return pte & MIRROR_WRITE ? PT_READ | PT_WRITE : PT_READ;
}

static struct mfn mirror_mfn(u64 pte)
{
	return (struct mfn){(pte & MIRROR_MFN) >> PAGE_SHIFT};
}

static u64 make_pte(struct mfn mfn, unsigned rights)
{
	return mfn.raw << PAGE_SHIFT | MIRROR_VALID | (rights & PT_WRITE ? MIRROR_WRITE : 0);
}

static bool mirror_maps(struct mirror *mirror, struct gfn_range range)
{
	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++)
		if (*mirror_pte(mirror, gfn))
			return true;
	return false;
}

/* Whether the device uses a page of the range at `now`. */
static bool mirror_moves(const struct mirror *mirror, struct gfn_range range, u64 now)
{
	return now < mirror->until && gfn_in_range(mirror->moving, range);
}

static u64 drop_ptes(struct mirror *mirror, struct gfn_range range)
{
	u64 dropped = 0;

	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++) {
		u64 *pte = mirror_pte(mirror, gfn);

		dropped += *pte != 0;
		*pte = 0;
	}
	return dropped;
}

/* Kind shadow with start=tagged: change brings the new PTEs. */
static bool mirror_ignores(const struct subscription *sub, const struct notify_range *range)
{
	return sub->ops->change && (range->flags & NOTIFY_CHANGE_FOLLOWS);
}

/* The PTEs go, and the command to the device is given. */
static int mirror_start_begin(struct subscription *sub, const struct notify_range *range)
{
	struct mirror *mirror = mirror_of(sub);
	struct gfn_range part = mirror_part(mirror, range->range);
	bool waits = mirror->kind != MIRROR_BUSY && mirror->wait;
	u64 now = arch_ticks();
	int err = 0;

	if (mirror_ignores(sub, range))
		return 0;
	spin_lock(&mirror->lock);
	if ((range->flags & NOTIFY_NOBLOCK) &&
	    (mirror_moves(mirror, part, now) || (waits && mirror_maps(mirror, part))))
		err = ERR_WOULD_BLOCK;
	else if (drop_ptes(mirror, part) && waits)
		mirror->fence = MAX(mirror->fence, now + mirror->wait);
	if (!err && mirror_moves(mirror, part, now))
		mirror->fence = MAX(mirror->fence, mirror->until);
	spin_unlock(&mirror->lock);
	return err;
}

/* Bounded: commands that are given later move the fence, and not the tick that was read here. */
static void mirror_finish(struct subscription *sub, const struct notify_range *range)
{
	struct mirror *mirror = mirror_of(sub);
	u64 begun = arch_ticks(), now = begun, end;

	spin_lock(&mirror->lock);
	end = mirror->fence;
	spin_unlock(&mirror->lock);
	while (now < end) {
		arch_cpu_relax();
		now = arch_ticks();
	}
	if (now == begun)
		return;
	spin_lock(&mirror->lock);
	mirror->work.waits++;
	mirror->work.waited += now - begun;
	spin_unlock(&mirror->lock);
}

static int mirror_start(struct subscription *sub, const struct notify_range *range)
{
	int err = mirror_start_begin(sub, range);

	if (!err)
		mirror_finish(sub, range);
	return err;
}

/* start=companion: change is enough, nothing is done around it. */
static int mirror_change_start(struct subscription *sub, const struct notify_range *range)
{
	return 0;
}

static void mirror_change_end(struct subscription *sub, const struct notify_range *range)
{
}

/* Kind shadow. An access holds the lock, so none uses an old PTE when this returns. */
static void mirror_change(struct subscription *sub, const struct notify_change *change)
{
	struct mirror *mirror = mirror_of(sub);

	spin_lock(&mirror->lock);
	for (unsigned i = 0; i < change->count; i++) {
		const struct pte_change *one = &change->changes[i];
		u64 *pte;

		if (!gfn_in_range(one->gfn, sub->range))
			continue;
		pte = mirror_pte(mirror, one->gfn);
		if (*pte)
			*pte = one->rights ? make_pte(one->mfn, one->rights) : 0;
	}
	spin_unlock(&mirror->lock);
}

static bool mirror_holds(struct subscription *sub, struct gfn gfn, struct held_page *out)
{
	struct mirror *mirror = mirror_of(sub);
	u64 pte = 0;

	spin_lock(&mirror->lock);
	if (gfn_in_range(gfn, sub->range))
		pte = *mirror_pte(mirror, gfn);
	spin_unlock(&mirror->lock);
	*out = (struct held_page){.mfn = mirror_mfn(pte), .rights = mirror_rights(pte)};
	return pte;
}

static void mirror_audit(struct subscription *sub, struct audit *audit)
{
	struct mirror *mirror = mirror_of(sub);
	struct gfn gfn = sub->range.start;

	spin_lock(&mirror->lock);
	for (; gfn.raw < sub->range.end.raw; gfn.raw++) {
		u64 pte = *mirror_pte(mirror, gfn);

		if (pte)
			audit_translation(audit, gfn, mirror_mfn(pte), 1, mirror_rights(pte));
	}
	spin_unlock(&mirror->lock);
}

static void mirror_work(struct subscription *sub, struct subscriber_work *out)
{
	struct mirror *mirror = mirror_of(sub);

	spin_lock(&mirror->lock);
	*out = mirror->work;
	spin_unlock(&mirror->lock);
}

#define MIRROR_OPS(name_, ...)                                                             \
	{                                                                                  \
		.name = (name_), .start = mirror_start, .start_begin = mirror_start_begin, \
		.finish = mirror_finish, .holds = mirror_holds, .audit = mirror_audit,     \
		.work = mirror_work, .sequenced = true, __VA_ARGS__                        \
	}

static const struct subscriber_ops mirror_ops[MIRROR_KINDS] = {
	[MIRROR_BUSY] = MIRROR_OPS("busy"),
	[MIRROR_SLOW] = MIRROR_OPS("slow"),
	[MIRROR_SHADOW] =
		MIRROR_OPS("shadow", .change = mirror_change, .change_start = mirror_change_start,
			   .change_end = mirror_change_end),
	[MIRROR_INTERVAL] = MIRROR_OPS("interval"),
};

static int mirror_subscribe(struct mirror *mirror)
{
	struct subscription *sub = &mirror->sub;

	sub->ops = &mirror_ops[mirror->kind];
	sub->change_events = sub->ops->change ? EVENTS_IN_PLACE : 0;
	sub->invalidate_events = EVENTS_ALL & ~(MIRROR_SKIPS | sub->change_events);
	return notifier_subscribe(&mirror->as->notifier, sub);
}

static void mirror_free(struct mirror *mirror)
{
	page_free(mirror->pte, mirror->order);
	pool_free(&mirrors, mirror);
}

int mirror_create(struct addrspace *as, enum mirror_kind kind, struct gfn_range range, u64 wait,
		  struct mirror **out)
{
	unsigned order = page_order(gfn_range_frames(range) * sizeof(u64));
	struct mirror *mirror;
	void *memory, *pte;
	int err = pool_alloc(&mirrors, &memory);

	if (err)
		return err;
	err = page_alloc(order, &pte);
	if (err) {
		pool_free(&mirrors, memory);
		return err;
	}
	mirror = memory;
	mirror->as = as;
	mirror->pte = pte;
	mirror->order = order;
	mirror->kind = kind;
	mirror->wait = wait;
	mirror->hand = range.start;
	mirror->sub.range = range;
	spin_init(&mirror->lock, LOCK_DEVICE, "mirror");
	err = mirror_subscribe(mirror);
	if (err) {
		mirror_free(mirror);
		return err;
	}
	*out = mirror;
	return 0;
}

void mirror_destroy(struct mirror *mirror)
{
	CHECK(!notifier_unsubscribe(&mirror->as->notifier, &mirror->sub));
	mirror_free(mirror);
}

/* ERR_NOT_FOUND: not mapped. ERR_BUSY: a transfer of another page runs. */
static int mirror_load(struct mirror *mirror, struct gpa at, u64 *word)
{
	struct gfn gfn = gpa_to_gfn(at);
	u64 now = arch_ticks(), pte;
	int err = 0;

	spin_lock(&mirror->lock);
	pte = *mirror_pte(mirror, gfn);
	if (now < mirror->until && mirror->moving.raw != gfn.raw) {
		err = ERR_BUSY;
	} else if (!pte) {
		err = ERR_NOT_FOUND;
	} else {
		*word = *(u64 *)((char *)arch_hpa_to_virt(mfn_to_hpa(mirror_mfn(pte))) +
				 page_offset(at.raw));
		mirror->work.accesses++;
		if (mirror->kind == MIRROR_BUSY) {
			mirror->moving = gfn;
			mirror->until = now + mirror->wait;
		}
	}
	spin_unlock(&mirror->lock);
	return err;
}

/* 0 also when an invalidation came between: the page is not mapped then. */
static int mirror_fill(struct mirror *mirror, struct gfn gfn)
{
	struct space_page page = {.gfn = gfn};
	u64 begun = notifier_read_begin(&mirror->sub);
	int err = space_resolve(mirror->as, &page, HV_READ, NULL, NULL);

	RACE_POINT("mirror: resolved");
	if (err)
		return err;
	if (ppte_state(page.pte) == PPTE_MMIO)
		return ERR_RANGE;
	spin_lock(&mirror->lock);
	mirror->work.misses++;
	if (notifier_read_retry(&mirror->sub, begun))
		mirror->work.retries++;
	else
		*mirror_pte(mirror, gfn) = make_pte(ppte_mfn(page.pte), ppte_rights(page.pte));
	spin_unlock(&mirror->lock);
	return 0;
}

int mirror_read(struct mirror *mirror, struct gpa at, u64 *word)
{
	int err;

	if (!gfn_in_range(gpa_to_gfn(at), mirror->sub.range) || !IS_ALIGNED(at.raw, sizeof(u64)))
		return ERR_RANGE;
	for (unsigned tries = 0; tries < SPACE_TRIES; tries++) {
		err = mirror_load(mirror, at, word);
		if (err != ERR_NOT_FOUND)
			return err;
		err = mirror_fill(mirror, gpa_to_gfn(at));
		if (err && err != ERR_BUSY)
			return err;
		arch_cpu_relax();
	}
	return ERR_BUSY;
}

/* The next gfn from the hand on, up to `end`, that a frame backs. */
static bool next_backed(struct mirror *mirror, struct gfn *gfn, struct gfn end)
{
	ppte_t *slot;

	for (; (slot = primary_next(&mirror->as->primary, gfn, end)); gfn->raw++)
		if (ppte_backed(ck_pr_load_64(slot)))
			return true;
	return false;
}

bool mirror_step(struct mirror *mirror)
{
	struct gfn gfn = mirror->hand;
	u64 word;

	if (!next_backed(mirror, &gfn, mirror->sub.range.end)) {
		gfn = mirror->sub.range.start;
		if (!next_backed(mirror, &gfn, mirror->hand))
			return false;
	}
	mirror->hand.raw = gfn.raw + 1;
	return mirror_read(mirror, gfn_to_gpa(gfn), &word) == 0;
}
