/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c: start, INIT and SIPI of a vCPU, and its halts and wakes, with a back end that only
 * records (START-1).
 */
#include "sim/sim.h"
#include <arch/regs.h>
#include <hv/irqchip.h>
#include <hv/sched.h>
#include <hv/vcpu.h>
#include <lib/error.h>

#define VCPUS 3

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct guest_state loaded[VCPUS];
static unsigned sets, queued, resets, stops;
static bool irq_pending, can_inject;
static int set_result;
static u64 alarm_in;
static unsigned timer_runs;

static struct vcpu *vcpu_of(struct arch_vcpu *arch)
{
	return container_of(arch, struct vcpu, arch);
}

static void get_state(struct arch_vcpu *arch, struct guest_state *state)
{
	*state = loaded[vcpu_of(arch)->index];
}

static int set_state(struct arch_vcpu *arch, const struct guest_state *state)
{
	sets++;
	if (!set_result)
		loaded[vcpu_of(arch)->index] = *state;
	return set_result;
}

static bool fake_can_inject(struct arch_vcpu *arch, enum guest_event_type type)
{
	return type == GUEST_EVENT_EXCEPTION || can_inject;
}

static unsigned injected[3], nmi_windows, drops;

static void inject(struct arch_vcpu *arch, const struct guest_event *event)
{
	injected[event->type]++;
}

static void set_window(struct arch_vcpu *arch, bool on)
{
}

static void set_nmi_window(struct arch_vcpu *arch, bool on)
{
	nmi_windows++;
}

static void drop_events(struct arch_vcpu *vcpu)
{
	drops++;
}

static const struct virt_ops fake = {
	.get_state = get_state,
	.set_state = set_state,
	.can_inject = fake_can_inject,
	.inject = inject,
	.set_irq_window = set_window,
	.set_nmi_window = set_nmi_window,
	.drop_events = drop_events,
};
const struct virt_ops *virt = &fake;

static bool pending(struct vcpu *vcpu)
{
	return irq_pending;
}

static u8 take(struct vcpu *vcpu)
{
	irq_pending = false;
	return 32;
}

static u64 alarm_at(const struct vcpu *vcpu, u64 now)
{
	return now + alarm_in;
}

static void run_timers(struct vcpu *vcpu)
{
	timer_runs++;
	sim_ticks += 2000; /* longer than a short timer's period */
}

static bool no_ticks(const struct vcpu *vcpu)
{
	return false;
}

static void reset(struct vcpu *vcpu)
{
	resets++;
}

static const struct irqchip_ops board = {
	.pending = pending,
	.take = take,
	.alarm = alarm_at,
	.run_timers = run_timers,
	.ticks_owed = no_ticks,
	.reset = reset,
	.devices = true,
};

void sched_add(struct vcpu *vcpu)
{
	queued++;
}

void sched_woken(struct vcpu *vcpu)
{
}

void vm_stop(struct vm *of, enum vm_end end, u64 status)
{
	stops++;
	of->end = end;
}

static int start(void **state)
{
	sim_init(VCPUS);
	memset(&vm, 0, sizeof(vm));
	memset(loaded, 0, sizeof(loaded));
	vm.config.vcpus = VCPUS;
	vm.irqchip = &board;
	vm.state = VM_RUNNING;
	vm.awake = vm.held = 1;
	vm.reset.rip = 0xfff0;
	spin_init(&vm.lock, LOCK_VM, "vm");
	for (unsigned i = 0; i < VCPUS; i++) {
		vcpus[i] = (struct vcpu){.vm = &vm, .index = i, .cpu = i};
		vcpus[i].state = i ? VCPU_OFF : VCPU_READY;
		vcpus[i].waits_for_sipi = i > 0;
		vm.vcpu[i] = &vcpus[i];
	}
	loaded[0].efer = EFER_LMA;
	loaded[0].seg[SEG_CS].attr = SEG_ATTR_L;
	sets = queued = resets = stops = nmi_windows = drops = 0;
	injected[GUEST_EVENT_IRQ] = injected[GUEST_EVENT_NMI] = 0;
	irq_pending = can_inject = false;
	set_result = 0;
	alarm_in = 5;
	timer_runs = 0;
	return 0;
}

