/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.c: exit codes to struct hv_exit, instruction lengths with and without NRIPS, string
 * I/O, and the permission maps.
 */
#include "sim/svm_world.h"

#include <asm/errata.h>
#include <asm/regs.h>
#include <lib/error.h>

static void every_exit_code_has_a_name_and_a_reason(void **state)
{
	for (unsigned i = 0; i < SVM_EXIT_LOW_END; i++) {
		assert_non_null(svm_exits_low[i].name);
		assert_in_range(svm_exits_low[i].reason, 0, HV_EXIT_REASONS - 1);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(svm_exits_high); i++)
		assert_non_null(svm_exits_high[i].name);
}

static void each_exit_has_hvs_word_for_it(void **state)
{
	static const struct {
		u64 code, info1;
		enum hv_exit_reason reason;
		unsigned len;
	} rows[] = {
		{0x72, 0, HV_EXIT_CPUID, 2},
		{0x78, 0, HV_EXIT_HLT, 1},
		{0x7c, 0, HV_EXIT_MSR_READ, 2},
		{0x7c, 1, HV_EXIT_MSR_WRITE, 2},
		{0x81, 0, HV_EXIT_HYPERCALL, 3},
		{0x80, 0, HV_EXIT_VIRT_INSN, 0},
		{0x86, 0, HV_EXIT_VIRT_INSN, 0},
		{0x7a, 0, HV_EXIT_VIRT_INSN, 0},
		{0x89, 0, HV_EXIT_CACHE, 2},
		{0x76, 0, HV_EXIT_CACHE, 2},
		{0x8d, 0, HV_EXIT_XSETBV, 3},
		{0x77, 0, HV_EXIT_PAUSE, 2},
		{0x6e, 0, HV_EXIT_TSC, 2},
		{0x7f, 0, HV_EXIT_SHUTDOWN, 0},
		{0x64, 0, HV_EXIT_IRQ_WINDOW, 0},
		{0x7d, 0, HV_EXIT_TASK_SWITCH, 0},
		{0xa7, 0, HV_EXIT_UNKNOWN, 0},
		{0x3ff, 0, HV_EXIT_UNKNOWN, 0},
		{0x403, 0, HV_EXIT_UNKNOWN, 0},
		{0x404, 0, HV_EXIT_UNKNOWN, 0},
		{0x7fffffff, 0, HV_EXIT_UNKNOWN, 0},
		{~0ull, 0, HV_EXIT_ENTRY_FAILED, 0},
		{0xffffffff, 0, HV_EXIT_ENTRY_FAILED, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hv_exit exit = svm_world_exit(rows[i].code, rows[i].info1, 0);

		assert_int_equal(exit.reason, rows[i].reason);
		assert_int_equal(exit.insn_len, rows[i].len);
		assert_int_equal(exit.raw.reason, rows[i].code);
	}
}

/* What an interrupt of the host in the shadow of STI is to hv, when it has had the code read. */
static struct hv_exit interrupted_before(u8 opcode)
{
	struct hv_exit exit;
	unsigned fetches = world.fetches;

	svm_world_code(opcode, 0x90);
	exit = svm_world_exit(SVM_EXIT_INTR, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_SHADOW);
	assert_int_equal(world.fetches, fetches); /* RUN-2: reading takes a lock */
	svm_complete_exit(&world.vcpu, &exit);
	return exit;
}

static void an_exit_between_sti_and_hlt_is_the_hlts(void **state)
{
	struct vmcb *vmcb = &world.svm.vmcb;
	struct hv_exit exit;

	vmcb->control.interrupt_shadow = 1;
	exit = interrupted_before(0xf4);
	assert_int_equal(exit.reason, HV_EXIT_HLT);
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(vmcb->save.rip, 0x1001);
	assert_int_equal(vmcb->control.interrupt_shadow, 0);
}

static void any_other_exit_in_the_shadow_is_none_of_a_hlt(void **state)
{
	struct vmcb *vmcb = &world.svm.vmcb;

	assert_int_equal(svm_world_exit(SVM_EXIT_INTR, 0, 0).reason, HV_EXIT_INTERRUPT);
	vmcb->control.interrupt_shadow = 1;
	assert_int_equal(interrupted_before(0x90).reason, HV_EXIT_TIMESLICE);
	vmcb->save.cpl = 3; /* the HLT is a #GP there */
	assert_int_equal(interrupted_before(0xf4).reason, HV_EXIT_TIMESLICE);
	vmcb->save.cpl = 0;
	vmcb->control.event_inj = EVENT_VALID; /* comes before the HLT */
	assert_int_equal(interrupted_before(0xf4).reason, HV_EXIT_TIMESLICE);
	assert_int_equal(vmcb->control.interrupt_shadow, 1);
}

/* The exit of a task switch, its length found. */
static struct hv_exit task_exit(u64 event, u64 info2)
{
	struct hv_exit exit;

	world.svm.vmcb.control.event_inj = 0;
	world.svm.vmcb.control.exit_int_info = event;
	if (event)
		svm_event_requeue(&world.svm);
	exit = svm_world_exit(SVM_EXIT_TASK_SWITCH, 0x28, info2);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.reason, HV_EXIT_TASK_SWITCH);
	assert_int_equal(exit.task.selector, 0x28);
	return exit;
}

