/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages.c: interrupt messages on the whole board with two vCPUs, and registers that both change.
 */
#include "sim/sim.h"
#include <hv/memory.h>
#include "hv/pc/private.h"
#include <hv/vcpu.h>

#define VECTOR	    0x30
#define REDIRECTION 0x10
#define MASK	    BIT(16)

static struct vm vm;
static struct vcpu vcpus[2];

void vm_stop(struct vm *of, enum vm_end end, u64 status)
{
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

/* device_update: only the board's lock keeps another vCPU from coming between. */
static bool increment(void *unused, u64 *value)
{
	assert_true(spin_is_locked(&vm.pc->lock));
	++*value;
	return true;
}

static void a_register_of_the_ioapic_changes_in_one_hold_of_the_lock(void **state)
{
	const struct gpa select = {IOAPIC_BASE}, window = {IOAPIC_BASE + 0x10};

	pc_mmio_write(&vcpus[0], select, REDIRECTION);
	assert_true(pc_mmio_update(&vcpus[0], select, increment, NULL));
	assert_int_equal(pc_mmio_read(&vcpus[0], select), REDIRECTION + 1);
	pc_mmio_write(&vcpus[0], select, REDIRECTION);
	pc_mmio_write(&vcpus[0], window, MASK | VECTOR);
	assert_true(pc_mmio_update(&vcpus[0], window, increment, NULL));
	assert_int_equal(pc_mmio_read(&vcpus[0], window), MASK | (VECTOR + 1));
	assert_false(pc_mmio_update(&vcpus[0], (struct gpa){LAPIC_BASE}, increment, NULL));
}

/* From an I/O APIC's entry and from an ICR: the first APIC is off by its SVR. */
static void lowest_priority_passes_by_an_apic_that_is_off(void **state)
{
	const u32 lowest_logical = 0x900 | VECTOR;

	for (unsigned i = 0; i < 2; i++)
		lapic_out(&vcpus[i], LAPIC_LDR, 1u << (24 + i));
	lapic_out(&vcpus[0], LAPIC_SVR, 0xff);
	lapic_out(&vcpus[1], LAPIC_SVR, 0x1ff);
	ioapic_out(REDIRECTION + 2 * PC_IRQ_CLOCK + 1, 3u << 24);
	ioapic_out(REDIRECTION + 2 * PC_IRQ_CLOCK, lowest_logical);
	pc_set_irq(vm.pc, PC_IRQ_CLOCK, true);
	assert_true(lapic_holds(vcpus[1].lapic, VECTOR));
	lapic_out(&vcpus[0], LAPIC_ICR2, 3u << 24);
	lapic_out(&vcpus[0], LAPIC_ICR, lowest_logical + 1);
	assert_true(lapic_holds(vcpus[1].lapic, VECTOR + 1));
	assert_false(lapic_holds(vcpus[0].lapic, VECTOR + 1));
}

static int start(void **state)
{
	vm = (struct vm){.config.vcpus = 2, .vcpu = {&vcpus[0], &vcpus[1]}};
	for (unsigned i = 0; i < 2; i++)
		vcpus[i] = (struct vcpu){.vm = &vm, .index = i};
	return pc_create(&vm);
}

static int end(void **state)
{
	pc_destroy(&vm);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lowest_priority_passes_by_an_apic_that_is_off,
						start, end),
		cmocka_unit_test_setup_teardown(
			a_register_of_the_ioapic_changes_in_one_hold_of_the_lock, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
