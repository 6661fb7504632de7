/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_hash.h: the hash of a page's content: xxHash's XXH64, scalar, inlined from Debian's
 * libxxhash-dev.
 */
#ifndef SAMEPAGE_MM_MERGE_CONTENT_HASH_H
#define SAMEPAGE_MM_MERGE_CONTENT_HASH_H

#include <lib/types.h>

/* 64 bits of PAGE_SIZE bytes at a page-aligned address. Pure; any context. */
u64 page_content_hash(const void *page);

#endif
