/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: the content of reclaimed pages, compressed, each under a token that fits into a primary
 * PTE.
 *
 *     token 0      a page of zeroes: nothing is kept
 *     else         where its object is, in units of 32 bytes
 *
 * Why a reserve: a page is reclaimed because there are no frames left, and keeping it may take one.
 * So the store holds one free object of each size back; taking it makes a frame free, and that
 * refills the reserve (STORE-2).
 *
 * Invariants:
 * STORE-1  What store_get() gives is what store_put() was given, until store_drop().
 * STORE-2  After store_reserve() has succeeded, as long as each store_put() that takes a page is
 *          followed by a freed frame and store_reserve(), store_put() does not run out of memory.
 *
 * Locking: LOCK_STORE.
 */
#ifndef SAMEPAGE_MM_STORE_STORE_H
#define SAMEPAGE_MM_STORE_STORE_H

#include <lib/types.h>

/* Keeps the content of a page. ERR_UNSUPPORTED: it would not shrink to half; ERR_NO_MEMORY. */
int store_put(const void *page, u64 *token) __must_check;
/* The content again; it stays kept. */
void store_get(u64 token, void *page);
void store_drop(u64 token);
/* store_get(), then store_drop(): the page comes back. */
void store_take(u64 token, void *page);

/* Fills the reserve. ERR_NO_MEMORY: it has what there was. */
int store_reserve(void);
/* Gives the reserve back. */
void store_unreserve(void);

/*
 * Pages kept, those of zeroes not counted, and the bytes they occupy; pages taken back since the
 * start, those of zeroes included.
 */
struct store_stats {
	u64 pages, bytes, taken;
};
void store_stats(struct store_stats *out);

#endif