/* START-1: two CPUs send a SIPI to one vCPU; the owner alone changes it, once. */
static void two_sipis_at_once_start_a_vcpu_once(void **state)
{
	vcpu_signal_sipi(&vcpus[2], 0x10);
	vcpu_signal_sipi(&vcpus[2], 0x20);
	assert_int_equal(queued, 1);
	assert_int_equal(vm.held, 2);
	assert_int_equal(sets, 0); /* no sender touches it */
	assert_int_equal(resets, 0);
	assert_true(vcpu_follow_signals(&vcpus[2]));
	assert_int_equal(sets, 1);
	assert_int_equal(loaded[2].seg[SEG_CS].base, 0x20000);
	vcpu_signal_sipi(&vcpus[2], 0x30); /* it runs: no effect */
	assert_true(vcpu_follow_signals(&vcpus[2]));
	assert_int_equal(sets, 1);
	assert_int_equal(resets, 0);
}

static void a_vcpu_that_is_off_ignores_init(void **state)
{
	vcpu_signal_init(&vcpus[1]);
	assert_int_equal(vcpus[1].signals, 0);
	assert_int_equal(vcpus[1].state, VCPU_OFF);
}

static void init_resets_by_the_owner_and_waits_for_the_sipi(void **state)
{
	vcpu_signal_sipi(&vcpus[1], 1);
	assert_true(vcpu_follow_signals(&vcpus[1]));
	vcpu_signal_init(&vcpus[1]);
	assert_int_equal(resets, 0);
	assert_false(vcpu_follow_signals(&vcpus[1]));
	assert_int_equal(resets, 1);
	assert_int_equal(drops, 1);
	assert_int_equal(vcpus[1].state, VCPU_HALTED);
	assert_int_equal(vm.awake, 1);
	vcpu_pend_nmi(&vcpus[1]);
	vcpu_notify(&vcpus[1]);
	assert_int_equal(vcpus[1].state, VCPU_HALTED); /* an NMI does not wake it */
	vcpu_signal_sipi(&vcpus[1], 7);
	assert_int_equal(vcpus[1].state, VCPU_READY);
	assert_int_equal(vm.awake, 2); /* else the VM would end with a vCPU that runs */
	assert_true(vcpu_follow_signals(&vcpus[1]));
	assert_int_equal(loaded[1].seg[SEG_CS].selector, 0x700);
}

static void an_init_ends_a_sipi_before_it_and_keeps_one_behind_it(void **state)
{
	vcpu_signal_sipi(&vcpus[1], 1);
	vcpu_signal_init(&vcpus[1]);
	assert_false(vcpu_follow_signals(&vcpus[1]));
	assert_int_equal(sets, 0);
	vcpu_signal_init(&vcpus[1]);
	vcpu_signal_sipi(&vcpus[1], 2);
	assert_true(vcpu_follow_signals(&vcpus[1]));
	assert_int_equal(loaded[1].seg[SEG_CS].base, 0x2000);
}

static void a_start_by_hypercall_is_carried_out_by_the_owner(void **state)
{
	assert_int_equal(vcpu_start(&vcpus[1], &vcpus[0], 1ull << 63, 0, 0), ERR_INVALID);
	assert_int_equal(vcpus[1].state, VCPU_OFF);
	assert_int_equal(vcpu_start(&vcpus[1], &vcpus[0], 0x1234, 0x5000, 9), 0);
	assert_int_equal(vcpu_start(&vcpus[1], &vcpus[0], 0x1234, 0x5000, 9), ERR_BUSY);
	assert_int_equal(sets, 0);
	assert_true(vcpu_follow_signals(&vcpus[1]));
	assert_int_equal(loaded[1].rip, 0x1234);
	assert_int_equal(vcpus[1].arch.gpr[GPR_RSP], 0x5000);
	assert_int_equal(vcpus[1].arch.gpr[GPR_RDI], 9);
}

static void a_state_that_the_cpu_refuses_stops_the_vm(void **state)
{
	assert_int_equal(vcpu_start(&vcpus[1], &vcpus[0], 0x1234, 0, 0), 0);
	set_result = ERR_INVALID;
	(void)vcpu_follow_signals(&vcpus[1]);
	assert_int_equal(stops, 1);
	assert_int_equal(vm.end, VM_END_ENTRY_FAILED);
}

