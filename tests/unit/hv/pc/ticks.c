/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticks.c: the PIT's interrupts on the whole board, as a guest takes them that has a CPU only now
 * and then (TICK-1 to TICK-4).
 *
 * The guest is a loop of this file: while it has the CPU it takes what is pending, ends it and
 * counts; time passes in steps of 10 us. Its time is the TSC's, at 1 GHz, so that every count here
 * is exact.
 */
#include "sim/board_world.h"
#include "sim/sim.h"
#include <hv/acpi.h>
#include <hv/memory.h>
#include "hv/pc/private.h"
#include <hv/vcpu.h>

#define US	      1000ull
#define MS	      (1000 * US)
#define STEP	      (10 * US)
#define LINUX_RELOAD  4773 /* 250 Hz */
#define VECTOR	      0x30
#define PIC_BASE      0x20
#define TICK(n)	      ((n)*LINUX_RELOAD * 1000000000ull / PIT_HZ)
#define REDIRECTION   0x10
#define MASK	      BIT(16)
#define MODE_RATE     0x34
#define MODE_ONE_SHOT 0x38

enum path { BY_IOAPIC, BY_PIC };

static struct vm vm;
static struct vcpu vcpus[2];
static enum path path;
static bool interrupts_off, automatic_eoi;
static u64 jiffies, started;

static unsigned stops;

void vm_stop(struct vm *of, enum vm_end end, u64 status)
{
	stops += end == VM_END_REBOOT;
}

static void out(u16 port, u8 value)
{
	assert_int_equal(pc_port_write(vm.pc, port, 1, value), 1);
}

static void lapic_out(struct vcpu *vcpu, enum lapic_reg reg, u32 value)
{
	pc_mmio_write(vcpu, (struct gpa){LAPIC_BASE + reg * 16}, value);
}

static void ioapic_out(unsigned reg, u32 value)
{
	pc_mmio_write(&vcpus[0], (struct gpa){IOAPIC_BASE}, reg);
	pc_mmio_write(&vcpus[0], (struct gpa){IOAPIC_BASE + 0x10}, value);
}

static void route_timer(u32 to, u32 entry)
{
	ioapic_out(REDIRECTION + 2 * PC_PIN_TIMER + 1, to << 24);
	ioapic_out(REDIRECTION + 2 * PC_PIN_TIMER, entry);
}

static void program(u8 mode, u16 reload)
{
	out(0x43, mode);
	out(0x40, reload & 0xff);
	out(0x40, reload >> 8);
	started = pc_clock(vm.pc, PIT_HZ);
}

static void init_pic(bool automatic)
{
	out(0x20, 0x11);
	out(0x21, PIC_BASE);
	out(0x21, 4);
	out(0x21, automatic ? 3 : 1);
	out(0x21, path == BY_PIC ? 0xfe : 0xff);
}

/* A board with both controllers set up as Linux has them, the timer on one of them. */
static void boot(enum path by)
{
	sim_init(1);
	path = by;
	interrupts_off = automatic_eoi = false;
	jiffies = 0;
	memset(&vm, 0, sizeof(vm));
	vm.config.vcpus = 2;
	for (unsigned i = 0; i < 2; i++) {
		vcpus[i] = (struct vcpu){.vm = &vm, .index = i};
		vm.vcpu[i] = &vcpus[i];
	}
	assert_int_equal(pc_create(&vm), 0);
	for (unsigned i = 0; i < 2; i++)
		lapic_out(&vcpus[i], LAPIC_SVR, 0x1ff);
	init_pic(false);
	if (by == BY_IOAPIC)
		route_timer(0, VECTOR);
}

static int end(void **state)
{
	pc_destroy(&vm);
	return 0;
}

static int by_ioapic(void **state)
{
	boot(BY_IOAPIC);
	return 0;
}

static int by_pic(void **state)
{
	boot(BY_PIC);
	return 0;
}

static void finish(struct vcpu *vcpu)
{
	if (path == BY_IOAPIC)
		lapic_out(vcpu, LAPIC_EOI, 0);
	else if (!automatic_eoi)
		out(0x20, 0x20);
}

/* The handler. */
static void take(struct vcpu *vcpu)
{
	assert_int_equal(pc_irq_take(vcpu), path == BY_IOAPIC ? VECTOR : PIC_BASE);
	finish(vcpu);
	jiffies++;
}

