/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.c: ACPI's fixed hardware against the specification's registers, the empty PCI bus (PCI-1),
 * and fw_cfg as QEMU's document has it (FW-1).
 */
#include <hv/acpi.h>
#include <hv/fw_cfg.h>
#include <hv/pci.h>
#include <hv/pm.h>
#include <hv/vcpu.h>
#include "sim/sim.h"

void vcpu_notify(struct vcpu *vcpu)
{
}

static struct pm pm;
static struct pci pci;
static struct fw_cfg fw;

static int start(void **state)
{
	pm_init(&pm);
	pci_init(&pci, NULL, NULL);
	fw_cfg_init(&fw, 0x123456789000, 3);
	return 0;
}

static u32 pm_value(u16 port, unsigned size, u64 clock)
{
	u32 value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (u32)pm_read(&pm, port + i, clock) << (8 * i);
	return value;
}

/* As the bus splits it: the lowest byte first. */
static enum pm_request pm_put(u16 port, unsigned size, u32 value)
{
	enum pm_request request = PM_NOTHING;

	for (unsigned i = 0; i < size; i++) {
		assert_int_equal(request, PM_NOTHING);
		request = pm_write(&pm, port + i, (u8)(value >> (8 * i)));
	}
	return request;
}

static void the_machine_is_in_acpi_mode(void **state)
{
	assert_int_equal(pm_value(ACPI_PM1_CONTROL, 2, 0), 1);
	assert_int_equal(pm_value(ACPI_PM1_EVENT, 4, 0), 0);
	assert_int_equal(pm_put(ACPI_PM1_EVENT + 2, 2, 0x0120), PM_NOTHING);
	assert_int_equal(pm_value(ACPI_PM1_EVENT, 4, 0), 0x01200000);
	assert_int_equal(pm_put(ACPI_PM1_EVENT, 2, 0xffff), PM_NOTHING);
	assert_int_equal(pm_value(ACPI_PM1_EVENT, 4, 0), 0x01200000);
}

/* PORT-1: a byte depends on the clock alone, not on bytes that were read before. */
static void the_timer_is_read_as_one_number(void **state)
{
	assert_int_equal(pm_value(ACPI_PM_TIMER, 4, 0x12fffffe), 0x12fffffe);
	assert_int_equal(pm_value(ACPI_PM_TIMER, 4, 0x1ffffffff), 0xffffffff);
	assert_int_equal(pm_put(ACPI_PM_TIMER, 4, 0), PM_NOTHING);
	assert_int_equal(pm_value(ACPI_PM_TIMER, 4, 77), 77);
	assert_int_equal(pm_value(ACPI_PM_TIMER + 1, 1, 0x12345678), 0x56);
	assert_int_equal(pm_value(ACPI_PM_TIMER + 2, 2, 0x9abcdef0), 0x9abc);
}

static void only_sleep_type_5_with_the_enable_bit_powers_off(void **state)
{
	for (unsigned type = 0; type < 8; type++) {
		assert_int_equal(pm_put(ACPI_PM1_CONTROL, 2, type << 10), PM_NOTHING);
		assert_int_equal(pm_put(ACPI_PM1_CONTROL, 2, type << 10 | 1u << 13),
				 type == ACPI_S5_TYPE ? PM_POWER_OFF : PM_NOTHING);
	}
}

static void the_reset_value_resets(void **state)
{
	assert_int_equal(pm_put(ACPI_RESET_PORT, 1, 0), PM_NOTHING);
	assert_int_equal(pm_put(ACPI_RESET_PORT, 1, ACPI_RESET_VALUE), PM_RESET);
	assert_int_equal(pm_value(ACPI_RESET_PORT, 1, 0), 0);
}

static void pci_select(u32 address)
{
	for (unsigned i = 0; i < 4; i++)
		pci_write(&pci, PCI_ADDRESS + i, (u8)(address >> (8 * i)));
}

static u32 pci_address(void)
{
	u32 value = 0;

	for (unsigned i = 0; i < 4; i++)
		value |= (u32)pci_read(&pci, PCI_ADDRESS + i) << (8 * i);
	return value;
}

static u32 pci_data(void)
{
	u32 value;

	assert_int_equal(pci_data_read(&pci, PCI_DATA, 4, &value), 4);
	return value;
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
}

static void the_address_register_holds_what_is_written(void **state)
{
	pci_select(0x80fedcb8);
	assert_int_equal(pci_address(), 0x80fedcb8);
}

