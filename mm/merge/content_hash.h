/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_hash.h: the keyed hash of a page's content.
 */
#ifndef SAMEPAGE_MM_MERGE_CONTENT_HASH_H
#define SAMEPAGE_MM_MERGE_CONTENT_HASH_H

#include <lib/types.h>

/* Draws the secret key, at the first call. Under merge_regions_lock. */
void content_hash_init(void);

/*
 * 64 bits of PAGE_SIZE bytes at a page-aligned address. `next`: a page that is prefetched
 * meanwhile, a line for each line that is read; NULL: none is. Any context, after the first domain.
 */
u64 page_content_hash(const void *page, const void *next);

#endif