/* What the run loop does before the guest's next instruction. */
static void look(void)
{
	if (pc_alarm(&vcpus[0], sim_ticks) <= sim_ticks)
		pc_run_timers(&vcpus[0]);
	while (!interrupts_off && pc_irq_pending(&vcpus[0]))
		take(&vcpus[0]);
}

static void guest_runs_until(u64 tick)
{
	look();
	while (sim_ticks + STEP <= tick) {
		sim_ticks += STEP;
		look();
	}
}

static void guest_runs(u64 ticks)
{
	guest_runs_until(sim_ticks + ticks);
}

static void others_run(u64 ticks)
{
	sim_ticks += ticks;
}

static u64 rises_since_start(void)
{
	return (pc_clock(vm.pc, PIT_HZ) - started) / LINUX_RELOAD;
}

/*
 * TICK-1, TICK-2: 5 ms of every 20, for ten seconds: not a tick is lost, nor raised before its time.
 */
static void a_guest_with_a_quarter_of_a_cpu_counts_every_tick(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	for (u64 turn = 0; turn < 500; turn++) {
		sim_ticks = MAX(sim_ticks, turn * 20 * MS);
		guest_runs_until((turn * 20 + 5) * MS);
		assert_int_equal(jiffies, rises_since_start());
	}
	assert_int_equal(jiffies, 2496);
}

/*
 * Linux's timer_irq_works() with a TSC of 4 GHz: its 40e9 / HZ cycles are 40 ms; the loop ends when
 * that is over or five ticks were counted, looking at both at each turn. `away` ms after it
 * began the guest loses the CPU for `gone`.
 */
static u64 linux_timer_check(u64 away, u64 gone)
{
	u64 start = sim_ticks, first = jiffies;

	while (sim_ticks - start < 40 * MS && jiffies <= first + 4) {
		sim_ticks += STEP;
		if (sim_ticks - start >= away && gone) {
			sim_ticks += gone;
			gone = 0;
		}
		look();
	}
	return jiffies - first;
}

/* TICK-5: the timers are looked at before each reading of the time. */
static void linux_finds_its_timer_wherever_it_loses_the_cpu(void **state)
{
	for (u64 away = 0; away < 40 * MS; away += MS / 4) {
		for (u64 gone = 0; gone <= 400 * MS; gone += 15 * MS) {
			others_run(away / 3);
			program(MODE_RATE, LINUX_RELOAD);
			assert_true(linux_timer_check(away, gone) > 4);
		}
	}
}

/* TICK-2 */
static void the_next_tick_waits_for_the_end_of_the_one_before(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	others_run(TICK(6) + STEP);
	pc_run_timers(&vcpus[0]);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(pc_irq_pending(&vcpus[0]));
		(void)pc_irq_take(&vcpus[0]);
		assert_false(pc_irq_pending(&vcpus[0]));
		assert_int_equal(vm.pc->pit_owed, 5 - i);
		finish(&vcpus[0]);
	}
	assert_false(pc_irq_pending(&vcpus[0]));
}

static void ticks_that_come_while_interrupts_are_off_are_raised_after(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	interrupts_off = true;
	guest_runs(TICK(5) + STEP);
	assert_int_equal(jiffies, 0);
	interrupts_off = false;
	guest_runs(STEP);
	assert_int_equal(jiffies, 5);
}

static void automatic_eoi_ends_a_tick_when_it_is_taken(void **state)
{
	init_pic(true);
	automatic_eoi = true;
	program(MODE_RATE, LINUX_RELOAD);
	others_run(TICK(6) + STEP);
	guest_runs(STEP);
	assert_int_equal(jiffies, 6);
}

/* As Linux handles an interrupt of the 8259: mask, EOI, handle, unmask. */
static void a_handler_that_masks_its_line_loses_nothing(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	others_run(TICK(6) + STEP);
	pc_run_timers(&vcpus[0]);
	while (pc_irq_pending(&vcpus[0])) {
		(void)pc_irq_take(&vcpus[0]);
		out(0x21, 0xff);
		out(0x20, 0x20);
		jiffies++;
		out(0x21, 0xfe);
	}
	assert_int_equal(jiffies, 6);
}

/* TICK-3 */
static void the_io_apic_keeps_nothing_of_what_came_while_masked(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	route_timer(0, MASK | VECTOR);
	guest_runs(TICK(25) + STEP);
	route_timer(0, VECTOR);
	guest_runs(STEP);
	assert_int_equal(jiffies, 0);
	guest_runs(TICK(1));
	assert_int_equal(jiffies, 1);
}

