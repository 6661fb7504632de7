/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols.h: the function an address of the image is in.
 */
#ifndef SAMEPAGE_ASM_SYMBOLS_H
#define SAMEPAGE_ASM_SYMBOLS_H

#include <lib/types.h>

/* The name of the function, and *offset into it; NULL outside the image's text. Any context. */
const char *symbol_find(u64 address, u64 *offset);

#endif
