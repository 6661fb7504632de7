/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c: allocation and release of frames; single ones go through a per-CPU cache.
 *
 *     frame_alloc(0) <--- cache of this CPU <=== FRAME_BATCH at a time, locked ===> buddy lists
 *     frame_alloc(n) <------------------------------------------------------------- buddy lists
 *
 * Why caches: faults on every CPU allocate and free single frames at the same time, and a cached
 * frame needs no lock. Only its own CPU accesses a cache, with interrupts off.
 *
 * Invariants:
 *   FRAME-1  a frame is in exactly one place: a free list, one cache, the reserve, or in use; only
 *            in use is its kind not FRAME_FREE
 *   FRAME-2  what frame_alloc() returns overlaps nothing in use, has refcount 1, owner and link 0
 *   FRAME-3  total = free + hypervisor + table + guest, whenever no CPU is inside the allocator
 *   FRAME-4  a failed frame_alloc() changes nothing that a caller can see
 *   FRAME-5  a CPU that finds no block drains its own cache before it returns ERR_NO_MEMORY; other
 *            CPUs' caches, at most FRAME_CACHE frames each, are not reachable
 *   FRAME-6  freeing what is not in use, or is still shared, panics
 *
 * Locking: LOCK_FRAME around the buddy lists and the reserve. Refcounts are atomic.
 */
#include "mm/frame/internal.h"
#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/log.h>

#define FRAME_CACHE 64
#define FRAME_BATCH 32

/*
 * struct frame_cache: one CPU's frames. Written by its CPU only; other CPUs read `count` and `used`
 * for statistics.
 *
 * floor	with no more frames than this an allocation takes the slow path: 0, or all ones while
 * 		failure injection (fail.c) is on
 * reserve	its CPU may take frames of the reserve
 * used		by kind: frames this CPU allocated minus frames it freed. Only the sum over all CPUs
 * 		is meaningful
 */
struct frame_cache {
	u32 count, floor;
	bool reserve;
	u64 mfns[FRAME_CACHE];
	u64 used[FRAME_KINDS];
} __aligned(64);

static struct frame_cache caches[CONFIG_MAX_CPUS];
static u64 frames_total; /* [I] after frame_init */

/* [f]; count is read without for statistics. */
static struct {
	u32 count;
	u64 mfns[FRAME_RESERVE];
} reserve;

void frame_caches_init(u64 total)
{
	for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++)
		caches[cpu] = (struct frame_cache){.count = 0};
	reserve.count = 0;
	frames_total = total;
}

/*
 * Takes whole blocks, the smallest first, so that fragments are used up before a large block is
 * split, and one split yields many frames. Pushed in descending order: allocations ascend.
 */
static __attribute__((__noinline__)) void cache_refill(struct frame_cache *cache)
{
	spin_lock(&frame_buddy.lock);
	while (cache->count < FRAME_BATCH && (frame_buddy.free > 0 || section_open())) {
		unsigned room = FRAME_BATCH - cache->count;
		unsigned order = MIN(buddy_smallest(), 31u - (unsigned)__builtin_clz(room));
		u64 mfn = buddy_take(order);

		for (u64 i = 1ull << order; i > 0; i--)
			cache->mfns[cache->count++] = mfn + i - 1;
	}
	spin_unlock(&frame_buddy.lock);
}

void frame_caches_set_floor(u32 floor)
{
	for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++)
		ck_pr_store_32(&caches[cpu].floor, floor);
}

static __cold void reserve_take(struct frame_cache *cache)
{
	spin_lock(&frame_buddy.lock);
	if (reserve.count)
		cache->mfns[cache->count++] = reserve.mfns[--reserve.count];
	spin_unlock(&frame_buddy.lock);
}

/* From this CPU's cache too: frames that were just freed are there. */
static void reserve_add(struct frame_cache *cache)
{
	spin_lock(&frame_buddy.lock);
	while (reserve.count < FRAME_RESERVE) {
		u64 mfn = frame_buddy.free || section_open() ? buddy_take(0) : FRAME_NONE;

		if (mfn == FRAME_NONE && !cache->count)
			break;
		reserve.mfns[reserve.count++] =
			mfn != FRAME_NONE ? mfn : cache->mfns[--cache->count];
	}
	spin_unlock(&frame_buddy.lock);
}

