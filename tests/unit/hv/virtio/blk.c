/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk.c: the block device by its registers and rings (VIRTIO-1 to VIRTIO-3, BLK-1, BLK-2, DISK-1,
 * DISK-2, PCI-2, MSIX-1), against a model of the disk as an array.
 */
#include "hv/virtio/blk.h"
#include "sim/sim.h"
#include "sim/virtio_world.h"

#define IMAGE_BYTES (300 * 1024 + 512) /* the last block is a part of one */
#define HEADER	    0x8000ull
#define STATUS_AT   0x8800ull
#define DATA	    0x10000ull
#define FEATURES    (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define STATUS_REG  20u
#define ALL_OK	    (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK)

static u8 image[IMAGE_BYTES], model[IMAGE_BYTES], kept[IMAGE_BYTES];
static struct virtio_blk blk;
static struct driver driver;
static u64 frames_before;

static u64 free_frames(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.free;
}

static const struct virtio_ops ops = {
	.type = VIRTIO_BLK, .class = 0x010000, .run = blk_run, .reset = blk_reset};

static int start(void **state)
{
	sim_boot(1, 16 * MIB);
	frames_before = free_frames();
	for (unsigned i = 0; i < IMAGE_BYTES; i++)
		image[i] = model[i] = kept[i] = (u8)(i / 512 * 13 + i);
	memset(&blk, 0, sizeof(blk));
	blk.device.memory = driver_memory;
	assert_int_equal(disk_init(&blk.disk, image, IMAGE_BYTES), 0);
	blk_init(&blk, 1, "base", &ops);
	driver_attach(&driver, &blk.device);
	driver_start(&driver, FEATURES, DRIVER_QUEUE, true);
	return 0;
}

/* DISK-1, and nothing left behind. */
static int stop(void **state)
{
	assert_memory_equal(image, kept, IMAGE_BYTES);
	assert_int_equal(driver_mapped, 0);
	disk_fini(&blk.disk);
	assert_int_equal(free_frames(), frames_before);
	return 0;
}

static void put_header(u32 type, u64 sector)
{
	driver_put(HEADER, 4, type);
	driver_put(HEADER + 4, 4, 0);
	driver_put(HEADER + 8, 8, sector);
	driver_put(STATUS_AT, 1, 0xee);
}

/* A request with `bytes` of data at DATA, in two segments; its status. */
static unsigned request(u32 type, u64 sector, u32 bytes, bool to_guest)
{
	u16 write = to_guest ? F_WRITE : 0;
	u32 first = bytes / 3;

	put_header(type, sector);
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 1);
	driver_desc(driver.desc, 1, DATA, first, F_NEXT | write, 2);
	driver_desc(driver.desc, 2, DATA + first, bytes - first, F_NEXT | write, 3);
	driver_desc(driver.desc, 3, STATUS_AT, 1, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 1);
	return (unsigned)driver_get(STATUS_AT, 1);
}

static void disk_equals_model(void)
{
	for (u64 sector = 0; sector < IMAGE_BYTES / 512; sector += 100) {
		u32 bytes = MIN(100 * 512u, IMAGE_BYTES - (u32)sector * 512);

		assert_int_equal(request(BLK_IN, sector, bytes, true), BLK_OK);
		assert_memory_equal(&driver_ram[DATA], model + sector * 512, bytes);
	}
}

static void the_image_is_read(void **state)
{
	disk_equals_model();
	assert_int_equal(blk.disk.frames, 0);
}

static void a_write_stays_in_frames_of_this_disk(void **state)
{
	for (u32 i = 0; i < 9 * 512; i++)
		driver_ram[DATA + i] = model[7 * 512 + i] = (u8)(i * 3 + 1);
	assert_int_equal(request(BLK_OUT, 7, 9 * 512, false), BLK_OK);
	assert_int_equal(blk.disk.frames, 2);
	disk_equals_model();
	assert_int_equal(request(BLK_FLUSH, 0, 0, false), BLK_OK);
}

