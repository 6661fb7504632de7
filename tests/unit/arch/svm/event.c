/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.c: injection, re-injection, double faults, and the windows.
 */
#include "sim/svm_world.h"

#include <asm/errata.h>
#include <asm/regs.h>

#define IRET_BIT  BIT(20)
#define VINTR_BIT BIT(4)

static struct vmcb_control *control;

static int setup(void **state)
{
	control = &world.svm.vmcb.control;
	return svm_world_setup(state);
}

static u64 exception(unsigned vector)
{
	return EVENT_VALID | EVENT_EXCEPTION | vector;
}

static u64 fault(unsigned vector, u32 error_code)
{
	return exception(vector) | EVENT_HAS_ERROR | (u64)error_code << 32;
}

static void raise(u8 vector, bool has_error_code, u32 error_code)
{
	svm_inject(&world.vcpu, &(struct guest_event){.type = GUEST_EVENT_EXCEPTION,
						      .vector = vector,
						      .has_error_code = has_error_code,
						      .error_code = error_code,
						      .address = 0x7777});
}

static void an_exception_waits_in_event_inj(void **state)
{
	raise(VECTOR_UD, false, 0);
	assert_int_equal(control->event_inj, 0x80000306);
	assert_true(world.svm.vmcb.save.rflags & RFLAGS_RF);
	control->event_inj = 0;
	raise(VECTOR_GP, true, 0); /* in real mode */
	assert_int_equal(control->event_inj, exception(VECTOR_GP));
	control->event_inj = 0;
	world.svm.vmcb.save.cr0 |= CR0_PE;
	raise(VECTOR_PF, true, 6);
	assert_int_equal(control->event_inj, 0x600000b0e | EVENT_VALID);
	assert_int_equal(world.svm.vmcb.save.cr2, 0x7777);
	assert_false(control->clean & CLEAN_CR2);
}

/* APM vol. 2 table 8-6. */
static void faults_on_faults_become_double_faults(void **state)
{
	static const struct {
		u8 first, second;
		u64 result;
	} rows[] = {
		{VECTOR_GP, VECTOR_GP, VECTOR_DF}, {VECTOR_GP, VECTOR_PF, VECTOR_PF},
		{VECTOR_PF, VECTOR_GP, VECTOR_DF}, {VECTOR_PF, VECTOR_PF, VECTOR_DF},
		{VECTOR_UD, VECTOR_GP, VECTOR_GP}, {VECTOR_GP, VECTOR_UD, VECTOR_UD},
		{VECTOR_DE, VECTOR_TS, VECTOR_DF}, {VECTOR_DB, VECTOR_DB, VECTOR_DB},
		{VECTOR_DF, VECTOR_GP, 0},	   {VECTOR_DF, VECTOR_PF, 0},
		{VECTOR_DF, VECTOR_DB, VECTOR_DB},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 got = svm_event_combine(exception(rows[i].first), exception(rows[i].second));

		assert_int_equal(got & EVENT_VECTOR, rows[i].result);
		assert_int_equal(!!got, !!rows[i].result);
	}
	assert_int_equal(svm_event_combine(0, fault(VECTOR_GP, 0)), fault(VECTOR_GP, 0));
	assert_int_equal(svm_event_combine(EVENT_VALID | EVENT_IRQ | 0x20, fault(VECTOR_GP, 0)),
			 fault(VECTOR_GP, 0));
}

static void a_third_fault_shuts_the_guest_down(void **state)
{
	struct hv_exit exit;

	raise(VECTOR_GP, true, 0);
	raise(VECTOR_GP, true, 0);
	assert_int_equal(control->event_inj, exception(VECTOR_DF)); /* in real mode */
	control->event_inj = 0;
	world.svm.vmcb.save.cr0 |= CR0_PE;
	raise(VECTOR_GP, true, 0);
	raise(VECTOR_GP, true, 0);
	assert_int_equal(control->event_inj, fault(VECTOR_DF, 0));
	raise(VECTOR_GP, true, 0);
	assert_false(control->intercept[INTERCEPT_MISC2] & 1);
	exit = svm_world_exit(0xffffffff, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_SHUTDOWN);
}

