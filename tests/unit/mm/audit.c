/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.c: the auditor finds nothing where nothing is wrong, and each kind of damage where it
 * was planted (AUDIT-1 to AUDIT-5).
 *
 * The scene: two address spaces, one with an EPT and one with an NPT, and a device models' cache;
 * pages of their own, pages shared inside and between them, zero pages, a 2 MiB leaf. Damage is
 * done behind mm's back, and undone before the scene is taken down, so that the end of each test is
 * an audit without findings again.
 */
#include "sim/sim.h"

#include <arch/exit.h>
#include <mm/audit.h>
#include <mm/cow.h>
#include <mm/dirty_log.h>
#include <mm/guest_cache.h>
#include <mm/reclaim.h>
#include <mm/rmap.h>

#include "mm/stage2/private.h"

#define PRIVATE_GFN 3
#define SHARED_GFN  10 /* 10 and 20 in `a`, 30 in `b` */
#define ZERO_GFN    40
#define LARGE_GFN   512
#define CACHE_GFN   100 /* in `a`, and only the device models' cache maps it */

static struct addrspace *a, *b;
static struct stage2 *ept, *npt;
static struct guest_cache *cache;
static struct audit_report report;
static u64 frames_free;

static void touch(struct stage2 *s2, u64 gfn, unsigned access)
{
	enum fault_outcome outcome = fault_handle(s2, gfn_to_gpa((struct gfn){gfn}), access);

	assert_true(outcome == FAULT_MAPPED || outcome == FAULT_SPURIOUS);
}

static struct cow_look guarded(struct addrspace *as, u64 gfn)
{
	struct gfn at = {gfn};
	struct cow_look look;

	assert_int_equal(addrspace_populate(as, gfn_range(at, 1)), 0);
	assert_int_equal(cow_protect(as, gfn_range(at, 1)), 0);
	assert_int_equal(cow_look(as, at, &look), 0);
	return look;
}

static void share_pages(void)
{
	struct cow_look look = guarded(a, SHARED_GFN);
	struct mfn shared = look.mfn;

	assert_int_equal(cow_offer(a, (struct gfn){SHARED_GFN}, &look), 0);
	look = guarded(a, 20);
	assert_int_equal(cow_share(a, (struct gfn){20}, &look, shared), 0);
	look = guarded(b, 30);
	assert_int_equal(cow_share(b, (struct gfn){30}, &look, shared), 0);
	assert_false(frame_put(shared));
	look = guarded(a, ZERO_GFN);
	assert_int_equal(cow_share_zero(a, (struct gfn){ZERO_GFN}, &look), 0);
}

static void write_by_device(u64 gfn)
{
	struct gpa gpa = gfn_to_gpa((struct gfn){gfn});
	void *word;

	assert_int_equal(guest_cache_create(a, &cache), 0);
	assert_int_equal(guest_cache_get(cache, gpa, 8, true, &word), 0);
	guest_cache_put(cache, gpa);
}

static struct addrspace *make_space(const char *name)
{
	struct addrspace *as;

	assert_int_equal(addrspace_create(name, &as), 0);
	assert_int_equal(addrspace_add_slot(as, gfn_range((struct gfn){0}, 2048), SLOT_RAM), 0);
	return as;
}

static int raise_scene(void **state)
{
	struct frame_stats stats;

	sim_boot(2, 32 * MIB);
	frame_stats(&stats);
	frames_free = stats.free;
	a = make_space("a");
	b = make_space("b");
	assert_int_equal(stage2_create(a, &ept_format, &ept), 0);
	assert_int_equal(stage2_create(b, &npt_format, &npt), 0);
	assert_int_equal(addrspace_populate(a, gfn_range((struct gfn){LARGE_GFN}, 512)), 0);
	touch(ept, LARGE_GFN + 5, HV_WRITE);
	for (u64 gfn = 0; gfn < 8; gfn++) {
		touch(ept, gfn, HV_WRITE);
		touch(npt, gfn, HV_READ);
	}
	share_pages();
	touch(ept, SHARED_GFN, HV_READ);
	touch(ept, 20, HV_READ);
	touch(npt, 30, HV_READ);
	touch(ept, ZERO_GFN, HV_READ);
	write_by_device(CACHE_GFN);
	return 0;
}