/* BLK-1. */
static void what_is_outside_the_disk_is_an_error(void **state)
{
	static const u64 sectors[] = {IMAGE_BYTES / 512, IMAGE_BYTES / 512 - 1, 1ull << 55, ~0ull,
				      ~0ull / 512};

	for (unsigned i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_int_equal(request(BLK_IN, sectors[i], 1024, true), BLK_IOERR);
		assert_int_equal(request(BLK_OUT, sectors[i], 1024, false), BLK_IOERR);
	}
	assert_int_equal(request(BLK_OUT, 0, 511, false), BLK_IOERR);
	assert_int_equal(request(99, 0, 512, true), BLK_UNSUPPORTED);
	assert_int_equal(blk.disk.frames, 0);
	disk_equals_model();
}

static unsigned zero(u32 type, u64 sector, u32 sectors, u32 flags)
{
	driver_put(DATA, 8, sector);
	driver_put(DATA + 8, 4, sectors);
	driver_put(DATA + 12, 4, flags);
	return request(type, 0, 16, false);
}

static void zeroes_free_their_frames(void **state)
{
	memset(&driver_ram[DATA], 0x55, 64 * 512);
	memset(model + 512, 0x55, 64 * 512);
	assert_int_equal(request(BLK_OUT, 1, 64 * 512, false), BLK_OK);
	assert_int_equal(blk.disk.frames, 9);
	memset(model + 3 * 512, 0, 40 * 512);
	assert_int_equal(zero(BLK_WRITE_ZEROES, 3, 40, 1), BLK_OK);
	assert_int_equal(blk.disk.frames, 5);
	memset(model + 48 * 512, 0, 8 * 512);
	assert_int_equal(zero(BLK_DISCARD, 45, 12, 0), BLK_OK);
	assert_int_equal(blk.disk.frames, 4);
	disk_equals_model();
	assert_int_equal(zero(BLK_DISCARD, 45, 12, 1), BLK_UNSUPPORTED);
	assert_int_equal(zero(BLK_WRITE_ZEROES, IMAGE_BYTES / 512, 1, 0), BLK_IOERR);
	assert_int_equal(zero(BLK_WRITE_ZEROES, 0, ~0u, 0), BLK_IOERR);
	assert_int_equal(request(BLK_DISCARD, 0, 15, false), BLK_IOERR);
}

/* A block that is zeroed and written in part has no old content (DISK-2). */
static void a_part_of_a_zeroed_block_is_written(void **state)
{
	memset(model, 0, 4096);
	assert_int_equal(zero(BLK_WRITE_ZEROES, 0, 8, 0), BLK_OK);
	memset(&driver_ram[DATA], 0x77, 512);
	memset(model + 1024, 0x77, 512);
	assert_int_equal(request(BLK_OUT, 2, 512, false), BLK_OK);
	disk_equals_model();
}

static void the_id_is_the_images_name(void **state)
{
	assert_int_equal(request(BLK_GET_ID, 0, 20, true), BLK_OK);
	assert_string_equal((char *)&driver_ram[DATA], "base");
}

/* Data where no RAM is: the request fails, the device goes on, and no frame is lost. */
static void a_bad_address_costs_the_request(void **state)
{
	put_header(BLK_OUT, 0);
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 1);
	driver_desc(driver.desc, 1, DRIVER_RAM - 512, 1024, F_NEXT, 2);
	driver_desc(driver.desc, 2, STATUS_AT, 1, F_WRITE, 0);
	memset(&driver_ram[DRIVER_RAM - 512], 0x66, 512);
	memset(model, 0x66, 512);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_get(STATUS_AT, 1), BLK_IOERR);
	assert_int_equal(driver_used(&driver), 1);
	disk_equals_model();
}

/* VIRTIO-2: a malformed ring stops the device until a reset, which starts it anew. */
static void a_malformed_ring_needs_a_reset(void **state)
{
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_read(&driver, STATUS_REG, 1), ALL_OK | VIRTIO_NEEDS_RESET);
	assert_int_equal(driver_data, 0x40);
	assert_int_equal(driver_kick(&driver), 1);
	assert_int_equal(driver_used(&driver), 0);
	driver_start(&driver, FEATURES, DRIVER_QUEUE, true);
	assert_int_equal(driver_read(&driver, STATUS_REG, 1), ALL_OK);
	disk_equals_model();
}

