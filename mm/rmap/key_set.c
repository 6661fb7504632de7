/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_set.c: sets of keys as sorted arrays. key_set.h has the picture.
 *
 *     word of an array   | 0 0 | machine address / 8 | class | count | 1 |
 *                        63    61                   13      8       1   0
 *     word of a tree     its machine address, a multiple of 8
 *
 * The class says how many keys the array has room for. An addition without room moves the array to
 * the next class; a removal moves it to a smaller one as soon as that is large enough, or keeps it
 * if there is no memory.
 */
#include "mm/rmap/key_set.h"
#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <lib/tree.h>
#include "mm/frame/pool.h"

#define ARRAY	    1ull
#define COUNT_SHIFT 1
#define CLASS_SHIFT 8
#define PLACE_SHIFT 13
#define MERGE_MAX   (KEY_ARRAY_MAX * 3 / 4) /* of two neighbours: room is left after that */

/* Chosen so that a page of a pool is full, and a class at most a quarter larger than the last. */
#define CLASSES(X) \
	X(1)       \
	X(2)       \
	X(3)       \
	X(4)       \
	X(5)       \
	X(6)       \
	X(7)       \
	X(8)       \
	X(9)       \
	X(10)      \
	X(12)      \
	X(14)      \
	X(16)      \
	X(18)      \
	X(20)      \
	X(24)      \
	X(28)      \
	X(31)      \
	X(36)      \
	X(42)      \
	X(50)      \
	X(56)      \
	X(63)      \
	X(72)      \
	X(84)      \
	X(101)     \
	X(127)
#define POOL_OF(room) POOL_INITIALIZER((room) * sizeof(u64), "keys"),
#define ROOM_OF(room) room,
static struct pool arrays[] = {CLASSES(POOL_OF)};
static const u8 rooms[] = {CLASSES(ROOM_OF)};
_Static_assert(ARRAY_SIZE(rooms) <= 32, "a class is five bits of a word");

struct key_block {
	RB_ENTRY(key_block) entry;
	struct key_set keys; /* an array, not empty */
};

/* At least two blocks. */
struct key_tree {
	RB_HEAD(key_blocks, key_block)
	blocks;
	u64 count;
};

static struct pool blocks = POOL_INITIALIZER(sizeof(struct key_block), "key blocks");
static struct pool trees = POOL_INITIALIZER(sizeof(struct key_tree), "key trees");

/* --- Arrays -------------------------------------------------------------------------------- */

static bool is_tree(const struct key_set *set)
{
	return set->word && !(set->word & ARRAY);
}

static unsigned array_count(const struct key_set *set)
{
	return set->word >> COUNT_SHIFT & 127;
}

static unsigned array_class(const struct key_set *set)
{
	return set->word >> CLASS_SHIFT & 31;
}

static u64 *array_keys(const struct key_set *set)
{
	return arch_hpa_to_virt((struct hpa){set->word >> PLACE_SHIFT << 3});
}

static u64 array_word(const u64 *keys, unsigned class, unsigned count)
{
	return arch_virt_to_hpa(keys).raw >> 3 << PLACE_SHIFT | (u64) class << CLASS_SHIFT |
	       (u64)count << COUNT_SHIFT | ARRAY;
}

/* The smallest class with room for so many. */
static unsigned class_for(unsigned count)
{
	unsigned class = 0;

	while (rooms[class] < count)
		class ++;
	return class;
}

static int array_alloc(unsigned class, u64 **keys)
{
	void *memory;
	int err = pool_alloc(&arrays[class], &memory);

	if (!err)
		*keys = memory;
	return err;
}

static void array_free(const struct key_set *set)
{
	if (set->word)
		pool_free(&arrays[array_class(set)], array_keys(set));
}

