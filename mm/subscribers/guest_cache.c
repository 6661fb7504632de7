/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_cache.c: device models' mappings of guest memory, by the protocol of a stage 2's faults.
 *
 *     device model                                CPU that changes the page
 *     ------------                                -------------------------
 *     get: entry for gfn, users++
 *     load, store ...                             start: drop the entry, wait until users is 0
 *     put: users--                                (with NOTIFY_NOBLOCK: ERR_WOULD_BLOCK instead)
 *                                                 primary changes
 *     get: waits, because gfn is being            end
 *     invalidated; then reads the primary
 *
 * It keeps a log of its own, and not the subscription's sequence: a device model may hold one page
 * while it gets another. With one word for all gfns the get would wait for the end of an
 * invalidation of the held page, and that invalidation for the put.
 *
 * A cache has few pages, so most changes of one page find nothing here. They pass without the lock
 * and the log (GUEST-CACHE-3):
 *
 *     device model: a miss of gfn                 CPU c that changes gfn
 *     ---------------------------                 ----------------------
 *     misses++, full barrier                      start: passing[c] = gfn, full barrier
 *     gfn in passing[]: misses--, once more       misses is 0, and no entry is of gfn: passes
 *     read the sequence, then the primary         else: passing[c] = none; lock, log, drop
 *     lock; check the log; fill; unlock           primary changes
 *     misses--                                    end: passing[c] = none, or the log's end
 *
 * The barriers are a store-buffering pattern: a change that passes has seen no miss, so the
 * misses++ of one that comes later sees passing[c], or the end of the change, and then the new
 * primary. A miss that came before has filled its entry before its misses--, which the change has
 * seen; so it sees the entry.
 */
#include <mm/guest_cache.h>
#include <arch/cpu.h>
#include <arch/exit.h>
#include <lib/error.h>
#include <lib/lock.h>
#include <lib/log.h>
#include <mm/audit.h>
#include <mm/invalidate.h>
#include <mm/notifier.h>
#include "mm/frame/pool.h"
#include <lib/race.h>
#include "mm/space/space.h"

#define ENTRIES 32 /* direct-mapped by gfn */

struct cache_entry {
	struct gfn gfn;
	struct mfn mfn;
	unsigned users;
	bool valid, writable, young;
};

/*
 * struct guest_cache
 *
 * log, entry, counters		[d] lock; entry[].gfn is written under it, and read without
 * misses	[a] misses that may still fill an entry
 * passing	[a] by CPU: the gfn, and 1, of a change that passes; 0: none
 */
struct guest_cache {
	struct addrspace *as;
	struct subscription sub;
	struct spinlock lock;
	struct invalidate_log log;
	struct cache_entry entry[ENTRIES];
	struct guest_cache_counters counters;
	u32 misses;
	u64 passing[ARCH_CPUS_MAX];
};

static struct pool caches = POOL_INITIALIZER(sizeof(struct guest_cache), "guest caches");

static struct guest_cache *cache_of(struct subscription *sub)
{
	return container_of(sub, struct guest_cache, sub);
}

static struct cache_entry *entry_of(struct guest_cache *cache, struct gfn gfn)
{
	return &cache->entry[gfn.raw % ENTRIES];
}

/* Drops the entries of the range; returns how many users still hold pointers. */
static unsigned drop_range(struct guest_cache *cache, struct gfn_range range)
{
	u64 places = MIN(gfn_range_frames(range), (u64)ENTRIES);
	unsigned users = 0;

	for (u64 i = 0; i < places; i++) {
		struct cache_entry *entry = entry_of(cache, gfn_add(range.start, i));

		if (!gfn_in_range(entry->gfn, range))
			continue;
		cache->counters.drops += entry->valid;
		entry->valid = false;
		users += entry->users;
	}
	return users;
}

/* The start of a change of one page. False: there may be an entry of it, now or soon. */
static bool pass(struct guest_cache *cache, struct gfn gfn)
{
	u64 *passing = &cache->passing[arch_cpu_id()];

	(void)ck_pr_fas_64(passing, gfn.raw + 1); /* full barrier; pairs with miss_begin() */
	RACE_POINT("guest_cache: passing");
	if (likely(!ck_pr_load_32(&cache->misses))) {
		ck_pr_fence_load();
		if (likely(ck_pr_load_64(&entry_of(cache, gfn)->gfn.raw) != gfn.raw))
			return true;
	}
	ck_pr_store_64(passing, 0);
	return false;
}

