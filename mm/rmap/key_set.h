/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_set.h: a set of keys in one word: the users of a frame that has many (rmap.c).
 *
 *     0                      empty
 *     array                  up to KEY_ARRAY_MAX keys, sorted
 *     tree --> block, block  arrays, each below the next; of two neighbours that together fit well
 *                            into one array, one takes the other over
 *
 * Why: a node of a balanced tree takes 40 bytes for a key of 8. An array that has room for at most
 * a quarter more than it holds takes 8 to 10, and a set of 10^5 keys still loses one by a search
 * among some thousand blocks and a shift inside one.
 *
 * A key is any number but 0. The caller locks.
 */
#ifndef SAMEPAGE_MM_RMAP_KEY_SET_H
#define SAMEPAGE_MM_RMAP_KEY_SET_H

#include <lib/types.h>

#define KEY_ARRAY_MAX 127u

/* The two highest bits of a word are 0. */
struct key_set {
	u64 word;
};

/* The key is not there. ERR_NO_MEMORY: nothing changed. */
int key_set_add(struct key_set *set, u64 key) __must_check;

/* The key is there. Needs no memory; gives some back. */
void key_set_remove(struct key_set *set, u64 key);
void key_set_clear(struct key_set *set);

u64 key_set_count(const struct key_set *set);
/* The set is not empty. */
u64 key_set_least(const struct key_set *set);
/* Keys from `least` on, in order, at most `max`; returns how many. */
unsigned key_set_list(const struct key_set *set, u64 least, u64 *out, unsigned max);

/* Memory of all sets. Any context. */
u64 key_sets_bytes(void);

#endif
