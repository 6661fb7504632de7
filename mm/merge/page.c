/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.c: what happens to one page when the scanner comes to it.
 *
 *      first look, or written since            second look: the same as last time
 *      ----------------------------            ----------------------------------
 *      read, hash                              read only if written since
 *      zero? -> frame of zeroes                content is shared already? -> share that frame
 *      content is shared already? -> share     a page waits with the same? -> share its frame: it becomes stable
 *      else remember the hash                  else: wait in the index
 *
 * Why two looks: a page that changes between two passes would be merged only to be broken; the hash
 * of the first look tells. A page that nobody wrote keeps its hash without being read again: the
 * dirty bit says so.
 *
 *     visitor                                  guest
 *     -------                                  -----
 *     guard: write-protect, flush
 *     look: frame, and a count of lifted guards
 *                                              write: fault lifts the guard
 *     compare (may see the write, or half of it)
 *     share: the count has moved -> ERR_BUSY
 */
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include "mm/merge/content_hash.h"
#include "mm/merge/private.h"
#include <lib/race.h>

const void *merge_content(struct mfn mfn)
{
	return arch_hpa_to_virt(mfn_to_hpa(mfn));
}

bool merge_hold(struct addrspace *as, struct gfn gfn, struct mfn *out)
{
	ppte_t pte;

	spin_lock(&as->lock);
	pte = primary_load(&as->primary, gfn);
	if (cow_protectable(pte)) {
		*out = ppte_mfn(pte);
		frame_get(*out);
	}
	spin_unlock(&as->lock);
	return cow_protectable(pte);
}

void merge_release(struct mfn mfn)
{
	if (frame_put(mfn))
		frame_free(mfn, 0);
}

int merge_waiting_compare(const struct merge_domain *domain, const struct merge_key *key,
			  u32 number)
{
	struct gfn gfn;
	struct merge_area *area = merge_area_of(domain, number, &gfn);
	struct mfn mfn;
	int order;

	merge_count(compares, 1);
	if (!merge_hold(area->as, gfn, &mfn))
		return 1;
	order = memcmp(key->content, merge_content(mfn), PAGE_SIZE);
	merge_release(mfn);
	return order;
}

u32 page_change(struct merge_page *page, u32 mask, u32 bits)
{
	u32 word = page_word(page);

	while (!ck_pr_cas_32_value(&page->word, word, (word & ~mask) | bits, &word))
		;
	return word;
}

/* Is it enough to look again when somebody has written? */
static bool settled(enum merge_reason reason)
{
	const u32 these = BIT(MERGE_ABSENT) | BIT(MERGE_UNIQUE) | BIT(MERGE_SHARED) |
			  BIT(MERGE_ZERO) | BIT(MERGE_EXCLUDED) | BIT(MERGE_LARGE);

	return these & BIT(reason);
}

/* A counter of pages that are something: one more, one less, or, as mostly, neither. */
static void adjust(u32 *counter, bool is, bool was)
{
	if (is != was)
		ck_pr_add_32(counter, (u32)is - (u32)was);
}

/* What follows from one page's change of reason. */
static void account(struct merge_area *area, struct gfn gfn, enum merge_reason old,
		    enum merge_reason reason)
{
	struct merge_chunk *chunk = &area->chunk[merge_chunk_of(area, gfn)];

	ck_pr_dec_64(&area->by_reason[old]);
	ck_pr_inc_64(&area->by_reason[reason]);
	adjust(&chunk->unsettled, !settled(reason), !settled(old));
	adjust(&chunk->partners, reason == MERGE_LARGE, old == MERGE_LARGE);
	adjust(&chunk->excluded, reason == MERGE_EXCLUDED, old == MERGE_EXCLUDED);
}

bool merge_change_reason(struct merge_area *area, struct gfn gfn, u32 from,
			 enum merge_reason reason, u32 mask, u32 bits)
{
	struct merge_page *page = merge_note(area, gfn);
	u32 word = page_word(page);

	do {
		if (!(from & BIT(word & PAGE_REASON)))
			return false;
	} while (!ck_pr_cas_32_value(&page->word, word,
				     (word & ~(mask | PAGE_REASON)) | bits | reason, &word));
	if ((word & PAGE_REASON) != reason)
		account(area, gfn, (enum merge_reason)(word & PAGE_REASON), reason);
	return true;
}