/* Whether this CPU's change passed; it does no longer. */
static bool pass_end(struct guest_cache *cache)
{
	u64 *passing = &cache->passing[arch_cpu_id()];

	if (!*passing)
		return false;
	ck_pr_fence_release();
	ck_pr_store_64(passing, 0);
	return true;
}

static __noinline int drop(struct guest_cache *cache, const struct notify_range *range)
{
	unsigned users;

	spin_lock(&cache->lock);
	invalidate_begin(&cache->log, range->range);
	users = drop_range(cache, range->range);
	if (users && (range->flags & NOTIFY_NOBLOCK)) {
		invalidate_end(&cache->log, range->range);
		spin_unlock(&cache->lock);
		return ERR_WOULD_BLOCK;
	}
	while (users) {
		cache->counters.waits++;
		spin_unlock(&cache->lock);
		arch_cpu_relax();
		spin_lock(&cache->lock);
		users = drop_range(cache, range->range);
	}
	spin_unlock(&cache->lock);
	return 0;
}

static __noinline void drop_end(struct guest_cache *cache, const struct notify_range *range)
{
	spin_lock(&cache->lock);
	invalidate_end(&cache->log, range->range);
	spin_unlock(&cache->lock);
}

static int cache_start(struct subscription *sub, const struct notify_range *range)
{
	struct guest_cache *cache = cache_of(sub);

	if (gfn_range_frames(range->range) == 1 && pass(cache, range->range.start))
		return 0;
	return drop(cache, range);
}

static void cache_end(struct subscription *sub, const struct notify_range *range)
{
	struct guest_cache *cache = cache_of(sub);

	if (!pass_end(cache))
		drop_end(cache, range);
}

/* Whether a device model has used a page of the range since the last `clear`. */
static bool cache_young(struct subscription *sub, struct gfn_range range, bool clear)
{
	struct guest_cache *cache = cache_of(sub);
	bool young = false;

	spin_lock(&cache->lock);
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct cache_entry *entry = &cache->entry[i];

		if (!gfn_in_range(entry->gfn, range))
			continue;
		young |= entry->young;
		entry->young &= !clear;
	}
	spin_unlock(&cache->lock);
	return young;
}

static bool cache_holds(struct subscription *sub, struct gfn gfn, struct held_page *out)
{
	struct guest_cache *cache = cache_of(sub);
	const struct cache_entry *entry = entry_of(cache, gfn);
	bool holds;

	spin_lock(&cache->lock);
	holds = entry->valid && entry->gfn.raw == gfn.raw;
	*out = (struct held_page){
		.mfn = entry->mfn,
		.rights = entry->writable ? PT_READ | PT_WRITE : PT_READ,
	};
	spin_unlock(&cache->lock);
	return holds;
}

static void cache_audit(struct subscription *sub, struct audit *audit)
{
	struct guest_cache *cache = cache_of(sub);

	spin_lock(&cache->lock);
	for (unsigned i = 0; i < ENTRIES; i++) {
		const struct cache_entry *entry = &cache->entry[i];

		if (entry->valid)
			audit_translation(audit, entry->gfn, entry->mfn, 1,
					  entry->writable ? PT_READ | PT_WRITE : PT_READ);
	}
	spin_unlock(&cache->lock);
}

static void cache_work(struct subscription *sub, struct subscriber_work *out)
{
	struct guest_cache *cache = cache_of(sub);

	spin_lock(&cache->lock);
	*out = (struct subscriber_work){
		.accesses = cache->counters.hits,
		.misses = cache->counters.misses,
		.retries = cache->counters.retries,
		.waits = cache->counters.waits,
	};
	spin_unlock(&cache->lock);
}

static const struct subscriber_ops cache_ops = {
	.name = "guest_cache",
	.start = cache_start,
	.end = cache_end,
	.young = cache_young,
	.holds = cache_holds,
	.audit = cache_audit,
	.work = cache_work,
};

int guest_cache_create(struct addrspace *as, struct guest_cache **out)
{
	struct guest_cache *cache;
	void *memory;
	int err = pool_alloc(&caches, &memory);

	if (err)
		return err;
	cache = memory;
	cache->as = as;
	spin_init(&cache->lock, LOCK_DEVICE, "guest_cache");
	cache->sub.ops = &cache_ops;
	cache->sub.range.end.raw = GFN_END;
	cache->sub.invalidate_events = EVENTS_ALL & ~BIT(EVENT_SPLIT);
	err = notifier_subscribe(&as->notifier, &cache->sub);
	if (err) {
		pool_free(&caches, cache);
		return err;
	}
	*out = cache;
	return 0;
}

