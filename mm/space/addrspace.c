/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addrspace.c: address spaces and their memory slots.
 *
 * Invariants:
 * SPACE-1  Slots never overlap and never wrap; what add_slot refuses changes nothing.
 * SPACE-2  Only a gfn inside a slot is ever backed.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>
#include <trace/trace.h>
#include "mm/frame/pool.h"
#include "mm/space/update.h"

/* Of address spaces created from now on; a policy without a name: Kconfig's. */
static struct notifier_policy default_policy;
static enum retry_mode default_retry =
	IS_ENABLED(CONFIG_FAULT_RETRY_REENTER) ? RETRY_REENTER : RETRY_INPLACE;

static u32 default_fault_access, default_ahead = 1, default_touch = 1;

static struct addrspace *spaces[SPACES]; /* [a] by number; 0 stays empty */

/* What a fault requests beside its own access. */
static u32 fault_access(enum read_mode read)
{
	return read == READ_AS_WRITE ? HV_WRITE : 0;
}

void addrspace_configure(const struct notifier_policy *policy, enum retry_mode retry,
			 enum read_mode read, unsigned ahead, unsigned touch)
{
	default_policy = policy ? *policy : (struct notifier_policy){.name = NULL};
	default_retry = retry;
	default_fault_access = fault_access(read);
	default_ahead = ahead;
	default_touch = touch;
}

/* Puts `as` under a free number. */
static int take_id(struct addrspace *as)
{
	for (unsigned id = 1; id < SPACES; id++)
		if (!ck_pr_load_ptr(&spaces[id]) && ck_pr_cas_ptr(&spaces[id], NULL, as)) {
			as->id = id;
			return 0;
		}
	return ERR_NO_MEMORY;
}

int addrspace_create(const char *name, struct addrspace **out)
{
	struct addrspace *as;
	void *memory;
	int err = page_alloc(page_order(sizeof(struct addrspace)), &memory);

	if (err)
		return err;
	as = memory;
	err = primary_init(&as->primary);
	if (!err) {
		string_copy(as->name, sizeof(as->name), name);
		as->retry = default_retry;
		as->fault_access = default_fault_access;
		addrspace_set_ahead(as, default_ahead);
		addrspace_set_touch(as, default_touch);
		spin_init(&as->lock, LOCK_MMU, "mmu");
		notifier_init(&as->notifier,
			      default_policy.name ? &default_policy : notifier_policy_default(),
			      &as->lock);
		err = take_id(as);
		if (err)
			primary_fini(&as->primary);
		as->notifier.space = as->id;
		trace_name_space(as->id, as->name);
	}
	if (err) {
		page_free(as, page_order(sizeof(struct addrspace)));
		return err;
	}
	*out = as;
	return 0;
}

int addrspace_release(struct addrspace *as)
{
	const struct gfn_range all = gfn_range((struct gfn){0}, GFN_END);
	struct update update;
	int err = update_begin(&update, as, EVENT_RELEASE, all, 0);

	if (err)
		return err;
	as->slot_count = 0;
	update_clear(&update, all, true);
	update_end(&update);
	update_settle(as);
	return 0;
}

void addrspace_destroy(struct addrspace *as)
{
	CHECK(!addrspace_release(as));
	notifier_fini(&as->notifier);
	if (as->zero_mfn)
		frame_free((struct mfn){as->zero_mfn}, 0);
	primary_fini(&as->primary);
	ck_pr_store_ptr(&spaces[as->id], NULL);
	page_free(as, page_order(sizeof(struct addrspace)));
}

const char *addrspace_name(const struct addrspace *as)
{
	return as->name;
}

u16 addrspace_id(const struct addrspace *as)
{
	return as->id;
}

struct addrspace *addrspace_by_id(u16 id)
{
	return id < SPACES ? ck_pr_load_ptr(&spaces[id]) : NULL;
}

struct notifier *addrspace_notifier(struct addrspace *as)
{
	return &as->notifier;
}

int addrspace_set_policy(struct addrspace *as, const struct notifier_policy *policy)
{
	return notifier_set_policy(&as->notifier, policy);
}

struct notifier_policy addrspace_policy(struct addrspace *as)
{
	struct notifier_policy policy;

	spin_lock(&as->notifier.lock);
	policy = as->notifier.policy;
	spin_unlock(&as->notifier.lock);
	return policy;
}

void addrspace_set_retry(struct addrspace *as, enum retry_mode retry)
{
	ck_pr_store_32(&as->retry, retry);
}

enum retry_mode addrspace_retry(const struct addrspace *as)
{
	return ck_pr_load_32(&as->retry);
}

void addrspace_set_read(struct addrspace *as, enum read_mode read)
{
	ck_pr_store_32(&as->fault_access, fault_access(read));
}

enum read_mode addrspace_read_mode(const struct addrspace *as)
{
	return ck_pr_load_32(&as->fault_access) ? READ_AS_WRITE : READ_AS_READ;
}

void addrspace_settle(struct addrspace *as)
{
	update_settle(as);
}

void addrspace_try_settle(struct addrspace *as)
{
	update_try_settle(as);
}

void addrspace_count(struct addrspace *as, struct addrspace_pages *out)
{
	const struct primary *primary = &as->primary;

	*out = (struct addrspace_pages){.private = primary_count(primary, PPTE_PRIVATE),
					.shared = primary_count(primary, PPTE_SHARED),
					.zero = primary_count(primary, PPTE_ZERO),
					.reclaimed = primary_count(primary, PPTE_RECLAIMED),
					.device = primary_count(primary, PPTE_MMIO)};
}