void merge_set_reason(struct merge_area *area, struct gfn gfn, enum merge_reason reason)
{
	(void)merge_change_reason(area, gfn, ~(u32)BIT(MERGE_EXCLUDED), reason, 0, 0);
}

void merge_forget_waiting(struct merge_area *area, struct gfn gfn)
{
	struct merge_domain *domain = area->domain;
	struct merge_page *page = merge_note(area, gfn);

	if (!(page_word(page) & PAGE_INDEXED))
		return;
	spin_lock(&domain->lock);
	if (page_change(page, PAGE_INDEXED, 0) & PAGE_INDEXED)
		domain->engine->waiting_remove(domain, merge_number(area, gfn));
	spin_unlock(&domain->lock);
}

static bool equal(struct mfn a, struct mfn b)
{
	merge_count(compares, 1);
	return IS_ENABLED(CONFIG_BREAK_MERGE_COMPARE) ||
	       memcmp(merge_content(a), merge_content(b), PAGE_SIZE) == 0;
}

static int lost_race(void)
{
	merge_count(lost_races, 1);
	return ERR_BUSY;
}

/* Backs gfn by `shared`, of which the caller holds a reference, if it still reads the same. */
static int share_with(struct merge_area *area, struct gfn gfn, struct mfn shared)
{
	struct cow_look look;
	int err = cow_protect_look(area->as, gfn, &look);

	if (err)
		return err;
	RACE_POINT("merge: guarded");
	if (!equal(look.mfn, shared))
		return lost_race();
	RACE_POINT("merge: compared");
	err = cow_share(area->as, gfn, &look, shared);
	if (err == 0)
		merge_count(merged, 1);
	return err == ERR_BUSY ? lost_race() : err;
}

enum merge_reason merge_reason_of(int err, enum merge_reason success)
{
	if (err == 0)
		return success;
	return err == ERR_NO_MEMORY ? MERGE_NO_MEMORY : MERGE_BUSY;
}

static void share_and_release(struct merge_area *area, struct gfn gfn, struct mfn shared)
{
	int err = share_with(area, gfn, shared);

	merge_release(shared);
	merge_set_reason(area, gfn, merge_reason_of(err, MERGE_SHARED));
}

/* A frame of this content is shared already. False: there is none. */
static bool try_stable(struct merge_area *area, struct gfn gfn, const struct merge_key *key)
{
	struct merge_domain *domain = area->domain;
	struct mfn shared;
	bool found;

	if (!ck_pr_load_ptr(&domain->heads)) /* the first pass over all of a VM */
		return false;
	spin_lock(&domain->lock);
	found = stable_take(domain, key, &shared);
	spin_unlock(&domain->lock);
	if (!found)
		return false;
	share_and_release(area, gfn, shared);
	return true;
}

static bool is_secure(const struct merge_area *area)
{
	return area->domain->limits.secure && !IS_ENABLED(CONFIG_BREAK_MERGE_SECURE);
}

bool merge_is_zero(const void *content)
{
	const u64 *word = content;

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++) {
		if (word[i])
			return false;
	}
	return true;
}

static bool try_zero(struct merge_area *area, struct gfn gfn, const struct merge_key *key)
{
	const struct merge_limits *limits = &area->domain->limits;
	struct cow_look look;
	int err;

	if (!limits->zero || is_secure(area) || !merge_is_zero(key->content))
		return false;
	err = cow_protect_look(area->as, gfn, &look);
	if (err == 0)
		err = merge_is_zero(merge_content(look.mfn)) ? cow_share_zero(area->as, gfn, &look)
							     : lost_race();
	if (err == 0)
		merge_count(zeroed, 1);
	merge_set_reason(area, gfn, merge_reason_of(err, MERGE_ZERO));
	return true;
}

/*
 * Makes a guarded page's own frame one that others may share, with a reference for the caller: its
 * guest may write at any moment and have a copy, and then the frame would be nobody's but the
 * index's.
 */
