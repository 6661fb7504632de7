/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compress.h: a page in fewer bytes, and back.
 *
 * Why one of our own: what a machine's memory is full of, zeroes, small numbers, pointers into the
 * same few places, repeats word by word. A dictionary of recent words catches that in one pass,
 * with no table to build and no allocation.
 */
#ifndef SAMEPAGE_MM_STORE_COMPRESS_H
#define SAMEPAGE_MM_STORE_COMPRESS_H

#include <lib/types.h>

/*
 * Writes the page's content to out[0, room); returns how many bytes, or 0 when it does not fit. A
 * page that changes meanwhile gives some content, and never writes outside `room`.
 */
size_t page_compress(const u64 *page, u8 *out, size_t room);

/* Back again. `in` is what page_compress() wrote. */
void page_decompress(const u8 *in, u64 *page);

#endif