static void the_pic_keeps_one_of_what_came_while_masked(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	out(0x21, 0xff);
	guest_runs(TICK(25) + STEP);
	out(0x21, 0xfe);
	guest_runs(STEP);
	assert_int_equal(jiffies, 1);
	guest_runs(TICK(1));
	assert_int_equal(jiffies, 2);
}

/* TICK-4 */
static void programming_the_channel_drops_what_is_owed(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	others_run(TICK(50) + STEP);
	program(MODE_RATE, LINUX_RELOAD);
	guest_runs(STEP);
	assert_int_equal(jiffies, 0);
	guest_runs(TICK(3));
	assert_int_equal(jiffies, 3);
}

static void a_latch_and_the_other_channels_drop_nothing(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	others_run(TICK(50) + STEP);
	out(0x43, 0x00); /* latch channel 0 */
	out(0x43, 0xc2); /* read back channel 0 */
	out(0x43, 0xb0);
	out(0x42, 0xff);
	out(0x42, 0xff);
	out(0x61, 1);
	guest_runs(STEP);
	assert_int_equal(jiffies, 6);
}

/* TICK-1: the bound, whatever the rate. */
static void a_guest_that_was_away_for_long_is_owed_six(void **state)
{
	program(MODE_RATE, LINUX_RELOAD);
	others_run(10000 * MS);
	guest_runs(STEP);
	assert_int_equal(jiffies, 6);
	program(MODE_RATE, 119); /* 10 kHz */
	jiffies = 0;
	others_run(10000 * MS);
	look();
	assert_int_equal(jiffies, 6);
}

static void another_cpu_may_be_the_one_that_takes_them(void **state)
{
	route_timer(1, VECTOR);
	program(MODE_RATE, LINUX_RELOAD);
	others_run(TICK(6) + STEP);
	pc_run_timers(&vcpus[0]); /* keeps the alarm, whichever CPU takes the interrupt */
	assert_false(pc_irq_pending(&vcpus[0]));
	while (pc_irq_pending(&vcpus[1]))
		take(&vcpus[1]);
	assert_int_equal(jiffies, 6);
}

static void a_local_apic_that_is_off_is_owed_nothing(void **state)
{
	lapic_out(&vcpus[0], LAPIC_SVR, 0xff);
	program(MODE_RATE, LINUX_RELOAD);
	guest_runs(TICK(40) + STEP);
	assert_int_equal(vm.pc->pit_owed, 0);
	lapic_out(&vcpus[0], LAPIC_SVR, 0x1ff);
	guest_runs(TICK(2));
	assert_int_equal(jiffies, 2);
}

static void a_one_shot_comes_once(void **state)
{
	program(MODE_ONE_SHOT, LINUX_RELOAD);
	others_run(TICK(40));
	guest_runs(TICK(40));
	assert_int_equal(jiffies, 1);
}

/*
 * PC-1, PORT-1: at each place where the low byte of the ACPI timer wraps, one vCPU reads a byte of
 * it, another the whole: that is a time between the ticks before and after it.
 */
static void an_access_to_a_counter_is_one_number_for_every_vcpu(void **state)
{
	for (u64 wrap = 0x100; wrap < 0x40000; wrap += 0x100) {
		u64 before, after;
		u32 byte, whole;

		sim_ticks = pc_tick_at(vm.pc, wrap, ACPI_PM_HZ) - wrap / 0x100 % 8;
		assert_int_equal(pc_port_read(vm.pc, ACPI_PM_TIMER, 1, &byte), 1);
		before = pc_clock(vm.pc, ACPI_PM_HZ);
		assert_int_equal(pc_port_read(vm.pc, ACPI_PM_TIMER, 4, &whole), 4);
		after = pc_clock(vm.pc, ACPI_PM_HZ);
		assert_in_range(whole, before, after);
		assert_int_equal(pc_port_read(vm.pc, ACPI_PM_TIMER + 1, 1, &byte), 1);
		assert_in_range(byte, after >> 8 & 0xff, (after >> 8 & 0xff) + 1);
	}
}