/* Each way to a task by an instruction, in 16-bit and 32-bit code, with prefixes. */
static void a_task_switch_by_an_instruction_has_its_length(void **state)
{
	static const struct {
		bool code_32;
		u64 info2, event;
		u8 source, len, code[8];
	} rows[] = {
		{false, BIT(38), 0, TASK_JMP, 5, {0xea, 0, 0, 0x28, 0}},
		{true, BIT(38), 0, TASK_JMP, 7, {0xea, 0, 0, 0, 0, 0x28, 0}},
		{true, BIT(38), 0, TASK_JMP, 6, {0x66, 0xea, 0, 0, 0x28, 0}},
		{false, 0, 0, TASK_CALL, 8, {0x66, 0x9a, 0, 0, 0, 0, 0x28, 0}},
		{true, 0, 0, TASK_CALL, 2, {0xff, 0x18}},		/* [eax] */
		{true, 0, 0, TASK_CALL, 6, {0xff, 0x1d}},		/* [disp32] */
		{true, 0, 0, TASK_CALL, 4, {0xff, 0x5c, 0x24, 8}},	/* [esp + 8] */
		{true, 0, 0, TASK_CALL, 7, {0xff, 0x1c, 0x25}},		/* [disp32] by SIB */
		{true, BIT(38), 0, TASK_JMP, 7, {0x2e, 0xff, 0xa8}},	/* cs:[eax + disp32] */
		{false, BIT(38), 0, TASK_JMP, 4, {0xff, 0x2e, 0, 1}},	/* [disp16] */
		{false, BIT(38), 0, TASK_JMP, 3, {0xff, 0x6f, 1}},	/* [bx + 1] */
		{true, BIT(38), 0, TASK_JMP, 4, {0x67, 0xff, 0x6f, 1}}, /* the same */
		{true, BIT(36), 0, TASK_IRET, 1, {0xcf}},
		{true, 0, EVENT_VALID | EVENT_SOFT_INT | 0x30, TASK_GATE, 2, {0xcd, 0x30}},
		{true, 0, EVENT_VALID | EVENT_EXCEPTION | VECTOR_BP, TASK_GATE, 1, {0xcc}},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hv_exit exit;

		svm_world_set_code(rows[i].code, sizeof(rows[i].code));
		world.svm.vmcb.save.cs.attrib = rows[i].code_32 ? VMCB_SEG_BIG : 0;
		exit = task_exit(rows[i].event, rows[i].info2);
		assert_int_equal(exit.task.source, rows[i].source);
		assert_int_equal(exit.insn_len, rows[i].len);
		assert_false(exit.task.has_error_code);
	}
}

/* It stays queued, for a fault on the way to merge with. */
static void a_task_switch_by_an_event_returns_to_the_instruction(void **state)
{
	u64 pf = EVENT_VALID | EVENT_EXCEPTION | EVENT_HAS_ERROR | VECTOR_PF | 6ull << 32;
	struct hv_exit exit;

	svm_world_code(0xcd, 0x30);
	exit = task_exit(pf, BIT(44) | BIT(48) | 6);
	assert_int_equal(exit.task.source, TASK_GATE);
	assert_int_equal(exit.insn_len, 0);
	assert_true(exit.task.has_error_code && exit.task.error_code == 6 && !exit.task.nmi);
	assert_true(world.svm.vmcb.save.rflags & RFLAGS_RF);
	assert_int_equal(world.svm.vmcb.control.event_inj, pf);
	exit = task_exit(EVENT_VALID | EVENT_NMI | VECTOR_NMI, 0);
	assert_true(exit.task.nmi && !exit.insn_len);
}

