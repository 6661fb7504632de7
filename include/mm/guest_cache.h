/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_cache.h: the device models' cached mappings of guest memory: a subscriber without change,
 * on purpose.
 *
 * A device model holds a plain pointer while it works. A frame cannot be replaced under a pointer,
 * so the cache can only drop the old one and read the primary again. Every policy must be right for
 * it beside a stage 2.
 *
 *     guest_cache_get(cache, gpa, len, write, &pointer)
 *     ... a few loads or stores; no call into mm: a change of the page waits for the put ...
 *     guest_cache_put(cache, gpa)
 *
 * Invariants:
 * GUEST-CACHE-1  Between get and put the pointer leads to the frame that the primary names, or named when a change of it
 * 		  began that now waits for the put.
 * GUEST-CACHE-2  A pointer for writing is given only where the primary allows the guest to write.
 * GUEST-CACHE-3  What a miss installs was in the primary at one instant after the last change of
 *		  the page that found nothing in the cache.
 */
#ifndef SAMEPAGE_MM_GUEST_CACHE_H
#define SAMEPAGE_MM_GUEST_CACHE_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;
struct guest_cache;

/* ERR_NO_MEMORY. destroy: every get has had its put. */
int guest_cache_create(struct addrspace *as, struct guest_cache **out) __must_check;
void guest_cache_destroy(struct guest_cache *cache);

/*
 * A pointer to [gpa, gpa + len), which lies in one page; a miss resolves in the primary as a
 * guest's access does. ERR_INVALID (crosses a page), ERR_RANGE (no slot, or a device's),
 * ERR_PERMISSION (ROM), ERR_NO_MEMORY, ERR_BUSY (all places for this gfn are in use). Waits while
 * the page is being changed. Takes LOCK_DEVICE, LOCK_MMU.
 */
int guest_cache_get(struct guest_cache *cache, struct gpa gpa, size_t len, bool write,
		    void **out) __must_check;
void guest_cache_put(struct guest_cache *cache, struct gpa gpa);

struct guest_cache_counters {
	u64 hits, misses, drops, retries, waits;
};
void guest_cache_counters(struct guest_cache *cache, struct guest_cache_counters *out);

#endif