/* VIRTIO-1. */
/* --- Hints --------------------------------------------------------------------------------- */

static u64 mapped_block[64], filled_page[64];
static unsigned maps, fills;
static int map_error;

/* As mm does it, with a copy in place of the frame. */
static int map_block(struct virtio_blk *disk, struct gpa gpa, u64 block)
{
	assert_int_equal(driver_mapped, 0);
	assert_true(disk == &blk && IS_ALIGNED(gpa.raw, PAGE_SIZE));
	if (map_error)
		return map_error;
	mapped_block[maps++ % 64] = block;
	memcpy(&driver_ram[gpa.raw], image + block * DISK_BLOCK, DISK_BLOCK);
	return 0;
}

static void page_filled(struct virtio_blk *disk, struct gpa gpa)
{
	assert_int_equal(driver_mapped, 0);
	filled_page[fills++ % 64] = gpa.raw;
}

/* Data at DATA, in segments that end at pages. */
static unsigned read_pages(u64 block, unsigned pages)
{
	put_header(BLK_IN, block * DISK_BLOCK_SECTORS);
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 1);
	driver_desc(driver.desc, 1, DATA, pages * DISK_BLOCK, F_NEXT | F_WRITE, 2);
	driver_desc(driver.desc, 2, STATUS_AT, 1, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 1);
	assert_memory_equal(&driver_ram[DATA], model + block * DISK_BLOCK, pages * DISK_BLOCK);
	return (unsigned)driver_get(STATUS_AT, 1);
}

static void a_whole_block_of_the_image_is_mapped(void **state)
{
	maps = 0;
	map_error = 0;
	blk.hints.map = map_block;
	assert_int_equal(read_pages(3, 5), BLK_OK);
	assert_int_equal(maps, 5);
	assert_int_equal(mapped_block[0], 3);
	assert_int_equal(mapped_block[4], 7);
	assert_int_equal(blk.counters.mapped, 5);
	/* Off a block's start, a part of a block, an own block, a zeroed one: copied. */
	disk_equals_model();
	maps = 0;
	memset(&driver_ram[DATA], 0x55, DISK_BLOCK);
	memset(model + 8 * DISK_BLOCK, 0x55, DISK_BLOCK);
	assert_int_equal(request(BLK_OUT, 8 * DISK_BLOCK_SECTORS, DISK_BLOCK, false), BLK_OK);
	assert_int_equal(zero(BLK_WRITE_ZEROES, 9 * DISK_BLOCK_SECTORS, DISK_BLOCK_SECTORS, 0),
			 BLK_OK);
	memset(model + 9 * DISK_BLOCK, 0, DISK_BLOCK);
	assert_int_equal(read_pages(8, 2), BLK_OK);
	assert_int_equal(maps, 0);
	assert_int_equal(request(BLK_IN, IMAGE_BYTES / 512 - 1, 512, true), BLK_OK);
	assert_int_equal(maps, 0);
}

static void a_page_that_cannot_be_mapped_is_copied(void **state)
{
	maps = fills = 0;
	map_error = ERR_BUSY;
	blk.hints = (struct blk_hints){map_block, page_filled};
	assert_int_equal(read_pages(3, 5), BLK_OK);
	assert_int_equal(maps, 0);
	assert_int_equal(fills, 5);
	assert_int_equal(blk.counters.mapped, 0);
}

/* A page that is looked at costs more of the budget than its copy. */
static void a_filled_page_is_hinted_at_and_paid_for(void **state)
{
	unsigned pieces;

	fills = 0;
	blk.hints.filled = page_filled;
	put_header(BLK_IN, 0);
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 1);
	driver_desc(driver.desc, 1, DATA, 64 * DISK_BLOCK, F_NEXT | F_WRITE, 2);
	driver_desc(driver.desc, 2, STATUS_AT, 1, F_WRITE, 0);
	driver_offer(&driver, 0);
	pieces = driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 1);
	assert_memory_equal(&driver_ram[DATA], model, 64 * DISK_BLOCK);
	assert_int_equal(fills, 64);
	assert_int_equal(filled_page[1], DATA + DISK_BLOCK);
	assert_true(pieces >= 64 * (BLK_FILLED_UNITS + 1) / VIRTIO_BUDGET);
	fills = 0;
	assert_int_equal(request(BLK_IN, 1, 3 * 512, true), BLK_OK);
	assert_int_equal(fills, 0);
}