/* The IRET of an NMI handler that is a task: no #DB comes behind it, and TF is not the task's. */
static void the_step_of_an_nmi_window_ends_with_the_task(void **state)
{
	svm_world_code(0xcf);
	svm_block_nmi(&world.svm, true);
	svm_set_nmi_window(&world.vcpu, true);
	svm_world_exit(SVM_EXIT_IRET, 0, 0);
	assert_true(world.svm.vmcb.save.rflags & RFLAGS_TF);
	assert_int_equal(task_exit(0, BIT(36)).task.source, TASK_IRET);
	assert_false(world.svm.vmcb.save.rflags & RFLAGS_TF);
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
}

/* The values QEMU 7.2 gives, and those of APM 15.25.6. */
static void nested_faults_report_access_and_cause(void **state)
{
	static const struct {
		u64 info1;
		u8 access;
		bool walk;
	} rows[] = {
		{0x100000004, HV_READ, false},	{0x100000006, HV_WRITE, false},
		{0x100000007, HV_WRITE, false}, {0x100000015, HV_EXEC, false},
		{0x200000007, HV_WRITE, true},	{0x200000004, HV_READ, true},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hv_exit exit = svm_world_exit(SVM_EXIT_NPF, rows[i].info1, 0x12345678);

		assert_int_equal(exit.reason, HV_EXIT_STAGE2);
		assert_int_equal(exit.stage2.gpa.raw, 0x12345678);
		assert_int_equal(exit.stage2.access, rows[i].access);
		assert_int_equal(exit.stage2.table_walk, rows[i].walk);
		assert_false(exit.stage2.delivery);
	}
	world.svm.vmcb.control.exit_int_info = EVENT_VALID | EVENT_EXCEPTION | VECTOR_PF;
	assert_true(svm_world_exit(SVM_EXIT_NPF, 0x100000006, 0).stage2.delivery);
	assert_int_equal(svm_world_exit(SVM_EXIT_NPF, 0x10000000c, 0).reason,
			 HV_EXIT_STAGE2_BROKEN);
}

static void port_io_is_decoded(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_IOIO, 0x03f80011, 0x1002);

	assert_int_equal(exit.reason, HV_EXIT_PIO);
	assert_int_equal(exit.pio.port, 0x3f8);
	assert_int_equal(exit.pio.size, 1);
	assert_true(exit.pio.in);
	assert_false(exit.pio.string);
	assert_int_equal(exit.insn_len, 2);
	exit = svm_world_exit(SVM_EXIT_IOIO, 0x0cf80040, 0x1001);
	assert_int_equal(exit.pio.size, 4);
	assert_false(exit.pio.in);
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x1001);
	assert_int_equal(world.fetches, 0);
}

/* Real mode, addresses of 16 bits: rSI wraps, the segment's base counts, an override too. */
static void decode_assists_spare_the_fetch(void **state)
{
	struct hv_exit exit;

	svm_features = SVM_FEATURE_DECODE_ASSIST;
	exit = svm_world_exit(SVM_EXIT_CR_WRITE + 4, CR_EXIT_MOV | 9, 0);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.cr.cr, 4);
	assert_int_equal(exit.cr.gpr, 9);
	assert_int_equal(world.fetches, 0);
}

static void without_assists_the_register_is_read_from_the_code(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CR_WRITE + 4, 0, 0);

	svm_world_code(0x0f, 0x22, 0xe3);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.cr.gpr, GPR_RBX);
	svm_world_long_mode();
	svm_world_code(0x41, 0x0f, 0x22, 0xe3);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.cr.gpr, GPR_R11);
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x1004);
}

static void cr8_is_read_into_the_register_that_the_code_names(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CR_READ + 8, 0, 0);

	svm_world_long_mode();
	svm_world_code(0x45, 0x0f, 0x20, 0xc3); /* mov %cr8, %r11 */
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.reason, HV_EXIT_CR);
	assert_int_equal(exit.cr.cr, 8);
	assert_false(exit.cr.write);
	assert_int_equal(exit.cr.gpr, GPR_R11);
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x1004);
}