/* Bytes without a chip read all ones and are counted, beside bytes that have one. */
static void an_access_may_reach_over_the_end_of_a_chip(void **state)
{
	u32 value;

	assert_int_equal(pc_port_read(vm.pc, ACPI_RESET_PORT, 4, &value), 1);
	assert_int_equal(value, 0xffffff00);
	assert_int_equal(pc_port_read(vm.pc, 0x300, 2, &value), 0);
	assert_int_equal(value, 0xffff);
	assert_int_equal(pc_port_write(vm.pc, 0x62, 2, 0), 0);
}

/* At host tick 5000: a timer of vCPU 1, in ticks of a guest's clock `offset` from the host's. */
static u64 alarm_of(u64 offset, u64 deadline)
{
	vcpus[1].arch.tsc_offset = offset;
	lapic_out(&vcpus[1], LAPIC_LVT_TIMER, 2 << 17 | MASK | 40);
	assert_true(pc_msr_write(&vcpus[1], 0x6e0, deadline));
	return pc_alarm(&vcpus[1], 5000);
}

/* RUN-4: the host tick is that of the distance; no value of the guest's clock is a special one. */
static void a_timer_is_due_at_its_distance_whatever_the_offset(void **state)
{
	assert_int_equal(alarm_of(-5000ull, 300), 5300);	     /* the TSC was set back to 0 */
	assert_int_equal(alarm_of(-5000ull, 5000), 10000);	     /* as far as the offset */
	assert_int_equal(alarm_of(1000, 6500), 5500);		     /* ahead */
	assert_int_equal(alarm_of(1000, 5999), 5000);		     /* past: now */
	assert_int_equal(alarm_of(0, 1), 5000);			     /* far past */
	assert_int_equal(alarm_of(-5001ull, ~0ull - 1), 5000);	     /* the TSC is about to wrap */
	assert_int_equal(alarm_of(-5000ull, ~0ull - 1), TICK_NEVER); /* later than any host tick */
	assert_int_equal(alarm_of(-5000ull, 0), TICK_NEVER);	     /* disarmed */
}

static void each_way_to_reset_a_pc_ends_the_vm(void **state)
{
	u32 value;

	stops = 0;
	pc_port_write(vm.pc, 0x64, 1, 0xd1);
	pc_port_write(vm.pc, 0x92, 1, 2);
	pc_port_write(vm.pc, 0xcf9, 1, 2);
	pc_port_write(vm.pc, 0xcf8, 4, 0x80000600);
	assert_int_equal(stops, 0);
	pc_port_write(vm.pc, 0x64, 1, 0xfe);
	assert_int_equal(stops, 1);
	pc_port_write(vm.pc, 0x92, 1, 3);
	assert_int_equal(stops, 2);
	pc_port_write(vm.pc, 0xcf9, 1, 6);
	assert_int_equal(stops, 3);
	assert_int_equal(pc_port_read(vm.pc, 0x92, 1, &value), 1);
	assert_int_equal(value, 2);
	pc_port_write(vm.pc, 0x64, 1, 0xd1);
	pc_port_write(vm.pc, 0x60, 1, 0);
	assert_int_equal(stops, 4);
}

/* IRQ 8 at the I/O APIC; the alarm is the board's, beside the PIT's. */
static void the_clock_interrupts_each_second(void **state)
{
	u32 flags;

	ioapic_out(REDIRECTION + 2 * PC_IRQ_CLOCK, VECTOR + 1);
	out(0x70, 0x0b);
	out(0x71, 0x12); /* update interrupt, 24 hours */
	for (u64 second = 1; second <= 5; second++) {
		u64 alarm = pc_alarm(&vcpus[0], sim_ticks);

		assert_in_range(alarm, second * 1000 * MS, second * 1000 * MS + 2 * US);
		sim_ticks = alarm;
		pc_run_timers(&vcpus[0]);
		assert_true(pc_irq_pending(&vcpus[0]));
		assert_int_equal(pc_irq_take(&vcpus[0]), VECTOR + 1);
		assert_int_equal(pc_alarm(&vcpus[0], sim_ticks), TICK_NEVER);
		out(0x70, 0x0c);
		assert_int_equal(pc_port_read(vm.pc, 0x71, 1, &flags), 1);
		assert_int_equal(flags & 0x90, 0x90);
		lapic_out(&vcpus[0], LAPIC_EOI, 0);
	}
}

static unsigned notified;

static void on_notify(struct vcpu *vcpu)
{
	assert_ptr_equal(vcpu, &vcpus[0]);
	assert_false(spin_is_locked(&vm.pc->lock));
	assert_true(pc_irq_pending(vcpu));
	notified++;
}

