/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.c: the visit of one page.
 *
 *      first look, or written since            second look: the same as last time
 *      ----------------------------            ----------------------------------
 *      read, hash                              read only if written since
 *      zero? -> frame of zeroes                stable frame of this content? -> share it
 *      stable frame of this content? -> share  unstable page of this content? -> its frame becomes stable, share it
 *      else keep the tag                       else into the index of unstable pages
 *
 * Why two looks: a page that changes between two passes would be merged only to be broken; the tag
 * of the first look shows it. An unwritten page keeps its tag without being read again: the dirty
 * bit says so.
 *
 *     visitor                                       guest
 *     -------                                       -----
 *     write-protect, flush
 *     look: frame, and the PTE with its generation
 *                                                   write: the fault lifts the protection, next generation
 *     compare (may see the write, or half of it)
 *     share: another generation -> ERR_BUSY
 *
 * A visit reads the page's frame without a reference and without a lock. A frame that is freed or
 * used again meanwhile stays mapped, and what was read is a hint: the comparison that counts is
 * under write protection. A page with another frame by then is read again (check_frame()).
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <lib/race.h>
#include <lib/string.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <trace/trace.h>
#include "mm/merge/content_hash.h"

/* Does the page's frame have the content of another one? */
static bool frames_equal(const struct merge_ref *ref, struct mfn mine, struct mfn other)
{
	bool equal;

	merge_count(compares, 1);
	equal = IS_ENABLED(CONFIG_BREAK_MERGE_COMPARE) ||
		memcmp(merge_content(mine), merge_content(other), PAGE_SIZE) == 0;
	TRACE(merge_compare, ref->region->as->id, .gfn = ref->gfn.raw, .mfn = mine.raw,
	      .other = other.raw, .equal = equal);
	return equal;
}

static int lost_race(const struct merge_ref *ref)
{
	merge_count(lost_races, 1);
	TRACE(merge_lost, ref->region->as->id, .gfn = ref->gfn.raw);
	return ERR_BUSY;
}

/* cow_protect_look() of the page. */
static int protect_look(const struct merge_ref *ref, struct cow_look *look)
{
	int err = cow_protect_look(ref->region->as, ref->gfn, look);

	TRACE(merge_protect, ref->region->as->id, .gfn = ref->gfn.raw,
	      .mfn = err ? 0 : look->mfn.raw, .error = (s8)err);
	return err;
}

/* The page is merged: `mfn` backs it in place of the frame that was looked at. */
static void trace_merge(const struct merge_ref *ref, const struct cow_look *look, struct mfn mfn,
			bool zero)
{
	TRACE(merge, ref->region->as->id, .gfn = ref->gfn.raw, .old = look->mfn.raw, .mfn = mfn.raw,
	      .zero = zero);
}

/* Backs the page by `shared`, of which the caller holds a reference, if it still reads the same. */
static int share_frame(const struct merge_ref *ref, struct mfn shared)
{
	struct addrspace *as = ref->region->as;
	struct cow_look look;
	int err = protect_look(ref, &look);

	if (err)
		return err;
	RACE_POINT("merge: write-protected");
	if (!frames_equal(ref, look.mfn, shared))
		return lost_race(ref);
	RACE_POINT("merge: compared");
	err = cow_share(as, ref->gfn, &look, shared);
	if (!err) {
		merge_count(merged, 1);
		trace_merge(ref, &look, shared, false);
	}
	return err == ERR_BUSY ? lost_race(ref) : err;
}

static enum merge_reason reason_of(int err, enum merge_reason success)
{
	if (!err)
		return success;
	return err == ERR_NO_MEMORY ? MERGE_NO_MEMORY : MERGE_BUSY;
}

static void share_and_release(const struct merge_ref *ref, struct mfn shared)
{
	int err = share_frame(ref, shared);

	merge_release(shared);
	merge_set_reason(ref, reason_of(err, MERGE_SHARED));
}