static void features_that_were_not_offered_are_refused(void **state)
{
	driver_start(&driver, FEATURES | BIT(34), DRIVER_QUEUE, false);
	assert_int_equal(driver_read(&driver, STATUS_REG, 1) & VIRTIO_FEATURES_OK, 0);
	driver_start(&driver, 0, DRIVER_QUEUE, false);
	assert_int_equal(driver_read(&driver, STATUS_REG, 1) & VIRTIO_FEATURES_OK, 0);
}

static void a_narrower_read_is_the_low_bytes_of_a_field(void **state)
{
	u32 low;

	driver_write(&driver, 0x00, 4, 0);
	low = driver_read(&driver, 0x04, 4);
	assert_true(low & 0xff00 && low >> 16 != 0);
	driver_write(&driver, 0x00, 4, 1);
	assert_int_equal(driver_read(&driver, 0x04, 4), 1); /* VIRTIO_F_VERSION_1 */
	assert_int_equal(driver_read(&driver, 0x04, 2), 1);
	driver_write(&driver, 0x00, 4, 0);
	assert_int_equal(driver_read(&driver, 0x04, 2), low & 0xffff);
	assert_int_equal(driver_read(&driver, 0x04, 1), low & 0xff);
	assert_int_equal(driver_read(&driver, 0x05, 1), 0); /* no field begins there */
	assert_int_equal(driver_read(&driver, 0x14, 2), 0); /* wider than the status */
}

/* VIRTIO-3. */
static void an_enabled_queue_stays_where_it_is(void **state)
{
	driver_write(&driver, 24, 2, 4);
	driver_write(&driver, 32, 4, 0x7000);
	driver_write(&driver, 44, 4, 0x7000);
	assert_int_equal(driver_read(&driver, 24, 2), DRIVER_QUEUE);
	assert_int_equal(driver_read(&driver, 32, 4), driver.desc);
	disk_equals_model();
}

/* Without bus mastering there is no access to memory. */
static void without_bus_mastering_nothing_is_read(void **state)
{
	driver_config_write(&driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	put_header(BLK_FLUSH, 0);
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 1);
	driver_desc(driver.desc, 1, STATUS_AT, 1, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 0);
}

/* BLK-2, VIRTQ-4: at whatever access there is no frame, each request is carried out once. */
static void no_memory_delays_and_repeats_nothing(void **state)
{
	for (unsigned every = 2; every < 12; every++) {
		driver_fail_every = every;
		memset(&driver_ram[DATA], (int)every, 20 * 512);
		memset(model + every * 512, (int)every, 20 * 512);
		assert_int_equal(request(BLK_OUT, every, 20 * 512, false), BLK_OK);
		driver_fail_every = 0;
	}
	disk_equals_model();
}

/* VIRTQ-5: a request of no bytes, in as many segments as there can be. */
static void long_chains_without_data_cost_budget(void **state)
{
	driver_start(&driver, FEATURES, VIRTQ_SIZE_MAX, true);
	put_header(BLK_IN, 0);
	(void)driver_crowd(&driver, F_WRITE, 0);
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 1);
	driver_desc(driver.desc, VIRTQ_SIZE_MAX - 1, STATUS_AT, 1, F_WRITE, 0);
	for (unsigned i = 0; i < 100; i++)
		driver_offer(&driver, 0);
	assert_true(driver_kick(&driver) >= DRIVER_CROWD_PIECES(100));
	assert_int_equal(driver_used(&driver), 100);
	assert_int_equal(blk.counters.errors, 0);
}

