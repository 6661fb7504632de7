/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cow.c: sharing and copy-on-write. cow.h has the steps, docs/mm/cow.md the races.
 *
 * Why a break copies before it notifies: the content of a shared page cannot change (COW-2). So the
 * copy needs no lock. It needs no reference either: the frame may be freed and used anew meanwhile,
 * but only when the page has left it, and then the copy is freed unused (COW-6).
 */
#include <mm/cow.h>
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <lib/race.h>
#include <trace/trace.h>
#include "mm/space/update.h"

/*
 * The frame of zeroes: one for each address space, so that the time to get it does not depend on
 * other VMs.
 */
static int zero_frame(struct addrspace *as, struct mfn *out)
{
	struct mfn mfn;
	int err;

	out->raw = ck_pr_load_64(&as->zero_mfn);
	if (out->raw)
		return 0;
	err = frame_alloc(0, FRAME_GUEST, FRAME_ZERO, &mfn);
	if (err)
		return err;
	if (!ck_pr_cas_64(&as->zero_mfn, 0, mfn.raw))
		frame_free(mfn, 0);
	out->raw = ck_pr_load_64(&as->zero_mfn);
	return 0;
}

static struct gfn_range only(struct gfn gfn)
{
	return gfn_range(gfn, 1);
}

static void protect_one(struct update *update, struct gfn gfn, ppte_t *slot)
{
	if (IS_ENABLED(CONFIG_BREAK_MERGE_WRITE_PROTECT))
		primary_store(&update->as->primary, gfn, slot, *slot | PPTE_WP);
	else
		update_set(update, gfn, slot, *slot | PPTE_WP);
}

static void protect_all(struct update *update, struct gfn_range range)
{
	struct addrspace *as = update->as;
	struct gfn gfn = range.start;
	ppte_t *slot;

	for (; (slot = primary_next(&as->primary, &gfn, range.end)); gfn.raw++)
		if (cow_protectable(*slot) && !(*slot & PPTE_WP))
			protect_one(update, gfn, slot);
}

/* From before the first PTE has WP until every subscriber has taken over the last (COW-5). */
static void protecting_begin(struct addrspace *as, struct gfn_range range)
{
	struct gfn_range *mine = &as->protecting[arch_cpu_id()];

	ck_pr_store_64(&mine->start.raw, range.start.raw);
	ck_pr_fence_store(); /* pairs with the loads of is_being_protected() */
	ck_pr_store_64(&mine->end.raw, range.end.raw);
	ck_pr_fence_store();
}

static void protecting_end(struct addrspace *as)
{
	ck_pr_fence_release();
	ck_pr_store_64(&as->protecting[arch_cpu_id()].end.raw, 0);
}

/*
 * A PTE that has WP was stored after the range of the call that set it, so the loads here see that
 * range, or that of a later call of the same CPU: then the first has returned. This holds for start
 * and end each by itself, so it does no harm if they are of two calls.
 */
static bool is_being_protected(const struct addrspace *as, struct gfn gfn)
{
	unsigned cpus = arch_cpu_count();

	ck_pr_fence_load();
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		u64 end = ck_pr_load_64(&as->protecting[cpu].end.raw);

		ck_pr_fence_load();
		if (gfn.raw < end && ck_pr_load_64(&as->protecting[cpu].start.raw) <= gfn.raw)
			return true;
	}
	return false;
}

int cow_protect(struct addrspace *as, struct gfn_range range)
{
	struct update update;
	enum notify_event event;
	int err = space_check(as, range);

	if (err)
		return err;
	event = gfn_range_frames(range) == 1 ? EVENT_PROTECT_PAGE : EVENT_PROTECT_RANGE;
	err = update_begin(&update, as, event, range, 0);
	if (err)
		return err;
	protecting_begin(as, range);
	protect_all(&update, range);
	update_end(&update);
	protecting_end(as);
	return 0;
}

int cow_look(struct addrspace *as, struct gfn gfn, struct cow_look *out)
{
	ppte_t pte = gfn_valid(gfn) ? primary_load(&as->primary, gfn) : 0;

	if (!cow_protectable(pte) || !(pte & PPTE_WP) || is_being_protected(as, gfn))
		return ERR_BUSY;
	*out = (struct cow_look){ppte_mfn(pte), pte};
	return 0;
}