/* QEMU's TCG says RDTSC of both. */
static void rdtscp_is_a_byte_longer_than_rdtsc(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_RDTSC, 0, 0);

	svm_world_code(0x0f, 0x31);
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x1002);
	svm_world_code(0x66, 0x0f, 0x01, 0xf9);
	for (unsigned i = 0; i < 2; i++) {
		world.svm.vmcb.save.rip = 0x2003;
		svm_skip_insn(&world.vcpu, &exit);
		assert_int_equal(world.svm.vmcb.save.rip, 0x2007);
	}
}

/* The code changed under the exit: no register is written to CR4. */
static void a_register_that_cannot_be_known_is_refused(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CR_WRITE + 4, 0, 0);

	world.code_len = 2;
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(svm_write_cr(&world.vcpu, exit.cr.cr, 0), ERR_INVALID);
	svm_world_code(0x0f, 0xa2, 0x90);
	exit = svm_world_exit(SVM_EXIT_CR_WRITE + 4, 0, 0);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(svm_write_cr(&world.vcpu, exit.cr.cr, 0), ERR_INVALID);
}

/* Selective CR0 intercept: MOV, and LMSW, which cannot clear PE. */
static void lmsw_changes_four_bits_and_never_clears_pe(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CR0_SEL_WRITE, 0, 0);

	world.svm.vmcb.save.cr0 = CR0_PE | CR0_ET | CR0_TS;
	world.vcpu.gpr[GPR_RCX] = CR0_MP | CR0_WP;
	svm_world_code(0x0f, 0x01, 0xf1);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.cr.cr, 0);
	assert_true(exit.cr.has_value);
	assert_int_equal(exit.cr.value, CR0_PE | CR0_ET | CR0_MP);
	exit = svm_world_exit(SVM_EXIT_CR0_SEL_WRITE, 0, 0);
	svm_world_code(0x0f, 0x22, 0xc2);
	svm_complete_exit(&world.vcpu, &exit);
	assert_false(exit.cr.has_value);
	assert_int_equal(exit.cr.gpr, GPR_RDX);
}

static void redundant_prefixes_are_skipped_and_read_once(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CPUID, 0, 0);

	svm_world_code(0x66, 0x67, 0x0f, 0xa2);
	for (unsigned i = 0; i < 3; i++) {
		world.svm.vmcb.save.rip = 0x1000;
		svm_skip_insn(&world.vcpu, &exit);
		assert_int_equal(world.svm.vmcb.save.rip, 0x1004);
	}
	assert_int_equal(world.fetches, 1);
	world.svm.vmcb.save.cr3 = 0x5000;
	world.svm.vmcb.save.rip = 0x1000;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.fetches, 2);
	exit = svm_world_exit(SVM_EXIT_PAUSE, 0, 0);
	svm_world_code(0xf3, 0x90);
	world.svm.vmcb.save.rip = 0x2001;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x2003);
}

static void unreadable_code_has_the_shortest_length(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_VMMCALL, 0, 0);

	world.code_len = 0;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x1003);
	svm_world_code(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		       0x66, 0x66);
	world.svm.vmcb.save.rip = 0x3000;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x3003);
}

static void next_rip_is_believed_where_there_is_one(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CPUID, 0, 0);

	world.svm.vmcb.control.next_rip = 0x1005;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x1005);
	assert_int_equal(world.fetches, 0);
}

static void a_32_bit_rip_wraps_and_a_64_bit_one_does_not(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CPUID, 0, 0);

	world.svm.vmcb.save.rip = 0xfffffffe;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0);
	svm_world_long_mode();
	world.svm.vmcb.save.rip = 0xfffffffe;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0x100000000);
	world.svm.vmcb.save.rip = 0xffffffff80000ffe;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.save.rip, 0xffffffff80001000);
}

/* RF and the interrupt shadow end with the instruction, and TF traps behind it. */
static void skipping_ends_what_lasts_one_instruction(void **state)
{
	struct hv_exit exit = svm_world_exit(SVM_EXIT_CPUID, 0, 0);

	world.svm.vmcb.control.interrupt_shadow = 1;
	world.svm.vmcb.save.rflags |= RFLAGS_RF;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.control.interrupt_shadow, 0);
	assert_false(world.svm.vmcb.save.rflags & RFLAGS_RF);
	assert_int_equal(world.svm.vmcb.control.event_inj, 0);
	world.svm.vmcb.save.rflags |= RFLAGS_TF;
	svm_skip_insn(&world.vcpu, &exit);
	assert_int_equal(world.svm.vmcb.control.event_inj, 0x80000301);
	assert_true(world.svm.vmcb.save.dr6 & BIT(14));
}