static int strike_scene(void **state)
{
	struct frame_stats stats;

	assert_int_equal(audit_run(0, &report), 0);
	guest_cache_destroy(cache);
	stage2_destroy(ept);
	stage2_destroy(npt);
	addrspace_destroy(a);
	addrspace_destroy(b);
	reclaim_fini();
	assert_int_equal(audit_run(0, &report), 0);
	frame_stats(&stats);
	assert_int_equal(stats.free, frames_free);
	return 0;
}

static ppte_t *pte_at(struct addrspace *as, u64 gfn)
{
	ppte_t *slot = primary_find(&as->primary, (struct gfn){gfn});

	assert_non_null(slot);
	return slot;
}

static struct mfn mfn_at(struct addrspace *as, u64 gfn)
{
	return ppte_mfn(*pte_at(as, gfn));
}

static pte_t *leaf_at(struct stage2 *s2, u64 gfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn << PAGE_SHIFT, &visit);
	assert_int_equal(visit.kind, VISIT_LEAF);
	return visit.slot;
}

/* Exactly this was found, `times` times, and the log names it. */
static void audit_finds(enum audit_fault fault, u64 times)
{
	audit_run(0, &report);
	if (report.found[fault] != times || report.total != times)
		fail_msg("%s: %llu of %llu, not %llu: %s", audit_fault_name(fault),
			 (unsigned long long)report.found[fault], (unsigned long long)report.total,
			 (unsigned long long)times, sim_console());
	assert_non_null(strstr(sim_console(), audit_fault_name(fault)));
}

/* One word is other than it should be, and the audit finds just that. */
#define planted(place, value, fault, times)      \
	do {                                     \
		__typeof__(place) was = (place); \
		(place) = (value);               \
		audit_finds(fault, times);       \
		(place) = was;                   \
	} while (0)

static void a_sound_scene_has_no_faults(void **state)
{
	assert_int_equal(audit_run(0, &report), 0);
	assert_int_equal(report.spaces, 2);
	assert_true(report.pages >= 512 + 8 + 8 + 4);
	assert_true(report.translations >= 8 + 8 + 4 + 1);
	assert_int_equal(report.held, 0);
}

static void a_reference_that_an_engine_holds_is_accounted_for(void **state)
{
	struct mfn shared = mfn_at(a, SHARED_GFN);

	frame_get(shared);
	assert_int_equal(audit_run(1, &report), 0);
	assert_false(frame_put(shared));
}

/* COW-4. */
static void a_leaked_reference_is_found(void **state)
{
	struct mfn shared = mfn_at(a, SHARED_GFN);

	frame_get(shared);
	audit_finds(AUDIT_HELD, 1); /* AUDIT-2 */
	assert_non_null(strstr(sim_console(), "1 references are held, 0 are accounted for"));
	assert_false(frame_put(shared));
}

/* COW-4, RMAP-2. */
static void a_missing_reference_is_found(void **state)
{
	planted(frame_record(mfn_at(a, SHARED_GFN))->refs, 2, AUDIT_REFS, 1); /* AUDIT-2 */
}

static void a_guest_frame_that_was_never_freed_is_found(void **state)
{
	struct mfn lost;

	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &lost), 0);
	audit_finds(AUDIT_HELD, 1);
	frame_record(lost)->refs = 0;
	audit_finds(AUDIT_LOST, 1); /* AUDIT-5 */
	frame_free(lost, 0);
}

static void a_private_page_with_a_second_user_is_found(void **state)
{
	struct mfn mfn = mfn_at(a, PRIVATE_GFN);

	frame_get(mfn);
	audit_run(0, &report);
	assert_int_equal(report.found[AUDIT_PRIVATE], 1);
	assert_int_equal(report.found[AUDIT_HELD], 1);
	assert_false(frame_put(mfn));
}