static int make_stable(struct merge_area *area, struct gfn gfn, const struct cow_look *look,
		       u32 tag)
{
	struct merge_domain *domain = area->domain;
	struct merge_key key = {tag, merge_content(look->mfn)};
	int err = cow_offer(area->as, gfn, look);

	if (err)
		return err == ERR_BUSY ? lost_race() : err;
	RACE_POINT("merge: offered");
	spin_lock(&domain->lock);
	err = stable_new(domain, &key, look->mfn);
	if (!err) {
		frame_get(look->mfn);
		merge_call_waiting(domain, &key);
	}
	spin_unlock(&domain->lock);
	RACE_POINT("merge: stable");
	if (err)
		merge_release(
			look->mfn); /* the page stays a shared one with one sharer: its next write copies */
	return err;
}

/*
 * Two pages that look alike: the one that waited gives its frame. If it cannot, both are looked at
 * again.
 */
static void share_with_twin(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
			    const struct merge_hit *twin)
{
	struct cow_look look;
	int err = cow_protect_look(twin->area->as, twin->gfn, &look);

	if (err == 0)
		err = make_stable(twin->area, twin->gfn, &look, key->tag);
	merge_set_reason(twin->area, twin->gfn, merge_reason_of(err, MERGE_SHARED));
	if (err) {
		merge_set_reason(area, gfn, MERGE_WAITING);
		return;
	}
	share_and_release(area, gfn, look.mfn);
}

/* The same as when it was last looked at: with whom can it be shared? */
static void share_or_wait(struct merge_area *area, struct gfn gfn, const struct merge_key *key)
{
	struct merge_hit hit;

	switch (merge_search(area, gfn, key, &hit)) {
	case MERGE_FOUND_SHARED:
		share_and_release(area, gfn, hit.shared);
		break;
	case MERGE_FOUND_TWIN:
		RACE_POINT("merge: twin taken");
		share_with_twin(area, gfn, key, &hit);
		break;
	case MERGE_FOUND_NOBODY:
		break;
	}
}

/*
 * --- Secure mode: what happens to a page does not depend on whether anybody has the same
 * -------------------------------
 */

/*
 * A frame of this content in the index, with a reference for the caller. Its users are counted, not
 * listed, so that a break does the same work for one user and for many.
 */
static int new_secure_frame(struct merge_domain *domain, const void *content, struct mfn *out)
{
	struct merge_key key;
	struct mfn shared;
	bool found;
	int err = frame_alloc(0, FRAME_GUEST, 0, out);

	if (err)
		return err;
	arch_page_copy(arch_hpa_to_virt(mfn_to_hpa(*out)), content);
	rmap_count_only(*out);
	key.content = merge_content(*out);
	key.tag = (u32)page_content_hash(key.content) & TAG_MASK;
	frame_get(*out); /* the index's */
	spin_lock(&domain->lock);
	found = stable_take(domain, &key, &shared); /* another CPU was faster, at a twin */
	err = found ? 0 : stable_new(domain, &key, *out);
	spin_unlock(&domain->lock);
	if (found || err) {
		merge_release(*out);
		merge_release(*out);
	}
	if (found)
		*out = shared;
	return err;
}

/*
 * A unique page is merged, too: with a copy of itself. Guard, merge, and a copy at the next write:
 * for the guest, all is as if somebody had had the same. It never keeps its own frame, nor does
 * anybody get it.
 */
static int merge_with_copy(struct merge_area *area, struct gfn gfn)
{
	struct cow_look look;
	struct mfn fresh;
	int err = cow_protect_look(area->as, gfn, &look);

	if (!err)
		err = new_secure_frame(area->domain, merge_content(look.mfn), &fresh);
	if (err)
		return err;
	RACE_POINT("merge: copied");
	err = cow_share(area->as, gfn, &look, fresh);
	merge_release(fresh);
	return err == ERR_BUSY ? lost_race() : err;
}

static void pretend(struct merge_area *area, struct gfn gfn)
{
	merge_set_reason(area, gfn, merge_reason_of(merge_with_copy(area, gfn), MERGE_UNIQUE));
}