/* errata.no_breakpoints: the guest reads what it wrote, the CPU has none. */
static void dr7_is_virtual_where_breakpoints_crash(void **state)
{
	struct hv_exit exit;

	errata.no_breakpoints = true;
	world.vcpu.gpr[GPR_RDX] = 0x12345;
	svm_world_code(0x0f, 0x23, 0xfa); /* mov dr7, edx */
	exit = svm_world_exit(SVM_EXIT_DR_WRITE + 7, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_DR);
	assert_int_equal(exit.insn_len, 3);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.reason, HV_EXIT_DR);
	assert_int_equal(world.svm.vmcb.save.dr7, DR7_RESET);
	svm_world_code(0x0f, 0x21, 0xf9); /* mov ecx, dr7 */
	exit = svm_world_exit(SVM_EXIT_DR_READ + 7, 0, 0);
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(world.vcpu.gpr[GPR_RCX], 0x12345 | DR7_RESET);
	svm_world_code(0x90, 0x90, 0x90); /* rewritten meanwhile */
	svm_complete_exit(&world.vcpu, &exit);
	assert_int_equal(exit.reason, HV_EXIT_UNKNOWN);
}

static void an_msr_map_covers_three_ranges_and_no_more(void **state)
{
	static u8 map[MSRPM_SIZE];

	memset(map, 0xff, sizeof(map));
	assert_true(svm_msrpm_allow(map, 0x10, true, false));
	assert_int_equal(map[4], 0xfe);
	assert_true(svm_msrpm_allow(map, 0xc0000102, true, true));
	assert_int_equal(map[0x800 + 0x40], 0xcf);
	assert_true(svm_msrpm_allow(map, 0xc0011fff, false, true));
	assert_int_equal(map[0x17ff], 0x7f);
	assert_false(svm_msrpm_allow(map, 0x2000, true, true));
	assert_false(svm_msrpm_allow(map, 0xc0002000, true, true));
	assert_false(svm_msrpm_allow(map, 0xc0012000, true, true));
	assert_false(svm_msrpm_allow(map, 0xbfffffff, true, true));
	for (unsigned i = 0; i < sizeof(map); i++)
		assert_true(map[i] == 0xff || i == 4 || i == 0x840 || i == 0x17ff);
}

#define TEST(name) cmocka_unit_test_setup(name, svm_world_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_exit_code_has_a_name_and_a_reason),
		TEST(each_exit_has_hvs_word_for_it),
		TEST(an_exit_between_sti_and_hlt_is_the_hlts),
		TEST(any_other_exit_in_the_shadow_is_none_of_a_hlt),
		TEST(a_task_switch_by_an_instruction_has_its_length),
		TEST(a_task_switch_by_an_event_returns_to_the_instruction),
		TEST(the_step_of_an_nmi_window_ends_with_the_task),
		TEST(nested_faults_report_access_and_cause),
		TEST(port_io_is_decoded),
		TEST(decode_assists_spare_the_fetch),
		TEST(without_assists_the_register_is_read_from_the_code),
		TEST(cr8_is_read_into_the_register_that_the_code_names),
		TEST(rdtscp_is_a_byte_longer_than_rdtsc),
		TEST(a_register_that_cannot_be_known_is_refused),
		TEST(lmsw_changes_four_bits_and_never_clears_pe),
		TEST(redundant_prefixes_are_skipped_and_read_once),
		TEST(unreadable_code_has_the_shortest_length),
		TEST(next_rip_is_believed_where_there_is_one),
		TEST(a_32_bit_rip_wraps_and_a_64_bit_one_does_not),
		TEST(skipping_ends_what_lasts_one_instruction),
		TEST(dr7_is_virtual_where_breakpoints_crash),
		TEST(an_msr_map_covers_three_ranges_and_no_more),
	};

	return cmocka_run_group_tests_name("svm_exit", tests, NULL, NULL);
}
