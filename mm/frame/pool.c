/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c: small objects of one size, carved out of frames.
 *
 * A page starts with its header; the objects follow. Freed objects are chained through their first
 * word; what lies behind `carved` was never allocated, so that a page costs its header at first:
 *
 *     | next, previous, free, used, carved | object | freed | object | freed | never allocated |
 *                         |            |             ^     |           ^    |  ^
 *                         |            +-------------|-----|-----------|----|--+
 *                         +--------------------------+     +-----------+    +--> NULL
 *
 * A page is on its pool's list while it has a free object. The address of an object gives its page,
 * so nothing is stored for each object.
 */
#include "mm/frame/pool.h"
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>

struct pool_page {
	struct pool_page *next, *previous;
	void *free;
	u32 used;
	u32 carved; /* offset in the page */
};

int page_alloc(unsigned order, void **out)
{
	struct mfn mfn;
	int err = frame_alloc(order, FRAME_HYPERVISOR, FRAME_ZERO, &mfn);

	if (!err)
		*out = arch_hpa_to_virt(mfn_to_hpa(mfn));
	return err;
}

void page_free(void *page, unsigned order)
{
	frame_free(hpa_to_mfn(arch_virt_to_hpa(page)), order);
}

static void pool_list_add(struct pool *pool, struct pool_page *page)
{
	page->previous = NULL;
	page->next = pool->partial;
	if (page->next)
		page->next->previous = page;
	pool->partial = page;
}

static void pool_list_remove(struct pool *pool, struct pool_page *page)
{
	if (page->previous)
		page->previous->next = page->next;
	else
		pool->partial = page->next;
	if (page->next)
		page->next->previous = page->previous;
}

static int pool_add_page(struct pool *pool)
{
	struct pool_page *page;
	struct mfn mfn;
	int err = frame_alloc(0, FRAME_HYPERVISOR, 0, &mfn);

	if (err)
		return err;
	page = arch_hpa_to_virt(mfn_to_hpa(mfn));
	*page = (struct pool_page){.carved = sizeof(*page)};
	pool_list_add(pool, page);
	return 0;
}

static bool pool_page_is_full(const struct pool *pool, const struct pool_page *page)
{
	return !page->free && page->carved + pool->size > PAGE_SIZE;
}

static void *pool_take(struct pool *pool)
{
	struct pool_page *page = pool->partial;
	void *object = page->free;

	if (object) {
		page->free = *(void **)object;
	} else {
		object = (char *)page + page->carved;
		page->carved += (u32)pool->size;
	}
	page->used++;
	if (pool_page_is_full(pool, page))
		pool_list_remove(pool, page);
	pool->live++;
	return object;
}

int pool_alloc(struct pool *pool, void **out)
{
	int err = 0;

	spin_lock(&pool->lock);
	if (!pool->partial)
		err = pool_add_page(pool);
	if (!err)
		*out = pool_take(pool);
	spin_unlock(&pool->lock);
	if (!err)
		memset(*out, 0, pool->size);
	return err;
}

void pool_free(struct pool *pool, void *object)
{
	struct pool_page *page = (void *)ALIGN_DOWN((uintptr_t)object, PAGE_SIZE);

	if (!object)
		return;
	spin_lock(&pool->lock);
	if (pool_page_is_full(pool, page))
		pool_list_add(pool, page);
	*(void **)object = page->free;
	page->free = object;
	pool->live--;
	page->used--;
	if (page->used)
		page = NULL;
	else
		pool_list_remove(pool, page);
	spin_unlock(&pool->lock);
	if (page)
		page_free(page, 0);
}
