/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asid.c: ASIDs (ASID-1 to ASID-4 of arch/x86/svm/asid.h), and the flushes they owe.
 */
#include "sim/svm_world.h"

#define STEPS 200000

static u64 seed = 1;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

/* ASID-1: 1 to max, for every count of ASIDs a CPU may have. */
static void the_hosts_asid_is_never_allocated_out(void **state)
{
	for (u32 count = 2; count < 40; count++) {
		struct asid_pool pool;

		asid_init(&pool, count);
		for (unsigned i = 0; i < 200; i++) {
			u32 asid = asid_get(&pool, (struct hpa){0x1000ull * below(50)}, below(9));

			assert_in_range(asid, 1, count - 1);
		}
	}
}

static void the_first_asid_comes_with_a_flush(void **state)
{
	struct asid_pool pool;

	asid_init(&pool, 16);
	assert_false(pool.flush_pending);
	asid_get(&pool, (struct hpa){0x1000}, 1);
	assert_true(pool.flush_pending);
}

static void the_same_vcpu_keeps_its_asid(void **state)
{
	struct asid_pool pool;
	u32 asid;

	asid_init(&pool, 16);
	asid = asid_get(&pool, (struct hpa){0x1000}, 1);
	assert_int_equal(asid_get(&pool, (struct hpa){0x1000}, 1), asid);
	assert_int_not_equal(asid_get(&pool, (struct hpa){0x1000}, 2), asid);
	assert_int_not_equal(asid_get(&pool, (struct hpa){0x1000}, 1), asid);
}

/*
 * ASID-2, ASID-3 against a model of the TLB: the owner of the translations under each ASID since
 * the last whole flush; no vCPU runs under an ASID with another's translations.
 */
static void no_asid_ever_holds_two_owners(void **state)
{
	struct owner {
		u64 root, serial;
	} tlb[16] = {0};
	struct asid_pool pool;

	asid_init(&pool, 16);
	for (unsigned i = 0; i < STEPS; i++) {
		struct owner me = {0x1000ull * (1 + below(40)), 1 + below(6)};
		u32 asid = asid_get(&pool, (struct hpa){me.root}, me.serial);

		if (pool.flush_pending)
			memset(tlb, 0, sizeof(tlb));
		pool.flush_pending = false;
		if (tlb[asid].root)
			assert_memory_equal(&tlb[asid], &me, sizeof(me));
		tlb[asid] = me;
	}
}

/* A flush is a new serial, so it reaches what siblings left under the same root. */
static void a_flush_takes_a_new_asid(void **state)
{
	u32 before;

	svm_flush_stage2(&world.vcpu);
	before = world.svm.vmcb.control.asid;
	svm_flush_stage2(&world.vcpu);
	assert_int_not_equal(world.svm.vmcb.control.asid, before);
}

/* The flush of a new generation goes with the next entry, and is not done twice. */
static void a_new_generation_flushes_the_whole_tlb_once(void **state)
{
	struct vmcb_control *control = &world.svm.vmcb.control;

	svm_flush_stage2(&world.vcpu);
	assert_int_equal(control->tlb_control, TLB_FLUSH_ALL);
	assert_false(world.cpu.asids.flush_pending);
	control->tlb_control = TLB_FLUSH_NONE;
	for (unsigned i = 0; i < 14; i++)
		svm_flush_stage2(&world.vcpu);
	assert_int_equal(control->tlb_control, TLB_FLUSH_NONE);
	svm_flush_stage2(&world.vcpu);
	assert_int_equal(control->tlb_control, TLB_FLUSH_ALL);
}

/*
 * ASID-4: the vCPU was here, went to another CPU where the guest may have changed its page tables,
 * and came back. A vCPU that stays keeps its ASID.
 */
static void a_vcpu_that_was_elsewhere_takes_a_new_asid(void **state)
{
	static struct svm_cpu other;
	u32 asid;

	asid_init(&other.asids, 16);
	svm_bind(&world.svm, &world.cpu);
	asid = world.svm.vmcb.control.asid;
	svm_unbind(&world.svm);
	svm_bind(&world.svm, &world.cpu);
	assert_int_equal(world.svm.vmcb.control.asid, asid);
	world.svm.vmcb.control.clean = CLEAN_ALL;
	svm_unbind(&world.svm);
	svm_bind(&world.svm, &other);
	assert_int_equal(world.svm.vmcb.control.clean, 0);
	svm_unbind(&world.svm);
	svm_bind(&world.svm, &world.cpu);
	assert_int_not_equal(world.svm.vmcb.control.asid, asid);
}

/* ASID-2: a vCPU that is put before it entered leaves the flush to the next one. */
static void an_owed_flush_is_not_lost_at_put(void **state)
{
	svm_bind(&world.svm, &world.cpu);
	assert_int_equal(world.svm.vmcb.control.tlb_control, TLB_FLUSH_ALL);
	svm_unbind(&world.svm);
	assert_int_equal(world.svm.vmcb.control.tlb_control, TLB_FLUSH_NONE);
	assert_true(world.cpu.asids.flush_pending);
	svm_bind(&world.svm, &world.cpu);
	assert_int_equal(world.svm.vmcb.control.tlb_control, TLB_FLUSH_ALL);
	world.svm.vmcb.control.tlb_control = TLB_FLUSH_NONE; /* entered */
	svm_unbind(&world.svm);
	assert_false(world.cpu.asids.flush_pending);
}

static void another_stage2_root_is_another_asid(void **state)
{
	u32 first, second;

	svm_set_stage2(&world.vcpu, (struct hpa){0x10000});
	first = world.svm.vmcb.control.asid;
	svm_set_stage2(&world.vcpu, (struct hpa){0x11000});
	second = world.svm.vmcb.control.asid;
	assert_int_not_equal(first, second);
	assert_int_equal(world.svm.vmcb.control.nested_cr3, 0x11000);
	svm_set_stage2(&world.vcpu, (struct hpa){0x10000});
	assert_int_equal(world.svm.vmcb.control.asid, first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hosts_asid_is_never_allocated_out),
		cmocka_unit_test(the_first_asid_comes_with_a_flush),
		cmocka_unit_test(the_same_vcpu_keeps_its_asid),
		cmocka_unit_test(no_asid_ever_holds_two_owners),
		cmocka_unit_test_setup(a_flush_takes_a_new_asid, svm_world_setup),
		cmocka_unit_test_setup(a_new_generation_flushes_the_whole_tlb_once,
				       svm_world_setup),
		cmocka_unit_test_setup(a_vcpu_that_was_elsewhere_takes_a_new_asid, svm_world_setup),
		cmocka_unit_test_setup(an_owed_flush_is_not_lost_at_put, svm_world_setup),
		cmocka_unit_test_setup(another_stage2_root_is_another_asid, svm_world_setup),
	};

	return cmocka_run_group_tests_name("svm_asid", tests, NULL, NULL);
}