/* RMAP-1. */
static void a_pte_that_the_rmap_does_not_list_is_found(void **state)
{
	struct mfn shared = mfn_at(a, SHARED_GFN);

	rmap_remove(shared, a->id, (struct gfn){20});
	audit_run(0, &report);
	assert_int_equal(report.found[AUDIT_RMAP_MISSING], 1); /* AUDIT-1 */
	assert_int_equal(report.found[AUDIT_HELD], 1);
	assert_int_equal(rmap_add(shared, a->id, (struct gfn){20}), 0);
}

/* RMAP-1. */
static void an_rmap_entry_without_its_pte_is_found(void **state)
{
	struct mfn shared = mfn_at(a, SHARED_GFN);

	frame_get(shared);
	assert_int_equal(rmap_add(shared, b->id, (struct gfn){99}), 0);
	audit_finds(AUDIT_RMAP_STALE, 1); /* AUDIT-1 */
	rmap_remove(shared, b->id, (struct gfn){99});
	assert_int_equal(rmap_add(shared, 777, (struct gfn){99}), 0); /* no such space */
	audit_finds(AUDIT_RMAP_STALE, 1);
	rmap_remove(shared, 777, (struct gfn){99});
	assert_false(frame_put(shared));
}

static void a_pte_that_names_our_own_frame_is_found(void **state)
{
	ppte_t *slot = pte_at(b, PRIVATE_GFN);
	ppte_t was = *slot;
	struct mfn ours;

	assert_int_equal(frame_alloc(0, FRAME_HYPERVISOR, 0, &ours), 0);
	*slot = ppte_make(PPTE_PRIVATE, ours, PPTE_WRITE);
	audit_run(0, &report);
	assert_int_equal(report.found[AUDIT_PTE_FRAME], 1);
	assert_int_equal(report.found[AUDIT_RMAP_STALE], 1); /* its old frame */
	assert_int_equal(report.found[AUDIT_LEAF_STALE], 1);
	*slot = was;
	frame_free(ours, 0);
}

static void an_mmio_pte_over_memory_of_ours_is_found(void **state)
{
	struct mfn mfn = mfn_at(a, PRIVATE_GFN);
	ppte_t *slot = pte_at(b, 0);
	ppte_t *far = slot + 100;

	planted(*far, ppte_make(PPTE_MMIO, mfn, 0), AUDIT_PTE_FRAME, 1);
}

static void a_zero_page_with_another_frame_is_found(void **state)
{
	planted(*(u64 *)arch_hpa_to_virt(mfn_to_hpa((struct mfn){a->zero_mfn})), 1, AUDIT_PTE_ZERO,
		1);
}

static void a_change_that_never_ended_is_found(void **state)
{
	ppte_t *slot = pte_at(a, SHARED_GFN);

	planted(*slot, *slot | PPTE_BUSY, AUDIT_PTE_BUSY, 1);
}

/* SPACE-2. */
static void a_page_outside_every_slot_is_found(void **state)
{
	planted(a->slots[0].range.start.raw, 1, AUDIT_PTE_SLOT, 1);
}

static void a_writable_alias_of_a_shared_frame_is_found(void **state)
{
	pte_t *leaf = leaf_at(ept, SHARED_GFN);

	planted(*leaf, *leaf | ept_format.level[0].write, AUDIT_LEAF_RIGHTS, 1); /* AUDIT-3 */
	leaf = leaf_at(npt, 30);
	planted(*leaf, *leaf | npt_format.level[0].write, AUDIT_LEAF_RIGHTS, 1);
}

static void a_writable_zero_page_is_found(void **state)
{
	pte_t *leaf = leaf_at(ept, ZERO_GFN);

	planted(*leaf, *leaf | ept_format.level[0].write, AUDIT_LEAF_RIGHTS, 1);
}