void guest_cache_destroy(struct guest_cache *cache)
{
	CHECK(!notifier_unsubscribe(&cache->as->notifier, &cache->sub));
	for (unsigned i = 0; i < ENTRIES; i++)
		CHECK(!cache->entry[i].users);
	pool_free(&caches, cache);
}

/* On a hit, counts a user. */
static bool get_hit(struct guest_cache *cache, struct gfn gfn, bool write, struct mfn *mfn)
{
	struct cache_entry *entry = entry_of(cache, gfn);
	bool hit;

	spin_lock(&cache->lock);
	hit = entry->valid && entry->gfn.raw == gfn.raw && (!write || entry->writable);
	if (hit) {
		cache->counters.hits++;
		entry->users++;
		entry->young = true;
		*mfn = entry->mfn;
	}
	spin_unlock(&cache->lock);
	return hit;
}

/* Caches a primary PTE. */
static int cache_fill(struct guest_cache *cache, struct gfn gfn, ppte_t pte)
{
	struct cache_entry *entry = entry_of(cache, gfn);

	cache->counters.misses++;
	if (ppte_state(pte) == PPTE_MMIO)
		return ERR_RANGE;
	if (entry->users && entry->gfn.raw != gfn.raw)
		return ERR_BUSY;
	entry->gfn = gfn;
	entry->mfn = ppte_mfn(pte);
	entry->writable = ppte_rights(pte) & PT_WRITE;
	entry->valid = true;
	return 0;
}

/* False: the page is being changed by a CPU that passed. */
static bool miss_begin(struct guest_cache *cache, struct gfn gfn)
{
	unsigned cpus = arch_cpu_count();

	ck_pr_inc_32(&cache->misses);
	ck_pr_fence_memory(); /* pairs with pass() */
	RACE_POINT("guest_cache: missed");
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		if (ck_pr_load_64(&cache->passing[cpu]) == gfn.raw + 1)
			return false;
	ck_pr_fence_load();
	RACE_POINT("guest_cache: none passes");
	return true;
}

static void miss_end(struct guest_cache *cache, bool raced)
{
	RACE_POINT("guest_cache: filled");
	ck_pr_dec_32(&cache->misses);
	if (!raced)
		return;
	spin_lock(&cache->lock);
	cache->counters.retries++;
	spin_unlock(&cache->lock);
	arch_cpu_relax();
}

/* Looks the page up in the primary; *raced: with an invalidation. */
static int fill(struct guest_cache *cache, struct gfn gfn, bool write, bool *raced)
{
	u64 word = invalidate_read(&cache->log);
	struct space_page page = {.gfn = gfn};
	int err = space_resolve(cache->as, &page, write ? HV_WRITE : HV_READ, &cache->log, &word);

	RACE_POINT("guest_cache: resolved");
	if (err && err != ERR_BUSY)
		return err;
	spin_lock(&cache->lock);
	*raced = err || invalidate_check(&cache->log, word, gfn) != INVALIDATE_CLEAN;
	err = *raced ? 0 : cache_fill(cache, gfn, page.pte);
	spin_unlock(&cache->lock);
	return err;
}

/* 0 also when the look-up raced with an invalidation: the caller tries again. */
static int miss(struct guest_cache *cache, struct gfn gfn, bool write)
{
	bool raced = !miss_begin(cache, gfn);
	int err = raced ? 0 : fill(cache, gfn, write, &raced);

	miss_end(cache, raced);
	return err;
}

int guest_cache_get(struct guest_cache *cache, struct gpa gpa, size_t len, bool write, void **out)
{
	struct gfn gfn = gpa_to_gfn(gpa);
	struct mfn mfn;
	int err;

	if (!len || len > PAGE_SIZE - page_offset(gpa.raw))
		return ERR_INVALID;
	while (!get_hit(cache, gfn, write, &mfn)) {
		err = miss(cache, gfn, write);
		if (err)
			return err;
	}
	*out = (char *)arch_hpa_to_virt(mfn_to_hpa(mfn)) + page_offset(gpa.raw);
	return 0;
}

void guest_cache_put(struct guest_cache *cache, struct gpa gpa)
{
	struct cache_entry *entry = entry_of(cache, gpa_to_gfn(gpa));

	spin_lock(&cache->lock);
	CHECK(entry->users && entry->gfn.raw == gpa_to_gfn(gpa).raw);
	entry->users--;
	spin_unlock(&cache->lock);
}

void guest_cache_counters(struct guest_cache *cache, struct guest_cache_counters *out)
{
	spin_lock(&cache->lock);
	*out = cache->counters;
	spin_unlock(&cache->lock);
}