void frame_reserve_fill(void)
{
	if (ck_pr_load_32(&reserve.count) < FRAME_RESERVE)
		reserve_add(&caches[arch_cpu_id()]);
}

void frame_reserve_use(bool use)
{
	caches[arch_cpu_id()].reserve = use;
}

/* False: out of memory, or the injected failure. */
static __attribute__((__noinline__)) bool cache_has_frame(struct frame_cache *cache)
{
	if (cache->floor && frame_fail_now())
		return false;
	if (cache->count == 0)
		cache_refill(cache);
	if (cache->count == 0 && cache->reserve)
		reserve_take(cache);
	return cache->count > 0;
}

static __attribute__((__noinline__)) void cache_drain(struct frame_cache *cache, u32 keep)
{
	spin_lock(&frame_buddy.lock);
	while (cache->count > keep)
		buddy_put(cache->mfns[--cache->count], 0);
	spin_unlock(&frame_buddy.lock);
}

static u64 buddy_take_locked(unsigned order)
{
	u64 mfn;

	spin_lock(&frame_buddy.lock);
	mfn = buddy_take(order);
	spin_unlock(&frame_buddy.lock);
	return mfn;
}

static u64 block_take(struct frame_cache *cache, unsigned order)
{
	u64 mfn = buddy_take_locked(order);

	if (mfn == FRAME_NONE && cache->count > 0) {
		cache_drain(cache, 0);
		mfn = buddy_take_locked(order);
	}
	return mfn;
}

static inline void frame_activate(u64 mfn, enum frame_kind kind, unsigned flags)
{
	struct frame *frame = frame_of((struct mfn){mfn});

	DEBUG_CHECK(frame->kind == FRAME_FREE && !(frame->state & FRAME_IS_HEAD));
	if (IS_ENABLED(CONFIG_FRAME_POISON))
		frame_check_poison(mfn);
	frame->owner = 0;
	frame->link = 0;
	frame->refs = 1;
	frame->kind = (u8)kind;
	if (flags & FRAME_ZERO)
		arch_page_zero(arch_hpa_to_virt(mfn_to_hpa((struct mfn){mfn})));
}

static int block_alloc(struct frame_cache *cache, unsigned order, enum frame_kind kind,
		       unsigned flags, struct mfn *out)
{
	u64 mfn;

	if (order > FRAME_MAX_ORDER)
		return ERR_INVALID;
	if (unlikely(cache->floor) && frame_fail_now())
		return ERR_NO_MEMORY;
	mfn = block_take(cache, order);
	if (mfn == FRAME_NONE)
		return ERR_NO_MEMORY;
	for (u64 i = 0; i < 1ull << order; i++)
		frame_activate(mfn + i, kind, flags);
	cache->used[kind] += 1ull << order;
	out->raw = mfn;
	return 0;
}

static inline void cache_take(struct frame_cache *cache, enum frame_kind kind, unsigned flags,
			      struct mfn *out)
{
	u64 mfn = cache->mfns[--cache->count];

	out->raw = mfn;
	cache->used[kind]++;
	frame_activate(mfn, kind, flags);
}

static __noinline int alloc_slowly(struct frame_cache *cache, unsigned order, enum frame_kind kind,
				   unsigned flags, struct mfn *out)
{
	if (order > 0)
		return block_alloc(cache, order, kind, flags, out);
	if (!cache_has_frame(cache))
		return ERR_NO_MEMORY;
	cache_take(cache, kind, flags, out);
	return 0;
}

int frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out)
{
	struct frame_cache *cache = &caches[arch_cpu_id()];

	CHECK(kind > FRAME_FREE && kind < FRAME_IMAGE);
	if (unlikely(order > 0) || unlikely(cache->count <= cache->floor))
		return alloc_slowly(cache, order, kind, flags, out);
	cache_take(cache, kind, flags, out);
	return 0;
}

