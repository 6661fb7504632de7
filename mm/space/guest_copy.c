/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_copy.c: the hypervisor's own reads and writes of guest memory, through the primary.
 *
 * Why the copy runs under LOCK_MMU: the frame behind a gfn cannot be swapped or freed while it is
 * held, so what is read is never another VM's, and what is written is never lost in a frame that
 * was just left.
 */
#include <arch/cpu.h>
#include <arch/exit.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/string.h>
#include "mm/space/space.h"

struct copy {
	struct gpa gpa;
	void *to;	  /* reading: the caller's buffer */
	const void *from; /* writing */
	const u64 *old;	  /* swapping: what must be there, and `from` is the new value */
	bool swapped;
	size_t len;
};

static size_t step(const struct copy *copy)
{
	return MIN(copy->len, PAGE_SIZE - page_offset(copy->gpa.raw));
}

static bool swap_word(void *at, size_t len, u64 old, u64 new)
{
	return len == sizeof(u32) ? ck_pr_cas_32(at, (u32)old, (u32) new)
				  : ck_pr_cas_64(at, old, new);
}

/* Copies the piece in the page that `pte` backs. */
static void copy_piece(struct copy *copy, ppte_t pte)
{
	char *page = arch_hpa_to_virt(mfn_to_hpa(ppte_mfn(pte)));
	size_t bytes = step(copy);

	page += page_offset(copy->gpa.raw);
	if (copy->old) {
		copy->swapped = swap_word(page, bytes, *copy->old, *(const u64 *)copy->from);
	} else if (copy->to) {
		memcpy(copy->to, page, bytes);
		copy->to = (char *)copy->to + bytes;
	} else {
		memcpy(page, copy->from, bytes);
		copy->from = (const char *)copy->from + bytes;
	}
	copy->gpa.raw += bytes;
	copy->len -= bytes;
}

static int copy_one(struct addrspace *as, struct copy *copy)
{
	unsigned access = (copy->from ? HV_WRITE : HV_READ) | SPACE_OWN;
	struct space_page page = {.gfn = gpa_to_gfn(copy->gpa)};

	for (unsigned tries = 0; tries < SPACE_TRIES; tries++) {
		int err = space_resolve(as, &page, access, NULL, NULL);
		bool ready;

		if (err && err != ERR_BUSY)
			return err;
		spin_lock(&as->lock);
		ready = page.slot && space_allows(*page.slot, access);
		if (ready) {
			copy_piece(copy, *page.slot);
			space_mark(as, page.gfn, 1,
				   copy->from ? PPTE_YOUNG | PPTE_SOFT_DIRTY : PPTE_YOUNG);
		}
		spin_unlock(&as->lock);
		if (ready)
			return 0;
	}
	return ERR_BUSY;
}

static int copy_all(struct addrspace *as, struct copy *copy)
{
	struct gfn_range range;
	int err;

	if (!copy->len)
		return 0;
	if (copy->gpa.raw + copy->len - 1 < copy->gpa.raw)
		return ERR_INVALID;
	range.start = gpa_to_gfn(copy->gpa);
	range.end.raw = ((copy->gpa.raw + copy->len - 1) >> PAGE_SHIFT) + 1;
	spin_lock(&as->lock);
	err = space_check_memory(as, range);
	spin_unlock(&as->lock);
	while (!err && copy->len)
		err = copy_one(as, copy);
	return err;
}

int addrspace_write(struct addrspace *as, struct gpa to, const void *from, size_t len)
{
	struct copy copy = {.gpa = to, .from = from, .len = len};

	return copy_all(as, &copy);
}

int addrspace_read(struct addrspace *as, struct gpa from, void *to, size_t len)
{
	struct copy copy = {.gpa = from, .to = to, .len = len};

	return copy_all(as, &copy);
}

int addrspace_swap(struct addrspace *as, struct gpa at, size_t len, u64 old, u64 new, bool *swapped)
{
	struct copy copy = {.gpa = at, .from = &new, .len = len, .old = &old};
	int err = ERR_INVALID;

	if ((len == sizeof(u32) || len == sizeof(u64)) && IS_ALIGNED(at.raw, len))
		err = copy_all(as, &copy);
	*swapped = copy.swapped;
	return err;
}