static void the_bus_has_a_host_bridge_and_nothing_else(void **state)
{
	pci_select(0x80000000);
	assert_int_equal(pci_data(), 0x00081b36);
	pci_select(0x80000008);
	assert_int_equal(pci_data() >> 16, 0x0600);
	pci_select(0x8000003c);
	assert_int_equal(pci_data(), 0);
	for (unsigned function = 1; function < 0x10000; function++) {
		pci_select(0x80000000 | function << 8);
		assert_int_equal(pci_data(), 0xffffffff);
	}
	pci_select(0);
	assert_int_equal(pci_data(), 0xffffffff);
	pci_select(0x80000000);
	assert_int_equal(pci_data_write(&pci, PCI_DATA, 1, 0x55), 1);
	assert_int_equal(pci_data(), 0x00081b36);
}

static void fw_select(u16 item)
{
	fw_cfg_write(&fw, FW_CFG_SELECTOR, (u8)item);
	fw_cfg_write(&fw, FW_CFG_SELECTOR + 1, (u8)(item >> 8));
}

static u64 fw_value(u16 item, unsigned size)
{
	u64 value = 0;

	fw_select(item);
	for (unsigned i = 0; i < size; i++)
		value |= (u64)fw_cfg_read(&fw, FW_CFG_DATA) << (8 * i);
	return value;
}

static void the_items_are_qemus(void **state)
{
	assert_int_equal(fw_value(FW_CFG_SIGNATURE, 4), 0x554d4551); /* "QEMU" */
	assert_int_equal(fw_value(FW_CFG_ID, 4), 1);
	assert_int_equal(fw_value(FW_CFG_RAM_SIZE, 8), 0x123456789000);
	assert_int_equal(fw_value(FW_CFG_CPUS, 2), 3);
	assert_int_equal(fw_value(FW_CFG_DIRECTORY, 4), 0);
}

/* FW-1. */
static void behind_an_item_and_without_one_there_are_zeroes(void **state)
{
	assert_int_equal(fw_value(FW_CFG_RAM_SIZE, 8), 0x123456789000);
	for (unsigned i = 0; i < 0x20000; i++)
		assert_int_equal(fw_cfg_read(&fw, FW_CFG_DATA), 0);
	assert_int_equal(fw_value(0x7fff, 8), 0);
	assert_int_equal(fw_value(0xffff, 8), 0);
}

/* The directory's numbers have their highest byte first. */
static void a_file_is_found_by_the_directory(void **state)
{
	static const u8 data[] = {1, 2, 3};
	const struct {
		u8 count[4], size[4], item[2], reserved[2];
		char name[FW_CFG_NAME_SIZE];
	} directory = {{0, 0, 0, 1}, {0, 0, 0, 3}, {0, FW_CFG_FILE}, {0}, "etc/a"};
	const u8 *bytes = (const u8 *)&directory;

	fw_cfg_add_file(&fw, "etc/a", data, sizeof(data));
	fw_select(FW_CFG_DIRECTORY);
	for (size_t i = 0; i < sizeof(directory); i++)
		assert_int_equal(fw_cfg_read(&fw, FW_CFG_DATA), bytes[i]);
	for (size_t i = 0; i < 0x20000; i++)
		assert_int_equal(fw_cfg_read(&fw, FW_CFG_DATA), 0);
	assert_int_equal(fw_value(FW_CFG_FILE, 8), 0x030201);
	assert_int_equal(fw_value(FW_CFG_FILE + 1, 8), 0);
	assert_int_equal(fw_value(FW_CFG_FILE + FW_CFG_FILES, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_machine_is_in_acpi_mode, start),
		cmocka_unit_test_setup(the_timer_is_read_as_one_number, start),
		cmocka_unit_test_setup(only_sleep_type_5_with_the_enable_bit_powers_off, start),
		cmocka_unit_test_setup(the_reset_value_resets, start),
		cmocka_unit_test_setup(the_address_register_holds_what_is_written, start),
		cmocka_unit_test_setup(the_bus_has_a_host_bridge_and_nothing_else, start),
		cmocka_unit_test_setup(the_items_are_qemus, start),
		cmocka_unit_test_setup(behind_an_item_and_without_one_there_are_zeroes, start),
		cmocka_unit_test_setup(a_file_is_found_by_the_directory, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