static bool is_secure(const struct merge_ref *ref)
{
	return ref->region->domain->limits.secure && !IS_ENABLED(CONFIG_BREAK_MERGE_SECURE);
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

static bool try_zero(const struct merge_ref *ref, const struct merge_key *key)
{
	struct addrspace *as = ref->region->as;
	struct cow_look look;
	int err;

	if (!ref->region->domain->limits.zero || is_secure(ref) || !merge_is_zero(key->content))
		return false;
	err = protect_look(ref, &look);
	if (!err)
		err = merge_is_zero(merge_content(look.mfn)) ? cow_share_zero(as, ref->gfn, &look)
							     : lost_race(ref);
	if (!err) {
		merge_count(zeroed, 1);
		trace_merge(ref, &look, (struct mfn){ck_pr_load_64(&as->zero_mfn)}, true);
	}
	merge_set_reason(ref, reason_of(err, MERGE_ZERO));
	return true;
}

/*
 * Makes a write-protected page's own frame a stable one, with a reference for the caller: its guest
 * may write at any moment and have a copy, and then only the index holds the frame.
 */
static int make_stable(const struct merge_ref *ref, const struct cow_look *look, u32 tag)
{
	struct merge_domain *domain = ref->region->domain;
	struct merge_key key = {.tag = tag, .content = merge_content(look->mfn)};
	int err = cow_offer(ref->region->as, ref->gfn, look);

	if (err)
		return err == ERR_BUSY ? lost_race(ref) : err;
	RACE_POINT("merge: offered");
	spin_lock(&domain->lock);
	err = stable_new(domain, &key, look->mfn);
	if (!err)
		frame_get(look->mfn);
	spin_unlock(&domain->lock);
	RACE_POINT("merge: stable");
	if (err)
		merge_release(look->mfn); /* a shared page with one user: its next write copies */
	return err;
}

/* Two pages that look alike: `match` gives its frame. If it cannot, both are visited again. */
static void share_with_match(const struct merge_ref *ref, const struct merge_key *key,
			     const struct merge_ref *match)
{
	struct cow_look look;
	int err = protect_look(match, &look);

	if (!err)
		err = make_stable(match, &look, key->tag);
	merge_set_reason(match, reason_of(err, MERGE_SHARED));
	if (err)
		merge_set_reason(ref, MERGE_CANDIDATE);
	else
		share_and_release(ref, look.mfn);
}

/* The same as at the last visit: shared with what a search finds, or unstable from now on. */
static void share_or_index(const struct merge_ref *ref, const struct merge_key *key)
{
	struct merge_hit hit;

	switch (merge_search(ref, key, &hit)) {
	case MERGE_FOUND_SHARED:
		share_and_release(ref, hit.shared);
		break;
	case MERGE_FOUND_MATCH:
		RACE_POINT("merge: match taken");
		share_with_match(ref, key, &hit.match);
		break;
	case MERGE_FOUND_NONE:
		break;
	}
}

/* --- Secure mode: what happens to a page does not depend on other pages' contents ----------- */

/*
 * A stable frame of this content, with a reference for the caller. Its users are counted, not
 * listed, so that a break does the same work for one user and for many.
 */
static int new_secure_frame(struct merge_domain *domain, const void *content, struct mfn *out)
{
	struct merge_key key = {.sampled = false};
	struct mfn shared;
	bool found;
	int err = frame_alloc(0, FRAME_GUEST, 0, out);

	if (err)
		return err;
	arch_page_copy(arch_hpa_to_virt(mfn_to_hpa(*out)), content);
	rmap_count_only(*out);
	key.content = merge_content(*out);
	key.tag = (u32)page_content_hash(key.content, key.content) & TAG_MASK;
	frame_get(*out); /* the index's */
	spin_lock(&domain->lock);
	found = stable_take(domain, &key, &shared); /* another CPU was faster, at a match */
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
 * A unique page is merged, too, with a copy of itself: write-protect, merge, and a copy at the next
 * write, as for a page that has a match. It never keeps its own frame, and no other page gets it.
 */
static int merge_with_copy(const struct merge_ref *ref)
{
	struct addrspace *as = ref->region->as;
	struct cow_look look;
	struct mfn fresh;
	int err = protect_look(ref, &look);

	if (!err)
		err = new_secure_frame(ref->region->domain, merge_content(look.mfn), &fresh);
	if (err)
		return err;
	RACE_POINT("merge: copied");
	err = cow_share(as, ref->gfn, &look, fresh);
	merge_release(fresh);
	return err == ERR_BUSY ? lost_race(ref) : err;
}

/*
 * The first look shares nothing, either: the time at which a page is merged must not depend on
 * other pages.
 */
static void consider_secure(const struct merge_ref *ref, const struct merge_key *key, bool same,
			    bool seen)
{
	struct mfn shared;

	if (same && merge_search_stable(ref, key, &shared))
		share_and_release(ref, shared);
	else if (same)
		merge_set_reason(ref, reason_of(merge_with_copy(ref), MERGE_UNIQUE));
	else
		merge_remember(ref, key, seen);
}

/* --- A visit ------------------------------------------------------------------------------- */

/* Has a page been read before? */
static bool was_read(enum merge_reason reason)
{
	const u32 these = BIT(MERGE_CANDIDATE) | BIT(MERGE_VOLATILE) | BIT(MERGE_UNIQUE) |
			  BIT(MERGE_BUSY) | BIT(MERGE_NO_MEMORY) | BIT(MERGE_LARGE);

	return these & BIT(reason);
}

/* Hashes it: the same as when it was last read? A hint counts as a first look. */
static bool read_page(const struct merge_next *next, struct merge_key *key, bool *seen)
{
	struct merge_page *page = next->ref.page;
	enum merge_reason reason = page_reason(page);

	merge_count(pages_read, 1);
	key->tag = (u32)page_content_hash(key->content, next->ahead) & TAG_MASK;
	*seen = was_read(reason);
	if (reason == MERGE_HINTED)
		(void)page_change(page, PAGE_HASH, key->tag << PAGE_HASH_SHIFT);
	return reason == MERGE_HINTED || (*seen && page_hash(page) == key->tag);
}

static void consider_page(const struct merge_next *page, struct mfn mfn)
{
	const struct merge_ref *ref = &page->ref;
	struct merge_key key = {.tag = page_hash(ref->page),
				.content = merge_content(mfn),
				.sampled = page_reason(ref->page) != MERGE_BUSY};
	bool unread = !page->dirty && page_reason(ref->page) == MERGE_CANDIDATE;
	bool seen = true, same = unread || read_page(page, &key, &seen);
	struct mfn shared;

	if (merge_is_large(ref)) {
		merge_large_consider(ref, &key, same, seen);
		return;
	}
	if (page->open) {
		merge_remember(ref, &key, seen && !same);
		return;
	}
	if (!unread && try_zero(ref, &key))
		return;
	RACE_POINT("merge: read");
	if (is_secure(ref))
		consider_secure(ref, &key, same, seen);
	else if (same)
		share_or_index(ref, &key);
	else if (merge_search_stable(ref, &key, &shared))
		share_and_release(ref, shared);
	else
		merge_remember(ref, &key, seen);
}

/* Why a page is no candidate. */
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

/*
 * The frame that was read has left the page, for another one or a reclaim, and is perhaps back: the
 * generation says so. The tag may be of what it was used for meanwhile: read again. A page that was
 * merged has no use for its tag.
 */
static void check_frame(const struct merge_ref *ref, ppte_t was, ppte_t now)
{
	const u64 frame = PPTE_STATE | PPTE_MFN | PPTE_GENERATION;

	if (unlikely((was ^ now) & frame) && !ppte_shared(now))
		merge_set_reason(ref, MERGE_BUSY);
}

void merge_visit(const struct merge_next *page)
{
	const struct merge_ref *ref = &page->ref;
	enum merge_reason reason = page_reason(ref->page);
	ppte_t pte;

	if (!merge_wants_visit(page_word(ref->page), page->dirty))
		return;
	unstable_remove(ref);
	pte = merge_load(page->slot);
	if (cow_protectable(pte)) {
		TRACE(merge_look, ref->region->as->id, .gfn = ref->gfn.raw,
		      .mfn = ppte_mfn(pte).raw, .reason = (u8)reason, .dirty = page->dirty);
		consider_page(page, ppte_mfn(pte));
		check_frame(ref, pte, merge_load(page->slot));
	} else if (!(reason == MERGE_UNIQUE && ppte_state(pte) == PPTE_SHARED)) {
		merge_set_reason(ref, why_not(pte)); /* UNIQUE: merge_with_copy() */
	}
}
