/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function.c: BARs that move, and memory decode that goes off and on, alone and while another vCPU
 * accesses the device.
 */
#include "sim/explore.h"
#include "sim/sim.h"

#include <hv/pci.h>
#include <hv/vcpu.h>
#include <hv/vm.h>

#define BAR_SIZE 0x1000u
#define CONFIG	 0x80000800u /* slot 1 */
#define MOVED	 0xfd000000u
#define COUNTER	 0x10u

static struct vm vm;
static struct vcpu vcpu;
static struct pci pci;
static struct pci_function function;
static u32 counter, written; /* the device's register; how often it was */

void vcpu_notify(struct vcpu *of)
{
}

void vcpu_request(struct vcpu *of, enum vcpu_request request)
{
}

static u32 bar_read(struct pci_function *of, u32 offset, unsigned size)
{
	assert_true(spin_is_locked(&of->lock));
	assert_true(offset + size <= BAR_SIZE);
	return offset == COUNTER ? counter : ~0u;
}

static void bar_write(struct pci_function *of, u32 offset, unsigned size, u32 value)
{
	assert_true(spin_is_locked(&of->lock));
	assert_true(offset + size <= BAR_SIZE);
	if (offset != COUNTER)
		return;
	counter = value;
	written++;
}

static const struct pci_ops ops = {.bar_read = bar_read, .bar_write = bar_write};

static void follow(void *context, unsigned wire)
{
}

static const struct pci_board board = {.follow = follow};

static void config_write(unsigned reg, unsigned size, u32 value)
{
	u32 address = CONFIG | (reg & ~3u);

	for (unsigned i = 0; i < 4; i++)
		pci_write(&pci, PCI_ADDRESS + i, (u8)(address >> (8 * i)));
	assert_int_equal(pci_data_write(&pci, PCI_DATA + (reg & 3), size, value), size);
}

static u32 config_read(unsigned reg)
{
	u32 value;

	for (unsigned i = 0; i < 4; i++)
		pci_write(&pci, PCI_ADDRESS + i, (u8)((CONFIG | reg) >> (8 * i)));
	assert_int_equal(pci_data_read(&pci, PCI_DATA, 4, &value), 4);
	return value;
}

static u32 placed; /* BAR 0 after pci_attach() */

static void start(void *world)
{
	const struct pci_identity identity = {.vendor = 0x1af4, .device = 0x1042};

	vm = (struct vm){.config.vcpus = 1, .vcpu = {&vcpu}};
	vcpu = (struct vcpu){.vm = &vm};
	function = (struct pci_function){.work = 0};
	counter = written = 0;
	pci_init(&pci, &board, NULL);
	pci_function_init(&function, &ops, &identity, BAR_SIZE, 1);
	assert_int_equal(pci_attach(&pci, &vm, &function), 0);
	placed = config_read(PCI_BAR);
}

static int setup(void **state)
{
	start(NULL);
	return 0;
}

static struct gpa counter_at(u32 bar)
{
	return (struct gpa){(u64)bar + COUNTER};
}

static bool add_one(void *context, u64 *value)
{
	++*value;
	return true;
}

/* Each kind of access reaches the device at `bar`, or none does. */
static void expect_at(u32 bar, bool there)
{
	u64 value = 0;

	counter = 5;
	assert_int_equal(pci_mmio_read(&pci, counter_at(bar), 4, &value), there);
	assert_int_equal(value, there ? 5 : 0);
	assert_int_equal(pci_mmio_update(&pci, &vcpu, counter_at(bar), 4, add_one, NULL), there);
	assert_int_equal(counter, there ? 6 : 5);
	assert_int_equal(pci_mmio_write(&pci, &vcpu, counter_at(bar), 4, 9), there);
	assert_int_equal(counter, there ? 9 : 5);
}

static void a_bar_is_where_its_register_says(void **state)
{
	expect_at(placed, false);
	config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	expect_at(placed, true);
	config_write(PCI_BAR, 4, MOVED);
	expect_at(placed, false);
	expect_at(MOVED, true);
	config_write(PCI_BAR + 3, 1, 0xfc); /* a byte of it */
	expect_at(MOVED, false);
	expect_at(0xfc000000u, true);
}

static void the_size_of_a_bar_is_found_and_it_is_decoded_there_meanwhile(void **state)
{
	config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	config_write(PCI_BAR, 4, ~0u);
	assert_int_equal(config_read(PCI_BAR), ~(BAR_SIZE - 1));
	expect_at(~(BAR_SIZE - 1), true);
	config_write(PCI_BAR, 4, 0); /* as good as off */
	expect_at(0, false);
	config_write(PCI_BAR, 4, placed);
	expect_at(placed, true);
}

static void memory_decode_goes_off_and_on(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		expect_at(placed, true);
		config_write(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
		expect_at(placed, false);
	}
}

/* The last byte of the BAR, and one over it. */
static void an_access_lies_in_the_bar_as_a_whole(void **state)
{
	u64 value;

	config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(pci_mmio_read(&pci, (struct gpa){placed + BAR_SIZE - 8}, 8, &value));
	assert_true(pci_mmio_read(&pci, (struct gpa){placed + BAR_SIZE - 1}, 1, &value));
	assert_false(pci_mmio_read(&pci, (struct gpa){placed + BAR_SIZE - 2}, 4, &value));
	assert_false(pci_mmio_read(&pci, (struct gpa){placed - 1}, 2, &value));
}

static unsigned updated;

/* What a driver does that does not expect the BAR to move. */
static void user(void *world)
{
	for (unsigned i = 0; i < 3; i++)
		updated += pci_mmio_update(&pci, &vcpu, counter_at(placed), 4, add_one, NULL);
}

static void mover(void *world)
{
	config_write(PCI_BAR, 4, MOVED);
	updated += pci_mmio_update(&pci, &vcpu, counter_at(MOVED), 4, add_one, NULL);
	config_write(PCI_BAR, 4, placed);
	config_write(PCI_COMMAND, 2, 0);
	config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void start_decoded(void *world)
{
	start(world);
	config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	updated = 0;
}

/* Each update is done once and whole, or not at all. */
static void count_updates(void *world)
{
	assert_in_range(updated, 1, 4);
	assert_int_equal(counter, updated);
	assert_int_equal(written, updated);
	expect_at(placed, true);
}

static void an_update_is_whole_while_the_bar_moves(void **state)
{
	struct sched_scenario scenario = {.setup = start_decoded,
					  .task = {user, mover},
					  .check = count_updates,
					  .preemptions = 3,
					  .at_locks = true};

	sim_init(2);
	print_message("# %llu schedules\n", (unsigned long long)sched_explore(&scenario));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_bar_is_where_its_register_says, setup),
		cmocka_unit_test_setup(the_size_of_a_bar_is_found_and_it_is_decoded_there_meanwhile,
				       setup),
		cmocka_unit_test_setup(memory_decode_goes_off_and_on, setup),
		cmocka_unit_test_setup(an_access_lies_in_the_bar_as_a_whole, setup),
		cmocka_unit_test(an_update_is_whole_while_the_bar_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