/* No piece is longer than the budget, and a reset in the middle ends the request. */
static void a_long_request_is_done_in_pieces(void **state)
{
	u32 bytes = ALIGN_DOWN(IMAGE_BYTES, 4096);

	put_header(BLK_IN, 0);
	driver_desc(driver.desc, 0, HEADER, 16, F_NEXT, 1);
	driver_desc(driver.desc, 1, DATA + 1, bytes, F_NEXT | F_WRITE, 2);
	driver_desc(driver.desc, 2, STATUS_AT, 1, F_WRITE, 0);
	driver_offer(&driver, 0);
	assert_true(driver_kick(&driver) >= 2 * bytes / 4096 / VIRTIO_BUDGET);
	assert_int_equal(driver_used(&driver), 1);
	assert_memory_equal(&driver_ram[DATA + 1], model, bytes);
	driver_offer(&driver, 0);
	driver_write(&driver, VIRTIO_NOTIFY, 2, 0);
	assert_int_equal(blk.device.pci.ops->work(&blk.device.pci), 0);
	assert_true(blk.queue[0].request.active);
	driver_write(&driver, STATUS_REG, 1, 0);
	assert_false(blk.queue[0].request.active);
	assert_int_equal(blk.device.pci.work, 0);
}

/* PCI-2: only bits of the table change; a BAR shows its size. */
static void config_space_keeps_what_is_not_writable(void **state)
{
	const u8 *writable = blk.device.pci.writable;
	u8 before[PCI_CONFIG_SIZE];

	memcpy(before, blk.device.pci.config, sizeof(before));
	for (unsigned reg = 0; reg < PCI_CONFIG_SIZE; reg += 4)
		driver_config_write(&driver, reg, 4, 0xffffffff);
	for (unsigned reg = 0; reg < PCI_CONFIG_SIZE; reg++)
		assert_int_equal((blk.device.pci.config[reg] ^ before[reg]) & ~writable[reg], 0);
	assert_int_equal(driver_config_read(&driver, PCI_BAR, 4), ~(u32)(VIRTIO_BAR_SIZE - 1));
	assert_int_equal(driver_config_read(&driver, PCI_BAR + 4, 4), ~0xfffu);
}

/* For a firmware that would write the wires of another board. */
static void the_interrupt_line_is_fixed(void **state)
{
	struct pci bus = {.function = {NULL, &blk.device.pci}};

	driver_config_write(&driver, PCI_INTERRUPT_LINE, 1, 5);
	assert_int_equal(driver_config_read(&driver, PCI_INTERRUPT_LINE, 1), 5);
	pci_fix_lines(&bus);
	driver_config_write(&driver, PCI_INTERRUPT_LINE, 1, 0xff);
	assert_int_equal(driver_config_read(&driver, PCI_INTERRUPT_LINE, 1), 5);
}

/* The list of capabilities ends, and names each of the five structures and MSI-X. */
static void the_capabilities_are_a_list(void **state)
{
	unsigned at = driver_config_read(&driver, PCI_CAPABILITIES, 1), types = 0, msix = 0;

	for (unsigned i = 0; at; i++, at = driver_config_read(&driver, at + 1, 1)) {
		assert_true(i < 10);
		if (driver_config_read(&driver, at, 1) == 9)
			types |= 1u << driver_config_read(&driver, at + 3, 1);
		else
			msix++;
	}
	assert_int_equal(types, 0x3e);
	assert_int_equal(msix, 1);
}

/* The window in config space reads and writes registers of BAR 0 (4.1.4.9). */
static void registers_are_reached_through_config_space(void **state)
{
	unsigned at = blk.device.access;

	driver_config_write(&driver, at + 4, 1, 0);
	driver_config_write(&driver, at + 8, 4, STATUS_REG);
	driver_config_write(&driver, at + 12, 4, 1);
	assert_int_equal(driver_config_read(&driver, at + 16, 1), ALL_OK);
	driver_config_write(&driver, at + 16, 1, 0);
	assert_int_equal(driver_read(&driver, STATUS_REG, 1), 0);
	driver_config_write(&driver, at + 8, 4, 0xfffffffe);
	assert_int_equal(driver_config_read(&driver, at + 16, 4), 0);
}