static void an_interrupt_needs_if_and_no_shadow(void **state)
{
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_IRQ));
	world.svm.vmcb.save.rflags |= RFLAGS_IF;
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_IRQ));
	control->interrupt_shadow = 1;
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_IRQ));
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
	control->interrupt_shadow = 0;
	svm_inject(&world.vcpu, &(struct guest_event){.type = GUEST_EVENT_IRQ, .vector = 0x20});
	assert_int_equal(control->event_inj, 0x80000020);
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_IRQ));
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_EXCEPTION));
}

static void inject_irq(u8 vector)
{
	svm_inject(&world.vcpu, &(struct guest_event){.type = GUEST_EVENT_IRQ, .vector = vector});
}

/* errata.stale_vector */
static void an_interrupt_is_a_virtual_one_where_its_vector_would_stay(void **state)
{
	const u64 queued = VIRQ_EVENT | 0x31ull << VIRQ_VECTOR_SHIFT;

	errata.stale_vector = true;
	world.svm.vmcb.save.rflags |= RFLAGS_IF;
	svm_set_irq_window(&world.vcpu, true);
	inject_irq(0x31);
	assert_int_equal(control->event_inj, 0);
	assert_int_equal(control->virq & ~VIRQ_MASKING, queued);
	assert_false(control->intercept[INTERCEPT_MISC1] & VINTR_BIT);
	assert_true(svm_event_is_queued(&world.svm));
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_IRQ));
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_EXCEPTION));
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
	/* A #NPF of its delivery: it is virtual still, and described as an exception. */
	control->exit_int_info = EVENT_VALID | EVENT_EXCEPTION | 0x31;
	svm_event_requeue(&world.svm);
	assert_int_equal(control->event_inj, 0);
	assert_int_equal(control->virq & ~VIRQ_MASKING, queued);
	control->virq &= ~VIRQ_PENDING; /* delivered */
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_IRQ));
}

/* errata.stale_vector: both use the virtual interrupt. */
static void a_window_takes_the_place_of_a_virtual_interrupt(void **state)
{
	errata.stale_vector = true;
	world.svm.vmcb.save.rflags |= RFLAGS_IF;
	inject_irq(0x31);
	svm_set_irq_window(&world.vcpu, true);
	assert_int_equal(control->event_inj, EVENT_VALID | EVENT_IRQ | 0x31);
	assert_true(control->virq & VIRQ_PENDING);
	assert_true(control->intercept[INTERCEPT_MISC1] & VINTR_BIT);
	control->event_inj = 0;
	svm_set_irq_window(&world.vcpu, false);
	inject_irq(0x32);
	raise(VECTOR_UD, false, 0); /* delivered first; the interrupt keeps its place */
	svm_set_irq_window(&world.vcpu, true);
	assert_int_equal(control->event_inj, exception(VECTOR_UD));
	assert_true(control->intercept[INTERCEPT_MISC1] & VINTR_BIT);
	assert_int_equal(control->virq >> VIRQ_VECTOR_SHIFT, 0x32);
	svm_drop_events(&world.vcpu);
	assert_false(control->virq & VIRQ_PENDING);
}

/*
 * errata.stale_vector: the guest's interrupts were open when 0x31 was queued; the handler of an
 * exception or of an NMI, which came first, has them closed, or an instruction before has a shadow.
 */
static void a_virtual_interrupt_never_goes_in_while_interrupts_are_closed(void **state)
{
	errata.stale_vector = true;
	for (unsigned shadow = 0; shadow < 2; shadow++) {
		struct hv_exit exit;

		world.svm.vmcb.save.rflags |= RFLAGS_IF;
		inject_irq(0x31);
		control->interrupt_shadow = shadow;
		if (!shadow)
			world.svm.vmcb.save.rflags &= ~RFLAGS_IF;
		svm_set_irq_window(&world.vcpu, true);
		assert_int_equal(control->event_inj, 0);
		assert_true(control->intercept[INTERCEPT_MISC1] & VINTR_BIT);
		assert_true(svm_event_is_queued(&world.svm));
		/* A HLT with interrupts closed halts; behind STI it does not. */
		assert_int_equal(svm_can_inject(&world.vcpu, GUEST_EVENT_EXCEPTION), !shadow);
		svm_set_irq_window(&world.vcpu, true); /* once more */
		assert_int_equal(control->event_inj, 0);
		world.svm.vmcb.save.rflags |= RFLAGS_IF;
		control->interrupt_shadow = 0;
		assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_IRQ));
		exit = svm_world_exit(SVM_EXIT_VINTR, 0, 0);
		assert_int_equal(exit.reason, HV_EXIT_IRQ_WINDOW);
		svm_set_irq_window(&world.vcpu, false); /* as hv does */
		assert_true(control->virq & VIRQ_PENDING);
		assert_false(control->intercept[INTERCEPT_MISC1] & VINTR_BIT);
		assert_int_equal((control->virq & VIRQ_VECTOR) >> VIRQ_VECTOR_SHIFT, 0x31);
		svm_set_irq_window(&world.vcpu, true); /* for the next one */
		assert_int_equal(control->event_inj, EVENT_VALID | EVENT_IRQ | 0x31);
		control->event_inj = 0;
		svm_set_irq_window(&world.vcpu, false);
		assert_false(control->virq & VIRQ_PENDING);
	}
}

