/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rmap.c: users of a frame. rmap.h has the picture and the invariants.
 */
#include <mm/rmap.h>
#include <lib/error.h>
#include <lib/lock.h>
#include <lib/log.h>
#include <mm/frame.h>
#include "mm/rmap/key_set.h"

#define INLINE	   1ull
#define COUNTED	   2ull /* owner: the users are counted in `link`, not listed */
#define LOCKS	   16
#define BATCH	   16
#define KEY(s, g)  ((u64)(s) << GFN_BITS | (g).raw)
#define KEY_GFN(k) ((struct gfn){(k)&BITS(GFN_BITS - 1, 0)})

/* Statically initialized, because there is no moment before the first frame to do it at. */
#define LOCK_ONE  SPINLOCK_INIT(LOCK_RMAP, "rmap")
#define LOCK_FOUR LOCK_ONE, LOCK_ONE, LOCK_ONE, LOCK_ONE
static struct spinlock locks[LOCKS] = {LOCK_FOUR, LOCK_FOUR, LOCK_FOUR, LOCK_FOUR};

static struct spinlock *lock_of(struct mfn mfn)
{
	return &locks[mfn.raw % LOCKS];
}

/*
 * Three users or more: `link` has the least key, `owner` the set of the others, with a bit that
 * COUNTED and inline keys lack.
 */
#define CHAINED (1ull << 63)

static bool is_chained(const struct frame *frame)
{
	return frame->owner & CHAINED;
}

static struct key_set set_of(const struct frame *frame)
{
	return (struct key_set){frame->owner & ~CHAINED};
}

/* Adds a key; the least stays outside the set. ERR_NO_MEMORY: nothing changed. */
static int chain_insert(struct frame *frame, u64 key)
{
	struct key_set set = set_of(frame);
	u64 least = frame->link >> 1;
	int err = key_set_add(&set, MAX(key, least));

	if (err)
		return err;
	frame->owner = set.word | CHAINED;
	frame->link = MIN(key, least) << 1 | INLINE;
	return 0;
}

/* The third user comes: the two inline ones and it become a chain. */
static int make_chain(struct frame *frame, u64 key)
{
	const u64 owner = frame->owner, link = frame->link;
	int err;

	frame->owner = CHAINED;
	err = chain_insert(frame, owner >> 1);
	if (!err)
		err = chain_insert(frame, key);
	if (err) {
		struct key_set set = set_of(frame);

		key_set_clear(&set);
		frame->owner = owner;
		frame->link = link;
	}
	return err;
}

u64 rmap_bytes(void)
{
	return key_sets_bytes();
}

void rmap_count_only(struct mfn mfn)
{
	frame_record(mfn)->owner = COUNTED;
}

bool rmap_is_count_only(struct mfn mfn)
{
	return frame_record(mfn)->owner == COUNTED;
}

int rmap_add(struct mfn mfn, u16 space, struct gfn gfn)
{
	struct frame *frame = frame_record(mfn);
	u64 key = KEY(space, gfn);
	int err = 0;

	spin_lock(lock_of(mfn));
	if (frame->owner == COUNTED)
		frame->link++;
	else if (is_chained(frame))
		err = chain_insert(frame, key);
	else if (!frame->owner)
		frame->owner = key << 1 | INLINE;
	else if (!frame->link)
		frame->link = key << 1 | INLINE;
	else
		err = make_chain(frame, key);
	spin_unlock(lock_of(mfn));
	return err;
}

/* Two users are left: back into the record. */
static void unmake_chain(struct frame *frame)
{
	struct key_set set = set_of(frame);
	u64 key = key_set_least(&set);

	key_set_clear(&set);
	frame->owner = key << 1 | INLINE;
}

static __noinline void remove_chained(struct frame *frame, u64 key)
{
	struct key_set set = set_of(frame);

	if (frame->link == (key << 1 | INLINE)) {
		key = key_set_least(&set);
		frame->link = key << 1 | INLINE;
	}
	key_set_remove(&set, key);
	frame->owner = set.word | CHAINED;
	if (key_set_count(&set) == 1)
		unmake_chain(frame);
}

static void remove_inline(struct frame *frame, u64 key)
{
	u64 word = key << 1 | INLINE;

	CHECK(frame->owner == word || frame->link == word);
	if (frame->owner == word)
		frame->owner = frame->link;
	frame->link = 0;
}

/* On the way of a fault; no frame here holds a buffer. */
__no_stack_protector void rmap_remove(struct mfn mfn, u16 space, struct gfn gfn)
{
	struct frame *frame = frame_of(mfn);

	spin_lock(lock_of(mfn));
	if (frame->owner == COUNTED)
		frame->link--;
	else if (is_chained(frame))
		remove_chained(frame, KEY(space, gfn));
	else
		remove_inline(frame, KEY(space, gfn));
	spin_unlock(lock_of(mfn));
}

static u64 count_users(const struct frame *frame)
{
	struct key_set set = set_of(frame);

	if (frame->owner == COUNTED)
		return frame->link;
	if (is_chained(frame))
		return 1 + key_set_count(&set);
	return 0ull + !!frame->owner + !!frame->link;
}

u64 rmap_count(struct mfn mfn)
{
	u64 count;

	spin_lock(lock_of(mfn));
	count = count_users(frame_record(mfn));
	spin_unlock(lock_of(mfn));
	return count;
}

static struct rmap_entry entry_of(u64 key)
{
	return (struct rmap_entry){.space = key >> GFN_BITS, .gfn = KEY_GFN(key)};
}

static unsigned list_chain(const struct frame *frame, u64 least, struct rmap_entry *out,
			   unsigned max)
{
	struct key_set set = set_of(frame);
	unsigned count = 0, got = BATCH;
	u64 keys[BATCH];

	if (frame->link >> 1 >= least && max)
		out[count++] = entry_of(frame->link >> 1);
	while (count < max && got == BATCH) {
		got = key_set_list(&set, least, keys, MIN(max - count, BATCH));
		for (unsigned i = 0; i < got; i++)
			out[count++] = entry_of(keys[i]);
		least = got ? keys[got - 1] + 1 : least;
	}
	return count;
}

/* The one or two inline users, in order. */
static unsigned list_inline(const struct frame *frame, u64 least, struct rmap_entry *out,
			    unsigned max)
{
	u64 low = frame->owner, high = frame->link;
	unsigned count = 0;

	if (high && high < low) {
		low = frame->link;
		high = frame->owner;
	}
	if (low && low >> 1 >= least && count < max)
		out[count++] = entry_of(low >> 1);
	if (high && high >> 1 >= least && count < max)
		out[count++] = entry_of(high >> 1);
	return count;
}

unsigned rmap_list(struct mfn mfn, const struct rmap_entry *from, struct rmap_entry *out,
		   unsigned max)
{
	struct frame *frame = frame_record(mfn);
	u64 least = from ? KEY(from->space, from->gfn) + 1 : 0;
	unsigned count;

	spin_lock(lock_of(mfn));
	if (frame->owner == COUNTED)
		count = 0;
	else if (is_chained(frame))
		count = list_chain(frame, least, out, max);
	else
		count = list_inline(frame, least, out, max);
	spin_unlock(lock_of(mfn));
	return count;
}