static void a_vm_ends_when_its_last_vcpu_waits_for_a_sipi(void **state)
{
	vm.awake = 1;
	vcpus[0].waits_for_sipi = true;
	assert_false(vcpu_follow_signals(&vcpus[0]));
	assert_int_equal(stops, 1);
	assert_int_equal(vm.end, VM_END_HALTED);
}

/* SDM vol. 3A, 6.7.1: one is delivered, one more is latched. */
static void two_nmis_are_kept_and_a_third_is_lost(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		vcpu_pend_nmi(&vcpus[0]);
	can_inject = true;
	vcpu_deliver_irqs(&vcpus[0]);
	assert_int_equal(injected[GUEST_EVENT_NMI], 1);
	assert_int_equal(nmi_windows, 1); /* for the second */
	vcpu_deliver_irqs(&vcpus[0]);
	assert_int_equal(injected[GUEST_EVENT_NMI], 2);
	vcpu_deliver_irqs(&vcpus[0]);
	assert_int_equal(injected[GUEST_EVENT_NMI], 2);
}

static void with_interrupts_off_only_an_nmi_ends_a_halt(void **state)
{
	vm.awake = 2;
	vcpu_halt(&vcpus[0]);
	assert_int_equal(vcpus[0].state, VCPU_HALTED);
	assert_int_equal(vm.awake, 1);
	assert_int_equal(vcpu_alarm(&vcpus[0], 7), TICK_NEVER);
	irq_pending = true;
	vcpu_notify(&vcpus[0]);
	assert_int_equal(vcpus[0].state, VCPU_HALTED);
	vcpu_pend_nmi(&vcpus[0]);
	vcpu_notify(&vcpus[0]);
	assert_int_equal(vcpus[0].state, VCPU_READY);
	assert_int_equal(vm.awake, 2);
}

static void an_interrupt_before_the_halt_is_not_slept_through(void **state)
{
	loaded[0].rflags = RFLAGS_IF;
	irq_pending = can_inject = true;
	vcpu_halt(&vcpus[0]);
	assert_int_equal(vcpus[0].state, VCPU_READY);
	irq_pending = false;
	vcpu_halt(&vcpus[0]);
	assert_int_equal(vcpus[0].state, VCPU_HALTED);
	assert_int_equal(vcpu_alarm(&vcpus[0], 7), 12);
	assert_int_equal(stops, 0);
}

/* RUN-6: of a timer that is always due. */
static void timers_rest_after_they_have_run(void **state)
{
	u64 rest;

	alarm_in = 0;
	vcpu_deliver_irqs(&vcpus[0]);
	assert_int_equal(timer_runs, 1);
	rest = sim_ticks + 20000; /* from the end of the run */
	for (unsigned i = 0; i < 100; i++)
		vcpu_deliver_irqs(&vcpus[0]);
	assert_int_equal(timer_runs, 1);
	assert_int_equal(vcpu_alarm(&vcpus[0], sim_ticks), rest);
	sim_ticks = rest - 2; /* a look at the clock is a tick */
	vcpu_deliver_irqs(&vcpus[0]);
	assert_int_equal(timer_runs, 1);
	sim_ticks = rest;
	vcpu_deliver_irqs(&vcpus[0]);
	assert_int_equal(timer_runs, 2);
	assert_int_equal(vcpu_alarm(&vcpus[1], 7), 7); /* each vCPU's own */
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_sipis_at_once_start_a_vcpu_once),
		TEST(a_vcpu_that_is_off_ignores_init),
		TEST(init_resets_by_the_owner_and_waits_for_the_sipi),
		TEST(an_init_ends_a_sipi_before_it_and_keeps_one_behind_it),
		TEST(a_start_by_hypercall_is_carried_out_by_the_owner),
		TEST(a_state_that_the_cpu_refuses_stops_the_vm),
		TEST(a_vm_ends_when_its_last_vcpu_waits_for_a_sipi),
		TEST(two_nmis_are_kept_and_a_third_is_lost),
		TEST(with_interrupts_off_only_an_nmi_ends_a_halt),
		TEST(an_interrupt_before_the_halt_is_not_slept_through),
		TEST(timers_rest_after_they_have_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
