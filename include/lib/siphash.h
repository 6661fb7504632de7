/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.h: SipHash-2-4 (Aumasson, Bernstein 2012), a keyed hash: without the key its values
 * cannot be predicted.
 */
#ifndef SAMEPAGE_LIB_SIPHASH_H
#define SAMEPAGE_LIB_SIPHASH_H

#include <lib/types.h>

struct siphash_key {
	u64 word[2];
};

/* The hash of `count` words, as of their bytes in memory order. Any context. */
u64 siphash(const struct siphash_key *key, const u64 *words, unsigned count);

#endif