/* MSIX-1. */
static void a_masked_vector_is_pending_and_sent_later(void **state)
{
	struct pci_function *function = &blk.device.pci;
	unsigned before = driver_messages;

	spin_lock(&function->lock);
	pci_function_bar_write(function, 1, 16 + 12, 4, 1);
	pci_unlock(function);
	assert_int_equal(request(BLK_FLUSH, 0, 0, false), BLK_OK);
	assert_int_equal(driver_messages, before);
	assert_int_equal(pci_function_bar_read(function, 1, 0x800, 4), 2);
	spin_lock(&function->lock);
	pci_function_bar_write(function, 1, 16 + 12, 4, 0);
	pci_unlock(function);
	assert_int_equal(driver_messages, before + 1);
	assert_int_equal(driver_data, 0x41);
	assert_int_equal(function->pending, 0);
}

static void without_msix_the_wire_is_high_until_isr_is_read(void **state)
{
	driver_config_write(&driver, blk.device.pci.msix + 2, 2, 0);
	driver_start(&driver, FEATURES, DRIVER_QUEUE, false);
	assert_int_equal(request(BLK_FLUSH, 0, 0, false), BLK_OK);
	assert_int_equal(blk.device.pci.wire, 1);
	assert_int_equal(driver_config_read(&driver, PCI_STATUS, 1) & 8, 8);
	assert_int_equal(driver_read(&driver, VIRTIO_ISR, 1), 1);
	assert_int_equal(blk.device.pci.wire, 0);
	assert_int_equal(driver_read(&driver, VIRTIO_ISR, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_image_is_read, start, stop),
		cmocka_unit_test_setup_teardown(a_write_stays_in_frames_of_this_disk, start, stop),
		cmocka_unit_test_setup_teardown(what_is_outside_the_disk_is_an_error, start, stop),
		cmocka_unit_test_setup_teardown(zeroes_free_their_frames, start, stop),
		cmocka_unit_test_setup_teardown(a_part_of_a_zeroed_block_is_written, start, stop),
		cmocka_unit_test_setup_teardown(the_id_is_the_images_name, start, stop),
		cmocka_unit_test_setup_teardown(a_bad_address_costs_the_request, start, stop),
		cmocka_unit_test_setup_teardown(a_malformed_ring_needs_a_reset, start, stop),
		cmocka_unit_test_setup_teardown(a_whole_block_of_the_image_is_mapped, start, stop),
		cmocka_unit_test_setup_teardown(a_page_that_cannot_be_mapped_is_copied, start,
						stop),
		cmocka_unit_test_setup_teardown(a_filled_page_is_hinted_at_and_paid_for, start,
						stop),
		cmocka_unit_test_setup_teardown(features_that_were_not_offered_are_refused, start,
						stop),
		cmocka_unit_test_setup_teardown(a_narrower_read_is_the_low_bytes_of_a_field, start,
						stop),
		cmocka_unit_test_setup_teardown(an_enabled_queue_stays_where_it_is, start, stop),
		cmocka_unit_test_setup_teardown(without_bus_mastering_nothing_is_read, start, stop),
		cmocka_unit_test_setup_teardown(no_memory_delays_and_repeats_nothing, start, stop),
		cmocka_unit_test_setup_teardown(a_long_request_is_done_in_pieces, start, stop),
		cmocka_unit_test_setup_teardown(long_chains_without_data_cost_budget, start, stop),
		cmocka_unit_test_setup_teardown(config_space_keeps_what_is_not_writable, start,
						stop),
		cmocka_unit_test_setup_teardown(the_interrupt_line_is_fixed, start, stop),
		cmocka_unit_test_setup_teardown(the_capabilities_are_a_list, start, stop),
		cmocka_unit_test_setup_teardown(registers_are_reached_through_config_space, start,
						stop),
		cmocka_unit_test_setup_teardown(a_masked_vector_is_pending_and_sent_later, start,
						stop),
		cmocka_unit_test_setup_teardown(without_msix_the_wire_is_high_until_isr_is_read,
						start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