static void a_writable_leaf_of_a_write_protected_page_is_found(void **state)
{
	ppte_t *slot = pte_at(a, PRIVATE_GFN);

	planted(*slot, *slot | PPTE_WP, AUDIT_LEAF_RIGHTS, 1);
	planted(*slot, *slot & ~PPTE_SOFT_DIRTY, AUDIT_LEAF_RIGHTS, 1);
}

static void a_leaf_of_another_frame_than_the_primarys_is_found(void **state)
{
	pte_t *leaf = leaf_at(ept, PRIVATE_GFN);
	struct mfn other = mfn_at(b, PRIVATE_GFN);

	planted(*leaf, ept_format.make_leaf(mfn_to_hpa(other), 0, PT_READ), AUDIT_LEAF_STALE,
		1); /* AUDIT-4 */
}

static void a_leaf_of_what_is_not_backed_is_found(void **state)
{
	struct mfn mfn = mfn_at(a, PRIVATE_GFN);
	pte_t *leaf = leaf_at(ept, PRIVATE_GFN) + 100;

	planted(*leaf, ept_format.make_leaf(mfn_to_hpa(mfn), 0, PT_READ), AUDIT_LEAF_STALE, 1);
}

static void a_leaf_of_a_hypervisor_frame_is_found(void **state)
{
	pte_t *leaf = leaf_at(npt, PRIVATE_GFN);
	pte_t was = *leaf;

	*leaf = npt_format.make_leaf(npt->table.root, 0, PT_RWX);
	audit_run(0, &report);
	assert_int_equal(report.found[AUDIT_LEAF_FRAME], 1);
	assert_int_equal(report.found[AUDIT_LEAF_STALE], 1);
	*leaf = was;
}

static void a_device_models_cache_is_looked_into(void **state)
{
	ppte_t *slot = pte_at(a, CACHE_GFN);

	planted(*slot, *slot | PPTE_WP, AUDIT_LEAF_RIGHTS, 1);
	assert_non_null(strstr(sim_console(), "guest_cache"));
}

/* There the CPU notes the first write to a clean page, so the leaf may be writable. */
static void a_writable_clean_page_is_sound_where_the_cpu_notes_writes(void **state)
{
	assert_int_equal(dirty_log_start(a, gfn_range((struct gfn){0}, 8), DIRTY_BITS), 0);
	touch(ept, PRIVATE_GFN, HV_WRITE);
	*pte_at(a, PRIVATE_GFN) &= ~PPTE_SOFT_DIRTY;
	assert_int_equal(audit_run(0, &report), 0);
	dirty_log_stop(a);
}

/* STAGE2-3. */
static void one_wrong_page_under_a_large_leaf_is_found(void **state)
{
	ppte_t *slot = pte_at(a, LARGE_GFN + 77);
	struct pgtable_visit visit;

	pgtable_lookup(&ept->table, LARGE_GFN << PAGE_SHIFT, &visit);
	assert_int_equal(visit.level, 1);
	planted(*slot, *slot | PPTE_WP, AUDIT_LEAF_RIGHTS, 1);
}

static void a_table_that_is_no_table_frame_is_found(void **state)
{
	struct frame *root = frame_record(hpa_to_mfn(ept->table.root));

	root->kind = FRAME_HYPERVISOR;
	audit_run(0, &report);
	root->kind = FRAME_TABLE;
	assert_int_equal(report.found[AUDIT_TABLE], 1);
	assert_int_equal(report.found[AUDIT_COUNTS], 1);
}

/* AUDIT-6. */
static void a_reclaimed_page_without_a_kept_content_is_found(void **state)
{
	struct gfn gfn = {PRIVATE_GFN};
	ppte_t *slot, was;
	u64 word = 1;

	assert_int_equal(addrspace_write(a, gfn_to_gpa(gfn), &word, sizeof(word)), 0);
	assert_int_equal(addrspace_reclaim(a, gfn_range(gfn, 1), &word), 0);
	assert_int_equal(audit_run(0, &report), 0);
	slot = primary_find(&a->primary, gfn);
	was = *slot;
	*slot = ppte_make_reclaimed(0, was & PPTE_WRITE);
	assert_int_equal(audit_run(0, &report), 1);
	assert_int_equal(report.found[AUDIT_STORE], 1);
	*slot = was;
}