/* The hardware clears event_inj; exit_int_info has what did not get through. */
static void an_interrupted_delivery_is_repeated(void **state)
{
	const u64 again[] = {EVENT_VALID | EVENT_IRQ | 0x31, fault(VECTOR_PF, 4),
			     EVENT_VALID | EVENT_NMI | 2};
	const u64 by_itself[] = {EVENT_VALID | EVENT_SOFT_INT | 0x80, exception(VECTOR_BP),
				 exception(VECTOR_OF)};

	for (unsigned i = 0; i < ARRAY_SIZE(again); i++) {
		control->event_inj = 0;
		control->exit_int_info = again[i];
		svm_event_requeue(&world.svm);
		assert_int_equal(control->event_inj, again[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(by_itself); i++) {
		control->event_inj = 0;
		control->exit_int_info = by_itself[i];
		svm_event_requeue(&world.svm);
		assert_int_equal(control->event_inj, 0);
	}
}

static void the_irq_window_is_a_virtual_interrupt_that_exits(void **state)
{
	struct hv_exit exit;

	svm_set_irq_window(&world.vcpu, true);
	assert_true(control->virq & VIRQ_PENDING);
	assert_true(control->virq & VIRQ_IGNORE_TPR);
	assert_true(control->intercept[INTERCEPT_MISC1] & VINTR_BIT);
	exit = svm_world_exit(SVM_EXIT_VINTR, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_IRQ_WINDOW);
	assert_false(control->virq & VIRQ_PENDING);
	assert_false(control->intercept[INTERCEPT_MISC1] & VINTR_BIT);
}

/* The drawing in event.c: inject, blocked, IRET exits, step over it, window. */
static void the_nmi_window_opens_behind_the_iret(void **state)
{
	struct hv_exit exit;

	svm_inject(&world.vcpu, &(struct guest_event){.type = GUEST_EVENT_NMI});
	assert_int_equal(control->event_inj, 0x80000202);
	assert_true(control->intercept[INTERCEPT_MISC1] & IRET_BIT);
	control->event_inj = 0;
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
	svm_set_nmi_window(&world.vcpu, true);
	exit = svm_world_exit(SVM_EXIT_IRET, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_INTERRUPT);
	assert_false(control->intercept[INTERCEPT_MISC1] & IRET_BIT);
	assert_true(world.svm.vmcb.save.rflags & RFLAGS_TF);
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
	world.svm.vmcb.save.rflags &= ~RFLAGS_TF; /* popped by the IRET */
	exit = svm_world_exit(SVM_EXIT_EXCEPTION + VECTOR_DB, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_NMI_WINDOW);
	assert_int_equal(control->event_inj, 0);
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
}

/* An event keeps the NMI out for one entry; a kick to itself ends it: that is the window. */
static void an_nmi_behind_an_event_goes_in_at_the_next_host_interrupt(void **state)
{
	struct hv_exit exit;

	raise(VECTOR_DB, false, 0);
	assert_false(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
	svm_set_nmi_window(&world.vcpu, true);
	assert_int_equal(world.kicks, 1);
	exit = svm_world_exit(SVM_EXIT_INTR, 0, 0); /* before it was delivered: once more */
	assert_int_equal(exit.reason, HV_EXIT_INTERRUPT);
	assert_int_equal(world.kicks, 2);
	control->event_inj = 0;
	exit = svm_world_exit(SVM_EXIT_INTR, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_NMI_WINDOW);
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
	exit = svm_world_exit(SVM_EXIT_INTR, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_INTERRUPT);
	assert_int_equal(world.kicks, 2);
}

static void an_nmi_behind_an_nmi_waits_for_the_iret(void **state)
{
	svm_inject(&world.vcpu, &(struct guest_event){.type = GUEST_EVENT_NMI});
	control->event_inj = 0;
	svm_set_nmi_window(&world.vcpu, true);
	assert_int_equal(svm_world_exit(SVM_EXIT_INTR, 0, 0).reason, HV_EXIT_INTERRUPT);
	assert_int_equal(world.kicks, 0);
}

static void init_leaves_no_event_and_no_window(void **state)
{
	svm_inject(&world.vcpu, &(struct guest_event){.type = GUEST_EVENT_NMI});
	svm_set_irq_window(&world.vcpu, true);
	svm_set_nmi_window(&world.vcpu, true);
	svm_drop_events(&world.vcpu);
	assert_int_equal(control->event_inj, 0);
	assert_false(control->virq & VIRQ_PENDING);
	assert_false(control->intercept[INTERCEPT_MISC1] & (IRET_BIT | VINTR_BIT));
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
	assert_int_equal(svm_world_exit(SVM_EXIT_INTR, 0, 0).reason, HV_EXIT_INTERRUPT);
}

static void without_a_waiting_nmi_the_iret_runs_on(void **state)
{
	svm_inject(&world.vcpu, &(struct guest_event){.type = GUEST_EVENT_NMI});
	control->event_inj = 0;
	svm_world_exit(SVM_EXIT_IRET, 0, 0);
	assert_false(world.svm.vmcb.save.rflags & RFLAGS_TF);
	assert_true(svm_can_inject(&world.vcpu, GUEST_EVENT_NMI));
}

/*
 * CVE-2015-5307, CVE-2015-8104: reflected, and the host's interrupts let in each time, so that an
 * endless chain of them meets the time slice.
 */
static void debug_and_alignment_faults_go_back_to_the_guest(void **state)
{
	struct hv_exit exit;

	world.svm.vmcb.save.cr0 |= CR0_PE;
	exit = svm_world_exit(SVM_EXIT_EXCEPTION + VECTOR_DB, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_INTERRUPT);
	assert_int_equal(control->event_inj, exception(VECTOR_DB));
	assert_false(world.svm.vmcb.save.rflags & RFLAGS_RF);
	control->event_inj = 0;
	exit = svm_world_exit(SVM_EXIT_EXCEPTION + VECTOR_AC, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_INTERRUPT);
	assert_int_equal(control->event_inj, fault(VECTOR_AC, 0));
	control->event_inj = 0;
	assert_int_equal(world.windows, 2);
	exit = svm_world_exit(SVM_EXIT_RDPMC, 0, 0);
	assert_int_equal(exit.reason, HV_EXIT_INTERRUPT);
	assert_int_equal(control->event_inj, fault(VECTOR_GP, 0));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_exception_waits_in_event_inj),
		TEST(faults_on_faults_become_double_faults),
		TEST(a_third_fault_shuts_the_guest_down),
		TEST(an_interrupt_needs_if_and_no_shadow),
		TEST(an_interrupt_is_a_virtual_one_where_its_vector_would_stay),
		TEST(a_window_takes_the_place_of_a_virtual_interrupt),
		TEST(a_virtual_interrupt_never_goes_in_while_interrupts_are_closed),
		TEST(an_interrupted_delivery_is_repeated),
		TEST(the_irq_window_is_a_virtual_interrupt_that_exits),
		TEST(the_nmi_window_opens_behind_the_iret),
		TEST(an_nmi_behind_an_event_goes_in_at_the_next_host_interrupt),
		TEST(an_nmi_behind_an_nmi_waits_for_the_iret),
		TEST(init_leaves_no_event_and_no_window),
		TEST(without_a_waiting_nmi_the_iret_runs_on),
		TEST(debug_and_alignment_faults_go_back_to_the_guest),
	};

	return cmocka_run_group_tests_name("svm_event", tests, NULL, NULL);
}
