/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_hash.c: the one place that instantiates xxHash.
 */
#include "mm/merge/content_hash.h"
#include <arch/addr.h>
#define XXH_INLINE_ALL
#define XXH_FORCE_MEMORY_ACCESS \
	1 /* a load; by default a call of memcpy, which a freestanding compiler does not inline */
#define XXH_NO_STREAM
#include <xxhash.h>

u64 page_content_hash(const void *page)
{
	return XXH64(page, PAGE_SIZE, 0);
}
