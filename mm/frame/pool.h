/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: small objects of one size, carved out of frames, and whole pages for the hypervisor's own
 * use.
 */
#ifndef SAMEPAGE_MM_FRAME_POOL_H
#define SAMEPAGE_MM_FRAME_POOL_H

#include <lib/lock.h>
#include <lib/types.h>

struct pool_page;

/*
 * partial	[p] pages with at least one free object
 * live		[p] objects allocated
 * (p: lock)
 */
struct pool {
	struct spinlock lock;
	size_t size; /* [I] of one object; a multiple of 8 */
	struct pool_page *partial;
	u64 live;
};

#define POOL_INITIALIZER(object_size, pool_name)             \
	{                                                    \
		.lock = SPINLOCK_INIT(LOCK_POOL, pool_name), \
		.size = ALIGN_UP(object_size, sizeof(u64)),  \
	}

/*
 * One object, zeroed. ERR_NO_MEMORY: *out is unchanged. Takes LOCK_POOL, then LOCK_FRAME. Any
 * context but NMI.
 */
int pool_alloc(struct pool *pool, void **out) __must_check;
/* NULL: nothing. A page without objects returns to the frame allocator. */
void pool_free(struct pool *pool, void *object);

/* 2^order pages of FRAME_HYPERVISOR memory, zeroed. ERR_NO_MEMORY: *out is unchanged. */
int page_alloc(unsigned order, void **out) __must_check;
void page_free(void *page, unsigned order);

#endif