void merge_remember(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
		    bool changed)
{
	struct merge_page *page = merge_note(area, gfn);
	unsigned patience = changed ? MIN(page_patience(page) + 1, PAGE_PATIENCE_MAX) : 0;

	(void)merge_change_reason(area, gfn, ~(u32)BIT(MERGE_EXCLUDED),
				  changed ? MERGE_VOLATILE : MERGE_WAITING, ~PAGE_INDEXED,
				  key->tag << PAGE_HASH_SHIFT | patience << PAGE_PATIENCE_SHIFT);
}

/* Has a page been read before? */
static bool was_read(enum merge_reason reason)
{
	const u32 these = BIT(MERGE_WAITING) | BIT(MERGE_VOLATILE) | BIT(MERGE_UNIQUE) |
			  BIT(MERGE_BUSY) | BIT(MERGE_NO_MEMORY) | BIT(MERGE_LARGE);

	return these & BIT(reason);
}

/* Reads it: is it the same as when it was last read? Its guest's word for that is as good. */
static bool read_page(struct merge_area *area, struct gfn gfn, struct merge_key *key, bool *seen)
{
	struct merge_page *page = merge_note(area, gfn);
	enum merge_reason reason = page_reason(page);

	merge_count(pages_read, 1);
	key->tag = (u32)page_content_hash(key->content) & TAG_MASK;
	*seen = was_read(reason);
	if (reason == MERGE_HINTED)
		(void)page_change(page, ~0u << PAGE_HASH_SHIFT, key->tag << PAGE_HASH_SHIFT);
	return reason == MERGE_HINTED || (*seen && page_hash(page) == key->tag);
}

static void consider(struct merge_area *area, struct gfn gfn, struct mfn mfn, bool dirty)
{
	const struct merge_page *page = merge_note(area, gfn);
	struct merge_key key = {page_hash(page), merge_content(mfn)};
	bool unread = !dirty && page_reason(page) == MERGE_WAITING;
	bool seen = true, same = unread || read_page(area, gfn, &key, &seen);

	if (merge_is_large(area, gfn)) {
		merge_large_consider(area, gfn, &key, same, seen);
		return;
	}
	if (!unread && try_zero(area, gfn, &key))
		return;
	if (same && !is_secure(area)) {
		RACE_POINT("merge: read");
		share_or_wait(area, gfn, &key);
		return;
	}
	/*
	 * In secure mode not at once: when a page is merged must not tell that somebody has the
	 * same, either.
	 */
	if ((same || !is_secure(area)) && try_stable(area, gfn, &key))
		return;
	RACE_POINT("merge: read");
	if (same)
		pretend(area, gfn);
	else
		merge_remember(area, gfn, &key, seen);
}

/* A page that is not a candidate: why. */
static enum merge_reason why_not(ppte_t pte)
{
	switch (ppte_state(pte)) {
	case PPTE_SHARED:
		return MERGE_SHARED;
	case PPTE_ZERO:
		return MERGE_ZERO;
	case PPTE_PRIVATE:
		return MERGE_BUSY;
	default:
		return MERGE_ABSENT;
	}
}

bool merge_wants_visit(const struct merge_page *page, bool dirty)
{
	enum merge_reason reason = page_reason(page);

	return reason != MERGE_EXCLUDED && (dirty || !settled(reason) || reason == MERGE_ABSENT);
}

static bool due(const struct merge_page *page)
{
	u64 every = BIT(page_patience(page));

	return page_reason(page) != MERGE_VOLATILE || (merge_passes() & (every - 1)) == 0;
}

void merge_visit(struct merge_area *area, struct gfn gfn, bool dirty)
{
	struct merge_page *page = merge_note(area, gfn);
	enum merge_reason reason = page_reason(page);
	struct mfn mfn;
	ppte_t pte;

	if (!merge_wants_visit(page, dirty) || !due(page))
		return;
	merge_forget_waiting(area, gfn);
	if (merge_hold(area->as, gfn, &mfn)) {
		consider(area, gfn, mfn, dirty);
		merge_release(mfn);
		return;
	}
	pte = primary_load(&area->as->primary, gfn);
	if (!(reason == MERGE_UNIQUE && ppte_state(pte) == PPTE_SHARED)) /* pretend() made it so */
		merge_set_reason(area, gfn, why_not(pte));
}
