/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_hash.c: the keyed hash of a page's content.
 *
 *     NH:    sum = (word 0 + key 0) * (word 1 + key 1) + (word 2 + key 2) * ...     mod 2^128
 *     fold:  the high 64 bits of  sum.low * fold 0 + sum.high * fold 1 + fold 2     mod 2^128
 *
 * Why a key: with a known hash a guest makes contents that collide with another VM's, and the
 * index, which gives up among too many of them, no longer finds that VM's pages. NH (Black, Halevi,
 * Krawczyk, Krovetz, Rogaway: UMAC, CRYPTO '99) with words of 64 bits is universal: two contents
 * that were chosen without the key have the same sum with a probability of 2^-64 at most. The fold,
 * a vector multiply-shift (Dietzfelbinger), makes any 24 bits of the hash nearly as good as random.
 *
 * HASH-3  The key is random and never leaves this file.
 */
#include "mm/merge/content_hash.h"
#include <arch/addr.h>
#include <arch/random.h>

#define WORDS (PAGE_SIZE / sizeof(u64))

typedef unsigned __int128 u128;

/* [I] once there is a domain. */
static struct {
	u64 word[WORDS];
	u128 fold[3];
} key;

void content_hash_init(void)
{
	if (key.word[0])
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(key.fold); i++)
		key.fold[i] = (u128)arch_random() << 64 | arch_random();
	for (unsigned i = WORDS; i > 0; i--)
		key.word[i - 1] = arch_random();
}

static __always_inline u128 product(const u64 *word, unsigned i)
{
	return (u128)(word[i] + key.word[i]) * (word[i + 1] + key.word[i + 1]);
}

u64 page_content_hash(const void *page, const void *next)
{
	const u64 *word = page, *ahead = next ? next : page;
	u128 a = 0, b = 0, c = 0, d = 0, sum;

	for (unsigned i = 0; i < WORDS; i += 8) {
		__builtin_prefetch(&ahead[i]);
		a += product(word, i);
		b += product(word, i + 2);
		c += product(word, i + 4);
		d += product(word, i + 6);
	}
	sum = a + b + c + d;
	return (u64)(((u64)sum * key.fold[0] + (u64)(sum >> 64) * key.fold[1] + key.fold[2]) >> 64);
}