/* PC-2: by a chip, by the wire of another CPU, by the I/O APIC's mask. */
static void a_vcpu_is_notified_when_its_interrupt_can_be_taken(void **state)
{
	ioapic_out(REDIRECTION + 2 * PC_IRQ_KEYBOARD, VECTOR + 2);
	ioapic_out(REDIRECTION + 2 * PC_IRQ_UART, MASK | (VECTOR + 3));
	notified = 0;
	board_on_notify = on_notify;
	pc_keyboard_type(vm.pc, 'a');
	assert_int_equal(notified, 1);
	assert_int_equal(pc_irq_take(&vcpus[0]), VECTOR + 2);
	lapic_out(&vcpus[0], LAPIC_EOI, 0);
	ioapic_out(REDIRECTION + 2 * PC_IRQ_UART, VECTOR + 3);
	pc_set_irq(vm.pc, PC_IRQ_UART, true);
	assert_int_equal(notified, 2);
	assert_int_equal(pc_irq_take(&vcpus[0]), VECTOR + 3);
	board_on_notify = NULL;
}

/* Each byte of the keyboard is an edge of IRQ 1, though more bytes wait behind it. */
static void each_scan_code_is_an_interrupt(void **state)
{
	static const u8 codes[] = {0x2a, 0x1e, 0x9e, 0xaa};
	u32 byte;

	ioapic_out(REDIRECTION + 2 * PC_IRQ_KEYBOARD, VECTOR + 2);
	assert_true(pc_keyboard_has_room(vm.pc));
	pc_keyboard_type(vm.pc, 'A');
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		assert_true(pc_irq_pending(&vcpus[0]));
		assert_int_equal(pc_irq_take(&vcpus[0]), VECTOR + 2);
		assert_int_equal(pc_port_read(vm.pc, 0x60, 1, &byte), 1);
		assert_int_equal(byte, codes[i]);
		lapic_out(&vcpus[0], LAPIC_EOI, 0);
	}
	assert_false(pc_irq_pending(&vcpus[0]));
}

/* ATA: without a drive BSY is low, so that a probe ends. */
static void no_drive_is_busy(void **state)
{
	u32 status;

	assert_int_equal(pc_port_read(vm.pc, 0x1f7, 1, &status), 1);
	assert_int_equal(status & 0x80, 0);
}

#define BOTH(name)                                         \
	{#name " (I/O APIC)", name, by_ioapic, end, NULL}, \
	{                                                  \
#name " (PIC)", name, by_pic, end, NULL    \
	}
#define IOAPIC(name) cmocka_unit_test_setup_teardown(name, by_ioapic, end)
#define PIC(name)    cmocka_unit_test_setup_teardown(name, by_pic, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_guest_with_a_quarter_of_a_cpu_counts_every_tick),
		BOTH(linux_finds_its_timer_wherever_it_loses_the_cpu),
		BOTH(the_next_tick_waits_for_the_end_of_the_one_before),
		BOTH(ticks_that_come_while_interrupts_are_off_are_raised_after),
		PIC(automatic_eoi_ends_a_tick_when_it_is_taken),
		PIC(a_handler_that_masks_its_line_loses_nothing),
		IOAPIC(the_io_apic_keeps_nothing_of_what_came_while_masked),
		PIC(the_pic_keeps_one_of_what_came_while_masked),
		BOTH(programming_the_channel_drops_what_is_owed),
		BOTH(a_latch_and_the_other_channels_drop_nothing),
		BOTH(a_guest_that_was_away_for_long_is_owed_six),
		IOAPIC(another_cpu_may_be_the_one_that_takes_them),
		IOAPIC(a_local_apic_that_is_off_is_owed_nothing),
		BOTH(a_one_shot_comes_once),
		IOAPIC(an_access_to_a_counter_is_one_number_for_every_vcpu),
		IOAPIC(an_access_may_reach_over_the_end_of_a_chip),
		IOAPIC(a_timer_is_due_at_its_distance_whatever_the_offset),
		IOAPIC(each_way_to_reset_a_pc_ends_the_vm),
		IOAPIC(the_clock_interrupts_each_second),
		IOAPIC(a_vcpu_is_notified_when_its_interrupt_can_be_taken),
		IOAPIC(each_scan_code_is_an_interrupt),
		IOAPIC(no_drive_is_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