/* Where in the sorted slots a slot that starts at `start` belongs. */
static unsigned slot_place(const struct addrspace *as, struct gfn start)
{
	unsigned place = 0;

	while (place < as->slot_count && as->slots[place].range.start.raw <= start.raw)
		place++;
	return place;
}

const struct slot *space_slot(const struct addrspace *as, struct gfn gfn)
{
	unsigned place = slot_place(as, gfn);

	if (!place || !gfn_in_range(gfn, as->slots[place - 1].range))
		return NULL;
	return &as->slots[place - 1];
}

static int check_shape(struct gfn_range range)
{
	return gfn_range_valid(range) ? 0 : ERR_INVALID;
}

/* Is every gfn in a slot of a kind up to `most`? */
static int check_kinds(const struct addrspace *as, struct gfn_range range, enum slot_kind most)
	LOCK_REQUIRES(&as->lock)
{
	int err = check_shape(range);

	while (!err && range.start.raw < range.end.raw) {
		const struct slot *slot = space_slot(as, range.start);

		if (!slot || slot->kind > most)
			err = ERR_RANGE;
		else
			range.start = slot->range.end;
	}
	return err;
}

int space_check_range(const struct addrspace *as, struct gfn_range range)
{
	return check_kinds(as, range, SLOT_MMIO);
}

int space_check_memory(const struct addrspace *as, struct gfn_range range)
{
	return check_kinds(as, range, SLOT_ROM);
}

int space_check(struct addrspace *as, struct gfn_range range)
{
	int err;

	spin_lock(&as->lock);
	err = space_check_range(as, range);
	spin_unlock(&as->lock);
	return err;
}

int addrspace_check(struct addrspace *as, struct gfn_range range)
{
	return space_check(as, range);
}

int space_add_slot(struct addrspace *as, const struct slot *slot)
{
	const struct gfn_range range = slot->range;
	unsigned place = slot_place(as, range.start);

	if ((place && gfn_ranges_overlap(range, as->slots[place - 1].range)) ||
	    (place < as->slot_count && gfn_ranges_overlap(range, as->slots[place].range)))
		return ERR_EXISTS;
	if (as->slot_count == SPACE_SLOTS)
		return ERR_NO_MEMORY;
	memmove(&as->slots[place + 1], &as->slots[place],
		(as->slot_count - place) * sizeof(struct slot));
	as->slots[place] = *slot;
	as->slot_count++;
	ck_pr_store_uint(&as->images, as->images + (slot->image.raw != 0));
	return 0;
}

int addrspace_add_slot(struct addrspace *as, struct gfn_range range, enum slot_kind kind)
{
	int err = check_shape(range);

	if (err || kind > SLOT_ROM)
		return ERR_INVALID;
	spin_lock(&as->lock);
	err = space_add_slot(as, &(struct slot){range, kind, {0}});
	spin_unlock(&as->lock);
	return err;
}

/* The slot goes before its backing, so that no fault backs anew what is about to be cleared. */
static int drop_slot(struct addrspace *as, struct gfn_range range)
{
	for (unsigned i = 0; i < as->slot_count; i++) {
		struct gfn_range have = as->slots[i].range;

		if (have.start.raw != range.start.raw || have.end.raw != range.end.raw)
			continue;
		memmove(&as->slots[i], &as->slots[i + 1],
			(as->slot_count - i - 1) * sizeof(struct slot));
		as->slot_count--;
		return 0;
	}
	return ERR_NOT_FOUND;
}

/* Does a section of memory that has frame records overlap these frames? (frame.h) */
static bool near_memory(struct mfn first, u64 frames)
{
	u64 section = ALIGN_DOWN(first.raw, FRAME_SECTION);

	for (; section < first.raw + frames; section += FRAME_SECTION)
		if (frame_near_memory((struct mfn){section}))
			return true;
	return false;
}

/* First all pages of the tree, which may fail, then the PTEs. */
static int map_device(struct addrspace *as, struct gfn_range range, struct mfn first)
{
	u64 frames = gfn_range_frames(range);
	ppte_t *slot;
	int err = 0;

	for (u64 i = 0; !err && i < frames; i++)
		err = primary_make(&as->primary, gfn_add(range.start, i), &slot);
	for (u64 i = 0; !err && i < frames; i++) {
		struct gfn gfn = gfn_add(range.start, i);

		slot = primary_find(&as->primary, gfn);
		primary_store(&as->primary, gfn, slot,
			      ppte_make(PPTE_MMIO, mfn_add(first, i), PPTE_WRITE));
	}
	return err;
}

int addrspace_add_device(struct addrspace *as, struct gfn_range range, struct mfn first)
{
	const u64 mfns = PPTE_MFN >> PAGE_SHIFT;
	int err = check_shape(range);

	if (err || first.raw > mfns || gfn_range_frames(range) > mfns - first.raw)
		return ERR_INVALID;
	if (near_memory(first, gfn_range_frames(range)))
		return ERR_PERMISSION;
	spin_lock(&as->lock);
	err = space_add_slot(as, &(struct slot){range, SLOT_MMIO, {0}});
	if (!err) {
		err = map_device(as, range, first);
		if (err)
			CHECK(!drop_slot(as, range));
	}
	spin_unlock(&as->lock);
	return err;
}

int addrspace_remove_slot(struct addrspace *as, struct gfn_range range)
{
	struct update update;
	int err = check_shape(range);

	if (!err)
		err = update_begin(&update, as, EVENT_UNMAP, range, 0);
	if (err)
		return err;
	err = drop_slot(as, range);
	if (!err)
		update_clear(&update, range, true);
	update_end(&update);
	return err;
}