/* The place of the first key that is not below `key`. */
static unsigned array_place(const struct key_set *set, u64 key)
{
	const u64 *keys = array_keys(set);
	unsigned low = 0, high = array_count(set);

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (keys[middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Moves the array to another class, with room for its keys. ERR_NO_MEMORY: it stays. */
static int array_move(struct key_set *set, unsigned class)
{
	unsigned count = array_count(set);
	u64 *keys;
	int err = array_alloc(class, &keys);

	if (err)
		return err;
	memcpy(keys, array_keys(set), count * sizeof(*keys));
	array_free(set);
	set->word = array_word(keys, class, count);
	return 0;
}

/* There is room in some class. */
static int array_add(struct key_set *set, u64 key)
{
	unsigned count = array_count(set), place;
	u64 *keys;
	int err = 0;

	if (!set->word) {
		err = array_alloc(0, &keys);
		if (!err)
			set->word = array_word(keys, 0, 0);
	} else if (count == rooms[array_class(set)]) {
		err = array_move(set, array_class(set) + 1);
	}
	if (err)
		return err;
	keys = array_keys(set);
	place = array_place(set, key);
	memmove(&keys[place + 1], &keys[place], (count - place) * sizeof(*keys));
	keys[place] = key;
	set->word += 1ull << COUNT_SHIFT;
	return 0;
}

static void array_shrink(struct key_set *set)
{
	unsigned class = class_for(array_count(set));

	if (class < array_class(set))
		(void)!array_move(set, class); /* without memory it stays large */
}

static void array_remove(struct key_set *set, u64 key)
{
	unsigned count = array_count(set), place = set->word ? array_place(set, key) : 0;
	u64 *keys;

	CHECK(place < count && array_keys(set)[place] == key);
	keys = array_keys(set);
	memmove(&keys[place], &keys[place + 1], (count - place - 1) * sizeof(*keys));
	set->word -= 1ull << COUNT_SHIFT;
	if (count > 1) {
		array_shrink(set);
		return;
	}
	array_free(set);
	set->word = 0;
}

/* --- Trees --------------------------------------------------------------------------------- */

static u64 block_least(const struct key_block *block)
{
	return array_keys(&block->keys)[0];
}

static int block_compare(const struct key_block *a, const struct key_block *b)
{
	return block_least(a) < block_least(b) ? -1 : 1;
}

RB_GENERATE_STATIC(key_blocks, key_block, entry, block_compare)

static struct key_tree *tree_of(const struct key_set *set)
{
	return arch_hpa_to_virt((struct hpa){set->word});
}

/* The block that the key is in, or would be. */
static struct key_block *tree_find(const struct key_tree *tree, u64 key)
{
	struct key_block *block = RB_ROOT(&tree->blocks), *found = NULL;

	while (block) {
		if (block_least(block) <= key) {
			found = block;
			block = RB_RIGHT(block, entry);
		} else {
			block = RB_LEFT(block, entry);
		}
	}
	return found ? found : RB_MIN(key_blocks, (struct key_blocks *)&tree->blocks);
}

/* A block with the upper keys of a full array, from `from` on, or with `key` alone. */
static int new_block(const struct key_set *full, unsigned from, u64 key, struct key_block **out)
{
	unsigned count = from < KEY_ARRAY_MAX ? KEY_ARRAY_MAX - from : 1;
	const u64 *source = from < KEY_ARRAY_MAX ? &array_keys(full)[from] : &key;
	unsigned class = class_for(count);
	void *memory;
	u64 *keys;
	int err = pool_alloc(&blocks, &memory);

	if (err)
		return err;
	err = array_alloc(class, &keys);
	if (err) {
		pool_free(&blocks, memory);
		return err;
	}
	memcpy(keys, source, count * sizeof(*keys));
	*out = memory;
	(*out)->keys.word = array_word(keys, class, count);
	return 0;
}

/*
 * A full array gives its upper half to a block of its own, so that the key has room in one of the
 * two. Keys that come in order leave full arrays behind: a key above all others begins a new one.
 */
static int block_split(struct key_set *full, bool last, u64 key, struct key_block **out)
{
	bool above = last && key > array_keys(full)[KEY_ARRAY_MAX - 1];
	unsigned from = above ? KEY_ARRAY_MAX : KEY_ARRAY_MAX / 2;
	int err = new_block(full, from, key, out);

	if (err)
		return err;
	full->word -= (u64)(KEY_ARRAY_MAX - from) << COUNT_SHIFT;
	if (!above) /* both have room */
		CHECK(!array_add(key < block_least(*out) ? full : &(*out)->keys, key));
	array_shrink(full);
	return 0;
}

static int tree_add(struct key_tree *tree, u64 key)
{
	struct key_block *block = tree_find(tree, key), *upper = NULL;
	bool last = !RB_NEXT(key_blocks, , block);
	int err;

	if (array_count(&block->keys) < KEY_ARRAY_MAX)
		err = array_add(&block->keys, key);
	else
		err = block_split(&block->keys, last, key, &upper);
	if (upper)
		RB_INSERT(key_blocks, &tree->blocks, upper);
	if (!err)
		tree->count++;
	return err;
}

static void tree_delete(struct key_tree *tree, struct key_block *block)
{
	RB_REMOVE(key_blocks, &tree->blocks, block);
	pool_free(&blocks, block);
}

/* Moves the keys of `upper` behind those of `block`, if they fit well and there is memory. */
static void block_take_over(struct key_tree *tree, struct key_block *block, struct key_block *upper)
{
	unsigned mine = array_count(&block->keys), its = array_count(&upper->keys);

	if (mine + its > MERGE_MAX)
		return;
	if (rooms[array_class(&block->keys)] < mine + its &&
	    array_move(&block->keys, class_for(mine + its)))
		return;
	memcpy(&array_keys(&block->keys)[mine], array_keys(&upper->keys), its * sizeof(u64));
	block->keys.word += (u64)its << COUNT_SHIFT;
	array_free(&upper->keys);
	tree_delete(tree, upper);
}

static void block_join(struct key_tree *tree, struct key_block *block)
{
	struct key_block *next = RB_NEXT(key_blocks, , block);
	struct key_block *previous = RB_PREV(key_blocks, , block);

	if (next)
		block_take_over(tree, block, next);
	if (previous)
		block_take_over(tree, previous, block);
}

static void tree_remove(struct key_tree *tree, u64 key)
{
	struct key_block *block = tree_find(tree, key);

	if (array_count(&block->keys) == 1) {
		CHECK(block_least(block) == key);
		array_free(&block->keys);
		tree_delete(tree, block);
	} else {
		array_remove(&block->keys, key);
		block_join(tree, block);
	}
	tree->count--;
}

/* One block is left: its array is the set. */
static void tree_end(struct key_set *set)
{
	struct key_tree *tree = tree_of(set);
	struct key_block *block = RB_ROOT(&tree->blocks);

	if (RB_LEFT(block, entry) || RB_RIGHT(block, entry))
		return;
	*set = block->keys;
	pool_free(&blocks, block);
	pool_free(&trees, tree);
}

/* A full array becomes the lower of two blocks. */
static int tree_begin(struct key_set *set, u64 key)
{
	struct key_block *lower, *upper;
	struct key_tree *tree;
	void *memory, *block;
	int err = pool_alloc(&trees, &memory);

	if (err)
		return err;
	err = pool_alloc(&blocks, &block);
	if (!err) {
		err = block_split(set, true, key, &upper);
		if (err)
			pool_free(&blocks, block);
	}
	if (err) {
		pool_free(&trees, memory);
		return err;
	}
	tree = memory;
	lower = block;
	lower->keys = *set;
	RB_INIT(&tree->blocks);
	RB_INSERT(key_blocks, &tree->blocks, lower);
	RB_INSERT(key_blocks, &tree->blocks, upper);
	tree->count = KEY_ARRAY_MAX + 1;
	set->word = arch_virt_to_hpa(tree).raw;
	return 0;
}

/* --- Sets ---------------------------------------------------------------------------------- */

int key_set_add(struct key_set *set, u64 key)
{
	if (is_tree(set))
		return tree_add(tree_of(set), key);
	if (array_count(set) < KEY_ARRAY_MAX)
		return array_add(set, key);
	return tree_begin(set, key);
}

void key_set_remove(struct key_set *set, u64 key)
{
	if (!is_tree(set)) {
		array_remove(set, key);
		return;
	}
	tree_remove(tree_of(set), key);
	tree_end(set);
}

void key_set_clear(struct key_set *set)
{
	while (set->word)
		key_set_remove(set, key_set_least(set));
}

u64 key_set_count(const struct key_set *set)
{
	return is_tree(set) ? tree_of(set)->count : array_count(set);
}

u64 key_set_least(const struct key_set *set)
{
	if (is_tree(set))
		return block_least(RB_MIN(key_blocks, &tree_of(set)->blocks));
	return array_keys(set)[0];
}

static unsigned array_list(const struct key_set *set, u64 least, u64 *out, unsigned max)
{
	unsigned count = 0, place = array_place(set, least);

	while (count < max && place < array_count(set))
		out[count++] = array_keys(set)[place++];
	return count;
}

unsigned key_set_list(const struct key_set *set, u64 least, u64 *out, unsigned max)
{
	struct key_block *block;
	unsigned count = 0;

	if (!set->word)
		return 0;
	if (!is_tree(set))
		return array_list(set, least, out, max);
	for (block = tree_find(tree_of(set), least); block && count < max;
	     block = RB_NEXT(key_blocks, , block))
		count += array_list(&block->keys, least, &out[count], max - count);
	return count;
}

u64 key_sets_bytes(void)
{
	u64 bytes =
		ck_pr_load_64(&blocks.live) * blocks.size + ck_pr_load_64(&trees.live) * trees.size;

	for (unsigned class = 0; class < ARRAY_SIZE(arrays); class ++)
		bytes += ck_pr_load_64(&arrays[class].live) * arrays[class].size;
	return bytes;
}