/* protect_one() of the only page of an update, and the update's end. */
static __always_inline void protect_only(struct update *update, struct gfn gfn, ppte_t *slot)
{
	if (IS_ENABLED(CONFIG_BREAK_MERGE_WRITE_PROTECT)) {
		protect_one(update, gfn, slot);
		update_end(update);
	} else {
		update_one_end_same(update, gfn, slot, *slot | PPTE_WP);
	}
}

int cow_protect_look(struct addrspace *as, struct gfn gfn, struct cow_look *out)
{
	ppte_t *slot = gfn_valid(gfn) ? primary_find(&as->primary, gfn) : NULL;
	struct update update;
	ppte_t lowered = 0;
	int err;

	if (!slot)
		return ERR_BUSY;
	err = update_one_begin(&update, as, EVENT_PROTECT_PAGE, gfn);
	if (err)
		return err;
	protecting_begin(as, only(gfn));
	if (cow_protectable(*slot) && !(*slot & PPTE_WP))
		lowered = *slot | PPTE_WP;
	if (likely(lowered))
		protect_only(&update, gfn, slot);
	else
		update_end(&update);
	protecting_end(as);
	if (!lowered) /* another CPU's, perhaps not taken over everywhere yet, or none */
		return cow_look(as, gfn, out);
	*out = (struct cow_look){ppte_mfn(lowered), lowered};
	return 0;
}

/* The PTE, if it is still what was looked at, else NULL. LOCK_MMU. */
static ppte_t *find_unchanged(struct addrspace *as, struct gfn gfn, const struct cow_look *look)
{
	ppte_t *slot = gfn_valid(gfn) ? primary_find(&as->primary, gfn) : NULL;

	return slot && ppte_unchanged(*slot, look->pte) ? slot : NULL;
}

/* A page that shares `mfn`: the right to write after a break stays, and what was written. */
static ppte_t shared_pte(ppte_t was, enum ppte_state state, struct mfn mfn)
{
	return ppte_make(state, mfn,
			 was & (PPTE_WRITE | PPTE_SOFT_DIRTY | PPTE_YOUNG | PPTE_GENERATION));
}

int cow_offer(struct addrspace *as, struct gfn gfn, const struct cow_look *look)
{
	ppte_t *slot;
	int err = ERR_BUSY;

	spin_lock(&as->lock);
	slot = find_unchanged(as, gfn, look);
	if (slot) {
		frame_get(look->mfn);
		primary_store(&as->primary, gfn, slot, shared_pte(*slot, PPTE_SHARED, look->mfn));
		err = 0;
	}
	spin_unlock(&as->lock);
	return err;
}

/*
 * Under the lock, inside the update: the page is still as the caller saw it, so it can take the new
 * frame.
 */
static int replace_protected(struct update *update, struct gfn gfn, const struct cow_look *look,
			     enum ppte_state state, struct mfn mfn)
{
	struct addrspace *as = update->as;
	ppte_t *slot = find_unchanged(as, gfn, look);
	int err = 0;

	if (!slot)
		return ERR_BUSY;
	if (state == PPTE_SHARED)
		err = rmap_add(mfn, as->id, gfn);
	if (err)
		return err;
	if (state == PPTE_SHARED && !IS_ENABLED(CONFIG_BREAK_REFCOUNT))
		frame_get(mfn);
	rmap_remove(look->mfn, as->id, gfn);
	update_set(update, gfn, slot, shared_pte(*slot, state, mfn));
	return 0;
}

static int share(struct addrspace *as, struct gfn gfn, const struct cow_look *look,
		 enum ppte_state state, struct mfn mfn)
{
	struct update update;
	int err = update_one_begin(&update, as, EVENT_MERGE, gfn);

	if (err)
		return err;
	err = replace_protected(&update, gfn, look, state, mfn);
	update_one_end_merge(&update);
	TRACE(cow_share, as->id, .gfn = gfn.raw, .old = look->mfn.raw, .mfn = mfn.raw,
	      .zero = state == PPTE_ZERO, .error = (s8)err);
	return err;
}

int cow_share(struct addrspace *as, struct gfn gfn, const struct cow_look *look, struct mfn shared)
{
	return share(as, gfn, look, PPTE_SHARED, shared);
}

