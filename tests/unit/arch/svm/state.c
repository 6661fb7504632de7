/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c: what goes in comes out, what no guest may have is refused without a change, and
 * writes to control registers follow the manual.
 */
#include "sim/svm_world.h"

#include <asm/errata.h>
#include <asm/regs.h>
#include <lib/error.h>

static void what_is_set_is_what_is_got(void **state)
{
	struct guest_state in, out;

	svm_world_long_mode();
	svm_get_state(&world.vcpu, &in);
	in.cr2 = 0x1234567890;
	in.cr3 = 0x5000;
	in.lstar = 0xffffffff81000000;
	in.seg[SEG_GS].base = 0xffff888000000000;
	in.seg[SEG_DS] = (struct guest_segment_state){0x10, 0xffffffff, 0xc093, 0};
	in.seg[SEG_FS].attr = 0x10000;
	in.gdtr.base = 0xffffffff82000000;
	in.gdtr.limit = 0x7f;
	in.rflags |= RFLAGS_IF;
	in.interruptibility = BIT(0) | BIT(3);
	assert_int_equal(svm_set_state(&world.vcpu, &in), 0);
	memset(&out, 0, sizeof(out));
	svm_get_state(&world.vcpu, &out);
	assert_int_equal(out.cr2, in.cr2);
	assert_int_equal(out.lstar, in.lstar);
	assert_int_equal(out.gdtr.base, in.gdtr.base);
	assert_int_equal(out.interruptibility, in.interruptibility);
	for (unsigned i = 0; i < SEGS; i++)
		assert_int_equal(out.seg[i].attr, in.seg[i].attr);
	assert_int_equal(out.seg[SEG_GS].base, in.seg[SEG_GS].base);
	assert_int_equal(world.svm.vmcb.save.ds.attrib, 0xc93);
}

/* errata.no_breakpoints: a state with breakpoints reads back as set, and the CPU has none. */
static void breakpoints_of_a_state_stay_virtual_where_they_crash(void **state)
{
	struct guest_state in, out;

	errata.no_breakpoints = true;
	svm_get_state(&world.vcpu, &in);
	in.dr7 = DR7_RESET | 0xf;
	assert_int_equal(svm_set_state(&world.vcpu, &in), 0);
	assert_int_equal(world.svm.vmcb.save.dr7, DR7_RESET);
	svm_get_state(&world.vcpu, &out);
	assert_int_equal(out.dr7, in.dr7);
}

/* VMRUN requires EFER.SVME; the guest must not see it. */
static void svme_is_set_and_hidden(void **state)
{
	struct guest_state s;

	assert_true(world.svm.vmcb.save.efer & EFER_SVME);
	svm_get_state(&world.vcpu, &s);
	assert_false(s.efer & EFER_SVME);
	s.efer |= EFER_SVME;
	assert_int_equal(svm_set_state(&world.vcpu, &s), ERR_INVALID);
}

static void the_privilege_level_follows_mode_and_stack(void **state)
{
	struct guest_state s;

	assert_int_equal(world.svm.vmcb.save.cpl, 0);
	svm_get_state(&world.vcpu, &s);
	s.seg[SEG_SS].attr = 0xc0f3;
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
	assert_int_equal(world.svm.vmcb.save.cpl, 0);
	s.cr0 |= CR0_PE;
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
	assert_int_equal(world.svm.vmcb.save.cpl, 3);
	s.seg[SEG_SS].attr = 0xc093;
	s.rflags |= RFLAGS_VM;
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
	assert_int_equal(world.svm.vmcb.save.cpl, 3);
}

/* One field spoilt at a time; each alone must be refused, and nothing may have changed. */
static void a_state_no_guest_may_have_is_refused_whole(void **state)
{
	static const struct {
		size_t offset;
		u64 value;
	} spoilt[] = {
#define SPOIL(field, v) {offsetof(struct guest_state, field), v}
		SPOIL(cr0, CR0_PG),
		SPOIL(cr0, CR0_PE | CR0_NW),
		SPOIL(cr0, BIT(32) | CR0_PE | CR0_PG),
		SPOIL(cr0, CR0_PE),
		SPOIL(cr3, BIT(63)),
		SPOIL(cr4, 0),
		SPOIL(cr4, CR4_PAE | CR4_VMXE),
		SPOIL(cr4, CR4_PAE | CR4_LA57),
		SPOIL(cr4, CR4_PAE | CR4_PKE),
		SPOIL(cr4, CR4_PAE | BIT(40)),
		SPOIL(efer, EFER_LME),
		SPOIL(efer, EFER_LMA),
		SPOIL(efer, EFER_LME | EFER_LMA | BIT(20)),
		SPOIL(dr6, BIT(32)),
		SPOIL(dr7, BIT(32)),
		SPOIL(rflags, 0),
		SPOIL(rflags, 2 | RFLAGS_VM),
		SPOIL(rflags, 2 | BIT(40)),
		SPOIL(rip, 0x0000800000000000),
		SPOIL(lstar, 0x1234000000000000),
		SPOIL(pat, 0x0007040600070402),
		SPOIL(seg[SEG_GS].base, 0x8000000000000000),
		SPOIL(seg[SEG_DS].base, 0x100000000),
		SPOIL(idtr.base, 0x8000000000000000),
#undef SPOIL
	};
	struct guest_state good, bad;
	struct svm_vcpu before;

	svm_world_long_mode();
	svm_get_state(&world.vcpu, &good);
	for (unsigned i = 0; i < ARRAY_SIZE(spoilt); i++) {
		bad = good;
		memcpy((char *)&bad + spoilt[i].offset, &spoilt[i].value, 8);
		memcpy(&before, &world.svm, sizeof(before));
		if (svm_set_state(&world.vcpu, &bad) != ERR_INVALID &&
		    memcmp(&bad, &good, sizeof(bad)))
			fail_msg("row %u was taken", i);
		assert_memory_equal(&before, &world.svm, sizeof(before));
	}
	bad = good;
	bad.seg[SEG_CS].attr |= 0x4000;
	assert_int_equal(svm_set_state(&world.vcpu, &bad), ERR_INVALID);
	bad = good;
	bad.interruptibility = BIT(0);
	assert_int_equal(svm_set_state(&world.vcpu, &bad), ERR_INVALID);
}