static void a_table_linked_twice_is_found(void **state)
{
	struct pgtable_visit visit;

	pgtable_lookup_level(&ept->table, 0, 1, &visit);
	assert_int_equal(visit.kind, VISIT_TABLE);
	visit.slot[5] = visit.pte;
	audit_run(0, &report);
	visit.slot[5] = 0;
	assert_true(report.found[AUDIT_TABLE] >= 1);
}

static void a_wrong_count_of_tables_is_found(void **state)
{
	planted(ept->table.tables, ept->table.tables + 1, AUDIT_TABLE, 1);
}

static void a_free_frame_with_a_reference_is_found(void **state)
{
	struct mfn mfn;

	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &mfn), 0);
	frame_free(mfn, 0);
	planted(frame_record(mfn)->refs, 1, AUDIT_FREE, 1);
}

static void statistics_that_lie_are_found(void **state)
{
	struct mfn mfn;

	assert_int_equal(frame_alloc(0, FRAME_TABLE, 0, &mfn), 0);
	planted(frame_record(mfn)->kind, FRAME_HYPERVISOR, AUDIT_COUNTS, 1);
	frame_free(mfn, 0);
}

static void the_log_stays_short_when_everything_is_wrong(void **state)
{
	const char *line = sim_console();
	unsigned lines = 0;

	for (unsigned i = 0; i < 512; i++)
		*pte_at(a, LARGE_GFN + i) |= PPTE_BUSY;
	audit_run(0, &report);
	assert_true(report.total >= 512);
	while ((line = strstr(line, "audit: "))) {
		lines++;
		line++;
	}
	assert_true(lines >= 1 && lines <= 17);
	for (unsigned i = 0; i < 512; i++)
		*pte_at(a, LARGE_GFN + i) &= ~PPTE_BUSY;
}

#define test(name) cmocka_unit_test_setup_teardown(name, raise_scene, strike_scene)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_sound_scene_has_no_faults),
		test(a_reference_that_an_engine_holds_is_accounted_for),
		test(a_leaked_reference_is_found),
		test(a_missing_reference_is_found),
		test(a_guest_frame_that_was_never_freed_is_found),
		test(a_private_page_with_a_second_user_is_found),
		test(a_pte_that_the_rmap_does_not_list_is_found),
		test(an_rmap_entry_without_its_pte_is_found),
		test(a_pte_that_names_our_own_frame_is_found),
		test(an_mmio_pte_over_memory_of_ours_is_found),
		test(a_zero_page_with_another_frame_is_found),
		test(a_change_that_never_ended_is_found),
		test(a_page_outside_every_slot_is_found),
		test(a_writable_alias_of_a_shared_frame_is_found),
		test(a_writable_zero_page_is_found),
		test(a_writable_leaf_of_a_write_protected_page_is_found),
		test(a_leaf_of_another_frame_than_the_primarys_is_found),
		test(a_leaf_of_what_is_not_backed_is_found),
		test(a_leaf_of_a_hypervisor_frame_is_found),
		test(a_device_models_cache_is_looked_into),
		test(a_writable_clean_page_is_sound_where_the_cpu_notes_writes),
		test(one_wrong_page_under_a_large_leaf_is_found),
		test(a_table_that_is_no_table_frame_is_found),
		test(a_reclaimed_page_without_a_kept_content_is_found),
		test(a_table_linked_twice_is_found),
		test(a_wrong_count_of_tables_is_found),
		test(a_free_frame_with_a_reference_is_found),
		test(statistics_that_lie_are_found),
		test(the_log_stays_short_when_everything_is_wrong),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