int cow_share_zero(struct addrspace *as, struct gfn gfn, const struct cow_look *look)
{
	struct mfn zero;
	int err = zero_frame(as, &zero);

	return err ? err : share(as, gfn, look, PPTE_ZERO, zero);
}

static void *frame_virt(struct mfn mfn)
{
	return arch_hpa_to_virt(mfn_to_hpa(mfn));
}

static __always_inline int copy_of(ppte_t pte, struct mfn *fresh)
{
	int err;

	if (ppte_state(pte) == PPTE_ZERO)
		return frame_alloc(0, FRAME_GUEST, FRAME_ZERO, fresh);
	err = frame_alloc_guest(fresh);
	if (!err)
		arch_page_copy(frame_virt(*fresh), frame_virt(ppte_mfn(pte)));
	return err;
}

int space_copy(ppte_t pte, struct mfn *fresh)
{
	return copy_of(pte, fresh);
}

/* The users of the frames, as the PTE will be; returns that. */
static __always_inline ppte_t swap_users(struct addrspace *as, struct gfn gfn, ppte_t pte,
					 struct mfn fresh)
{
	const u64 flags = (pte & PPTE_WRITE) | PPTE_SOFT_DIRTY | PPTE_YOUNG;

	rmap_first(fresh, as->id, gfn);
	if (ppte_state(pte) == PPTE_SHARED)
		rmap_remove(ppte_mfn(pte), as->id, gfn);
	return ppte_make(PPTE_PRIVATE, fresh, ppte_next_generation(pte) | flags);
}

void space_swap_copy(struct update *update, struct gfn gfn, ppte_t *slot, ppte_t pte,
		     struct mfn fresh)
{
	update_set(update, gfn, slot, swap_users(update->as, gfn, pte, fresh));
}

/*
 * A shared page, as a break looked at it.
 *
 * updates	how many the address space had begun before
 */
struct shared_look {
	ppte_t pte;
	u64 updates;
};

/*
 * Has the page shared this frame all the while? It leaves a frame in its next generation. Between
 * two updates of the address space at most two generations of a page end: the update's own, and one
 * step that needs none (RESOLVE-1). So few updates are less than a round of PPTE_GENERATION.
 */
static bool still_shared(const struct addrspace *as, const ppte_t *slot,
			 const struct shared_look *look)
{
	return ppte_unchanged(*slot, look->pte) && as->updates - look->updates < UPDATES_SEEN;
}

/* Swaps the shared frame for `fresh`, which is freed if the page has changed, or at an error. */
static __always_inline int install_copy(struct addrspace *as, const struct space_page *page,
					const struct shared_look *look, struct mfn fresh)
{
	struct notification note;
	struct gfn gfn = page->gfn;
	int err = update_swap_begin(&note, as, EVENT_COW_BREAK, gfn);
	bool used = !err && still_shared(as, page->slot, look);

	if (likely(used))
		update_swap_end(&note, as, page->slot, swap_users(as, gfn, look->pte, fresh));
	else if (!err)
		update_swap_unlock(&note, as);
	if (!err)
		TRACE(cow_break, as->id, .gfn = gfn.raw, .old = ppte_mfn(look->pte).raw,
		      .mfn = fresh.raw, .zero = ppte_state(look->pte) == PPTE_ZERO, .used = used);
	if (unlikely(!used))
		frame_free(fresh, 0);
	return err;
}

int space_break(struct addrspace *as, const struct space_page *page)
{
	struct shared_look look = {.updates = ck_pr_load_64(&as->updates)};
	struct mfn fresh;
	int err;

	ck_pr_fence_load();
	look.pte = ck_pr_load_64(page->slot);
	if (!ppte_shared(look.pte))
		return 0;
	RACE_POINT("cow: looked");
	err = copy_of(look.pte, &fresh);
	if (err)
		return err;
	ck_pr_fence_load(); /* what is copied was loaded before the page is looked at again */
	RACE_POINT("cow: copied");
	return install_copy(as, page, &look, fresh);
}

int cow_break(struct addrspace *as, struct gfn gfn)
{
	struct space_page page = {.gfn = gfn};

	if (gfn_valid(gfn))
		page.slot = primary_find(&as->primary, gfn);
	if (!page.slot || !ppte_shared(*page.slot))
		return 0;
	return *page.slot & PPTE_WRITE ? space_break(as, &page) : ERR_PERMISSION;
}