static void paging_switches_long_mode_on_and_off(void **state)
{
	struct guest_state s;

	svm_get_state(&world.vcpu, &s);
	s.cr0 |= CR0_PE;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME;
	s.seg[SEG_CS].attr = 0xc09b;
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
	assert_int_equal(svm_write_cr(&world.vcpu, 0, CR0_PE | CR0_PG), 0);
	assert_true(world.svm.vmcb.save.efer & EFER_LMA);
	assert_true(world.svm.vmcb.save.cr0 & CR0_ET);
	assert_int_equal(svm_write_cr(&world.vcpu, 4, 0), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 0, CR0_PE), 0);
	assert_false(world.svm.vmcb.save.efer & EFER_LMA);
}

static void bad_control_register_writes_are_refused(void **state)
{
	assert_int_equal(svm_write_cr(&world.vcpu, 0, CR0_PG), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 0, CR0_NW), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 0, BIT(32)), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 1, 0), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 2, 0), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 9, 0), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 3, BIT(62)), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 4, CR4_PCIDE), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 4, CR4_VMXE), ERR_INVALID);
	assert_int_equal(svm_write_cr(&world.vcpu, 8, 0),
			 ERR_INVALID); /* hv's: it never comes here */
	svm_world_long_mode();
	assert_int_equal(svm_write_cr(&world.vcpu, 0, CR0_PE), ERR_INVALID);
}

/* A changed CR4 changes what translations mean, and VMRUN does not flush for it. */
static void a_control_register_write_drops_translations(void **state)
{
	u32 before = world.svm.vmcb.control.asid;

	assert_int_equal(svm_write_cr(&world.vcpu, 4, CR4_PSE), 0);
	assert_int_not_equal(world.svm.vmcb.control.asid, before);
	assert_false(world.svm.vmcb.control.clean & (CLEAN_CR | CLEAN_ASID));
}

static void a_state_with_the_same_paging_keeps_translations(void **state)
{
	struct guest_state s;
	u32 asid;

	svm_drop_translations(&world.svm);
	asid = world.svm.vmcb.control.asid;
	svm_get_state(&world.vcpu, &s);
	s.lstar = 0x1000;
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
	assert_int_equal(world.svm.vmcb.control.asid, asid);
	s.cr3 = 0x7000;
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
	assert_int_not_equal(world.svm.vmcb.control.asid, asid);
}

static u64 frames_free(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.free;
}

/* Every allocation in turn says no; then none does. */
static void a_vcpu_is_made_whole_or_not_at_all(void **state)
{
	const struct vcpu_setup setup = {.stage2_root = {0x5000}, .address_space_id = 1};
	struct arch_vcpu vcpu = {0};
	int error = ERR_NO_MEMORY;
	u64 before;

	sim_boot(1, 16 * MIB);
	before = frames_free();
	for (u64 n = 1; error; n++) {
		sim_fail_frame_alloc(n, 1);
		error = svm_vcpu_init(&vcpu, &setup);
		if (!error)
			break;
		assert_int_equal(error, ERR_NO_MEMORY);
		assert_null(vcpu.backend);
		assert_int_equal(frames_free(), before);
		assert_true(n < 3);
	}
	assert_int_equal(svm_of(&vcpu)->vmcb.control.nested_cr3, 0x5000);
	assert_int_equal(svm_of(&vcpu)->vmcb.save.cs.base, 0xffff0000);
	assert_true(svm_of(&vcpu)->vmcb.control.intercept[INTERCEPT_MISC2] & 1);
	svm_vcpu_fini(&vcpu);
	assert_null(vcpu.backend);
	assert_int_equal(frames_free(), before);
}

#define TEST(name) cmocka_unit_test_setup(name, svm_world_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_set_is_what_is_got),
		TEST(breakpoints_of_a_state_stay_virtual_where_they_crash),
		TEST(svme_is_set_and_hidden),
		TEST(the_privilege_level_follows_mode_and_stack),
		TEST(a_state_no_guest_may_have_is_refused_whole),
		TEST(paging_switches_long_mode_on_and_off),
		TEST(bad_control_register_writes_are_refused),
		TEST(a_control_register_write_drops_translations),
		TEST(a_state_with_the_same_paging_keeps_translations),
		TEST(a_vcpu_is_made_whole_or_not_at_all),
	};

	return cmocka_run_group_tests_name("svm_state", tests, NULL, NULL);
}
