/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_mm.c: faults, population, protection, copy-on-write and frames, in instructions.
 *
 * zero_page and copy_page are what the host's libc takes to clear and to copy a page; `./run bench
 * mm` takes them off what includes them (fault_first_touch, populate, cow_break).
 */
#include "bench_mm.h"

#include <arch/exit.h>
#include <mm/cow.h>
#include <mm/fault.h>
#include <mm/stage2.h>
#include <mm/frame.h>
#include <mm/notifier.h>
#include "mm/space/space.h"

#define ROUNDS 256

void must(int err)
{
	if (err) {
		printf("bench: %s\n", error_name(err));
		exit(1);
	}
}

struct addrspace *bench_space(u64 frames)
{
	struct addrspace *as;

	sim_boot(1, 256 * MIB);
	must(addrspace_create("bench", &as));
	must(addrspace_add_slot(as, bench_range(0, frames), SLOT_RAM));
	return as;
}

static void bench_empty(void)
{
	bench_begin();
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_on();
		bench_off();
	}
	bench_end("empty", ROUNDS);
}

static void bench_pages(void)
{
	struct mfn a, b;

	sim_boot(1, 64 * MIB);
	must(frame_alloc(0, FRAME_GUEST, 0, &a));
	must(frame_alloc(0, FRAME_GUEST, 0, &b));
	bench_begin();
	bench_on();
	arch_page_zero(arch_hpa_to_virt(mfn_to_hpa(a)));
	bench_off();
	bench_end("zero_page", 1);
	bench_begin();
	bench_on();
	arch_page_copy(arch_hpa_to_virt(mfn_to_hpa(b)), arch_hpa_to_virt(mfn_to_hpa(a)));
	bench_off();
	bench_end("copy_page", 1);
}

static void bench_frames(void)
{
	static struct mfn mfn[ROUNDS];

	sim_boot(1, 64 * MIB);
	bench_begin();
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_on();
		must(frame_alloc(0, FRAME_GUEST, 0, &mfn[i]));
		bench_off();
	}
	bench_end("frame_alloc", ROUNDS);
	bench_begin();
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_on();
		frame_free(mfn[i], 0);
		bench_off();
	}
	bench_end("frame_free", ROUNDS);
}

static enum fault_outcome fault(struct stage2 *s2, u64 gfn, unsigned access)
{
	enum fault_outcome outcome;

	bench_on();
	outcome = fault_handle(s2, gfn_to_gpa((struct gfn){gfn}), access);
	bench_off();
	return outcome;
}

static void bench_touches(struct stage2 *s2, u64 stride, const char *name, unsigned access)
{
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++)
		must(fault(s2, i * stride, access) != FAULT_MAPPED);
	bench_end(name, ROUNDS);
}

/* EXCLUSIVE makes every secondary drop the page; frame and tables stay. */
static void drop_pages(struct addrspace *as, u64 stride)
{
	for (u64 i = 0; i < ROUNDS; i++)
		must(addrspace_exclusive(as, (struct gfn){i * stride}, NULL));
}

/*
 * Faults of pages spread over a guest of 2^order gfns: the first touch, and later faults of frames
 * that exist.
 */
static void bench_faults(unsigned order)
{
	u64 frames = 1ull << order, stride = frames / ROUNDS;
	struct addrspace *as = bench_space(frames);
	struct stage2 *s2;
	char name[64];

	must(stage2_create(as, &ept_format, &s2));
	snprintf(name, sizeof(name), "fault_first_touch_2^%u", order);
	bench_touches(s2, stride, name, HV_WRITE);
	drop_pages(as, stride);
	snprintf(name, sizeof(name), "fault_fill_2^%u", order);
	bench_touches(s2, stride, name, HV_READ);
}

/* The common case: neighbours are there already, so no table is missing. */
static void bench_neighbours(void)
{
	struct addrspace *as = bench_space(4096);
	struct stage2 *s2;

	must(stage2_create(as, &ept_format, &s2));
	must(fault(s2, ROUNDS, HV_WRITE) != FAULT_MAPPED);
	bench_touches(s2, 1, "fault_first_touch", HV_WRITE);
	drop_pages(as, 1);
	bench_touches(s2, 1, "fault_fill", HV_READ);
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++)
		must(fault(s2, i, HV_READ) != FAULT_SPURIOUS);
	bench_end("fault_spurious", ROUNDS);
}

static void bench_populate(unsigned order, const char *populate, const char *protect)
{
	u64 frames = 1ull << order;
	struct addrspace *as = bench_space(frames);

	bench_begin();
	bench_on();
	must(addrspace_populate(as, bench_range(0, frames)));
	bench_off();
	bench_end(populate, frames);
	bench_begin();
	bench_on();
	must(addrspace_protect(as, bench_range(0, frames), false));
	bench_off();
	bench_end(protect, frames);
}

/* The figure by its plain name, and how it grows. */
static void bench_populates(void)
{
	bench_populate(10, "populate", "protect_range");
	for (unsigned order = 10; order <= 15; order += 5) {
		char populate[64], protect[64];

		snprintf(populate, sizeof(populate), "populate_2^%u", order);
		snprintf(protect, sizeof(protect), "protect_range_2^%u", order);
		bench_populate(order, populate, protect);
	}
}

/* Makes the pages share one frame, as a merging engine does. */
static void share(struct addrspace *as, u64 first, u64 count)
{
	struct mfn shared = {0};

	must(addrspace_populate(as, bench_range(first, count)));
	must(cow_protect(as, bench_range(first, count)));
	for (u64 i = first; i < first + count; i++) {
		struct gfn gfn = {i};
		struct cow_look look;

		must(cow_look(as, gfn, &look));
		if (i == first) {
			must(cow_offer(as, gfn, &look));
			shared = look.mfn;
		} else {
			must(cow_share(as, gfn, &look, shared));
		}
	}
}

/*
 * A guest's write to a shared page, from the fault handler's call to its return; each frame has
 * `users`.
 */
static void bench_break(const char *policy, u64 users, const char *name)
{
	struct addrspace *as = bench_space(4096);
	struct stage2 *s2;

	must(addrspace_set_policy(as, notifier_policy_find(policy, strlen(policy))));
	must(stage2_create(as, &ept_format, &s2));
	for (u64 i = 0; i < ROUNDS; i += users)
		share(as, i, users);
	addrspace_settle(as);
	for (u64 i = 0; i < ROUNDS; i++)
		must(fault_handle(s2, gfn_to_gpa((struct gfn){i}), HV_READ) > FAULT_SPURIOUS);
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++)
		must(fault(s2, i, HV_WRITE) > FAULT_SPURIOUS);
	bench_end(name, ROUNDS);
}

static bool is_shared(struct addrspace *as, u64 gfn)
{
	return ppte_shared(primary_load(&as->primary, (struct gfn){gfn}));
}

/* A guest that writes shared pages one after the other: of a page, with those broken ahead. */
static void bench_break_ahead(void)
{
	struct addrspace *as = bench_space(4096);
	struct stage2 *s2;

	must(stage2_create(as, &ept_format, &s2));
	addrspace_set_ahead(as, SPACE_AHEAD_MAX);
	for (u64 i = 0; i < ROUNDS; i += 2)
		share(as, i, 2);
	addrspace_settle(as);
	for (u64 i = 0; i < ROUNDS; i++)
		must(fault_handle(s2, gfn_to_gpa((struct gfn){i}), HV_READ) > FAULT_SPURIOUS);
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++)
		if (is_shared(as, i))
			must(fault(s2, i, HV_WRITE) > FAULT_SPURIOUS);
	bench_end("cow_break_ahead", ROUNDS);
}

static void bench_breaks(void)
{
	bench_break("masked", 2, "cow_break");
	bench_break_ahead();
	bench_break("masked", ROUNDS, "cow_break_popular");
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		const char *policy = notifier_policy_name(notifier_policy(i));
		char name[64];

		snprintf(name, sizeof(name), "cow_break_%s", policy);
		bench_break(policy, 2, name);
	}
}

int main(void)
{
	bench_empty();
	bench_pages();
	bench_frames();
	for (unsigned order = 10; order <= 22; order += 6)
		bench_faults(order);
	bench_neighbours();
	bench_populates();
	bench_breaks();
	bench_rmap();
	bench_notifier();
	bench_walk();
	return 0;
}