int frame_alloc_guest(struct mfn *out)
{
	struct frame_cache *cache = &caches[arch_cpu_id()];

	if (unlikely(cache->count <= cache->floor))
		return alloc_slowly(cache, 0, FRAME_GUEST, 0, out);
	cache_take(cache, FRAME_GUEST, 0, out);
	return 0;
}

static void __cold __noreturn frame_misused(u64 mfn, const struct frame *frame,
					    enum frame_kind kind)
{
	panic("frame 0x%lx cannot be freed: kind %d among %d, %u references", mfn,
	      frame ? frame->kind : -1, kind, frame ? frame->refs : 0);
}

static inline void frame_retire(u64 mfn, enum frame_kind kind)
{
	struct frame *frame = frame_record((struct mfn){mfn});

	if (unlikely(!frame || frame->kind != kind || frame->refs > 1))
		frame_misused(mfn, frame, kind);
	frame->kind = FRAME_FREE;
	frame->refs = 0;
	if (IS_ENABLED(CONFIG_FRAME_POISON))
		frame_poison(mfn);
}

static void block_free(struct frame_cache *cache, struct mfn mfn, unsigned order,
		       enum frame_kind kind)
{
	CHECK(order <= FRAME_MAX_ORDER && IS_ALIGNED(mfn.raw, 1ull << order));
	for (u64 i = 0; i < 1ull << order; i++)
		frame_retire(mfn.raw + i, kind);
	cache->used[kind] -= 1ull << order;
	spin_lock(&frame_buddy.lock);
	buddy_put(mfn.raw, order);
	spin_unlock(&frame_buddy.lock);
}

void frame_free(struct mfn mfn, unsigned order)
{
	struct frame_cache *cache = &caches[arch_cpu_id()];
	enum frame_kind kind = frame_kind(mfn);

	if (unlikely(kind <= FRAME_FREE))
		panic("frame 0x%lx is not in use and cannot be freed", mfn.raw);
	if (unlikely(order > 0)) {
		block_free(cache, mfn, order, kind);
		return;
	}
	frame_retire(mfn.raw, kind);
	cache->used[kind]--;
	if (unlikely(cache->count == FRAME_CACHE))
		cache_drain(cache, FRAME_CACHE - FRAME_BATCH);
	cache->mfns[cache->count++] = mfn.raw;
}

u32 frame_refs(struct mfn mfn)
{
	return ck_pr_load_32(&frame_record(mfn)->refs);
}

enum frame_kind frame_kind(struct mfn mfn)
{
	const struct frame *frame = frame_record(mfn);

	if (frame)
		return ck_pr_load_8(&frame->kind);
	return section_has_free(mfn.raw) ? FRAME_FREE : FRAME_RESERVED;
}

static u64 used_of_kind(enum frame_kind kind)
{
	u64 sum = 0;

	for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++)
		sum += ck_pr_load_64(&caches[cpu].used[kind]);
	return sum;
}

static int largest_order(void)
{
	int order = FRAME_MAX_ORDER;

	while (order >= 0 && ck_pr_load_64(&frame_buddy.heads[order]) == FRAME_NONE)
		order--;
	return MAX(order, section_largest_order());
}

bool frame_has_block(unsigned order)
{
	for (unsigned i = FRAME_MAX_ORDER + 1; i > order; i--)
		if (ck_pr_load_64(&frame_buddy.heads[i - 1]) != FRAME_NONE)
			return true;
	return section_largest_order() >= (int)order;
}

void frame_stats(struct frame_stats *out)
{
	*out = (struct frame_stats){
		.total = frames_total,
		.hypervisor = used_of_kind(FRAME_HYPERVISOR),
		.table = used_of_kind(FRAME_TABLE),
		.guest = used_of_kind(FRAME_GUEST),
		.largest = largest_order(),
	};
	out->free = out->total - out->hypervisor - out->table - out->guest;
	for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++)
		out->cached += ck_pr_load_32(&caches[cpu].count);
	out->cached += ck_pr_load_32(&reserve.count);
}
