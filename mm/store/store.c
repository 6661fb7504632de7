/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c: reclaimed pages in objects of four sizes.
 */
#include "mm/store/store.h"
#include <mm/frame.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/lock.h>
#include <lib/log.h>
#include <lib/string.h>
#include "mm/store/compress.h"
#include "mm/frame/pool.h"

#define CLASSES	    4
#define TOKEN_SHIFT 5 /* objects are at multiples of 32 */
#define KEPT_MAX    (2016 - sizeof(struct kept))

struct kept {
	u16 class;
	u8 data[];
};

/* 2, 4, 8 and 18 of them in a page, behind the pool's header. */
static struct pool pools[CLASSES] = {
	POOL_INITIALIZER(224, "reclaimed pages, 224"),
	POOL_INITIALIZER(480, "reclaimed pages, 480"),
	POOL_INITIALIZER(992, "reclaimed pages, 992"),
	POOL_INITIALIZER(2016, "reclaimed pages, 2016"),
};

/* reserve, buffer, pages, bytes	[s] lock; taken [a] */
static struct {
	struct spinlock lock;
	void *reserve[CLASSES];
	u64 pages, bytes, taken;
	u8 buffer[KEPT_MAX];
} store = {.lock = SPINLOCK_INIT(LOCK_STORE, "store")};

static bool is_zero(const u64 *page)
{
	u64 any = 0;

	for (unsigned i = 0; !any && i < PAGE_SIZE / sizeof(u64); i += 4)
		any = page[i] | page[i + 1] | page[i + 2] | page[i + 3];
	return !any;
}

static unsigned class_of(size_t size)
{
	unsigned class = 0;

	while (pools[class].size < size + sizeof(struct kept))
		class ++;
	return class;
}

static int take_object(unsigned class, struct kept **out)
{
	void *memory;
	int err = pool_alloc(&pools[class], &memory);

	if (err) {
		memory = store.reserve[class];
		store.reserve[class] = NULL;
	}
	*out = memory;
	return memory ? 0 : err;
}

static struct kept *kept_of(u64 token)
{
	return arch_hpa_to_virt((struct hpa){token << TOKEN_SHIFT});
}

/* Compresses into the buffer, then copies to an object of the size it takes. */
static int put_locked(const void *page, u64 *token)
{
	size_t size = page_compress(page, store.buffer, KEPT_MAX);
	unsigned class = class_of(size);
	struct kept *kept;
	int err;

	if (!size)
		return ERR_UNSUPPORTED;
	err = take_object(class, &kept);
	if (err)
		return err;
	kept->class = (u16) class;
	memcpy(kept->data, store.buffer, size);
	store.pages++;
	store.bytes += pools[class].size;
	*token = arch_virt_to_hpa(kept).raw >> TOKEN_SHIFT;
	return 0;
}

int store_put(const void *page, u64 *token)
{
	int err;

	*token = 0;
	if (is_zero(page))
		return 0;
	spin_lock(&store.lock);
	err = put_locked(page, token);
	spin_unlock(&store.lock);
	return err;
}

void store_get(u64 token, void *page)
{
	if (token)
		page_decompress(kept_of(token)->data, page);
	else
		arch_page_zero(page);
}

void store_drop(u64 token)
{
	struct kept *kept = kept_of(token);
	unsigned class;

	if (!token)
		return;
	class = kept->class;
	CHECK(class < CLASSES);
	spin_lock(&store.lock);
	store.pages--;
	store.bytes -= pools[class].size;
	pool_free(&pools[class], kept);
	spin_unlock(&store.lock);
}

int store_reserve(void)
{
	int err = 0;

	spin_lock(&store.lock);
	for (unsigned class = 0; !err && class < CLASSES; class ++)
		if (!store.reserve[class])
			err = pool_alloc(&pools[class], &store.reserve[class]);
	spin_unlock(&store.lock);
	return err;
}

void store_unreserve(void)
{
	spin_lock(&store.lock);
	for (unsigned class = 0; class < CLASSES; class ++) {
		pool_free(&pools[class], store.reserve[class]);
		store.reserve[class] = NULL;
	}
	spin_unlock(&store.lock);
}

void store_take(u64 token, void *page)
{
	store_get(token, page);
	store_drop(token);
	ck_pr_inc_64(&store.taken);
}

void store_stats(struct store_stats *out)
{
	spin_lock(&store.lock);
	*out = (struct store_stats){
		.pages = store.pages, .bytes = store.bytes, .taken = ck_pr_load_64(&store.taken)};
	spin_unlock(&store.lock);
}
