/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c: split queues by themselves (VIRTQ-1 to VIRTQ-4): chains, indirect tables, event indexes,
 * and rings that no driver of good will makes.
 */
#include "sim/sim.h"
#include "sim/virtio_world.h"

#define DESC  0x1000ull
#define AVAIL 0x2000ull
#define USED  0x3000ull
#define TABLE 0x4000ull
#define SIZE  8u

static struct virtq queue;
static struct virtq_chain chain;
static struct virtio_device device;
static struct driver driver;
static const struct virtio_ops ops = {.type = VIRTIO_RNG};

static int start(void **state)
{
	sim_boot(1, 8 * MIB);
	memset(&device, 0, sizeof(device));
	device.ops = &ops;
	virtio_init(&device, 1, 0, 0);
	driver_attach(&driver, &device);
	driver = (struct driver){
		.device = &device, .desc = DESC, .avail = AVAIL, .used = USED, .size = SIZE};
	queue = (struct virtq){
		.desc = DESC, .driver = AVAIL, .device = USED, .size = SIZE, .indirect = true};
	assert_true(virtq_is_valid(&queue));
	return 0;
}

static int pop(void)
{
	return virtq_pop(&queue, &driver_memory, &chain);
}

static void a_chain_has_its_readable_segments_first(void **state)
{
	driver_desc(DESC, 3, 0x8000, 16, F_NEXT, 5);
	driver_desc(DESC, 5, 0x9000, 100, F_NEXT | F_WRITE, 1);
	driver_desc(DESC, 1, 0xa000, 1, F_WRITE, 77);
	driver_offer(&driver, 3);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.readable, 1);
	assert_int_equal(chain.count, 3);
	assert_int_equal(chain.segment[1].gpa, 0x9000);
	assert_int_equal(virtq_bytes(&chain, virtq_writable(&chain)), 101);
	assert_int_equal(pop(), 0);
}

/* VIRTQ-3. */
static void readable_behind_writable_is_malformed(void **state)
{
	driver_desc(DESC, 0, 0x8000, 16, F_NEXT | F_WRITE, 1);
	driver_desc(DESC, 1, 0x9000, 16, 0, 0);
	driver_offer(&driver, 0);
	assert_int_equal(pop(), ERR_FORMAT);
}

static void an_address_that_wraps_is_malformed(void **state)
{
	driver_desc(DESC, 0, ~0ull - 3, 16, 0, 0);
	driver_offer(&driver, 0);
	assert_int_equal(pop(), ERR_FORMAT);
}

/* VIRTQ-2. */
static void a_loop_is_malformed(void **state)
{
	for (unsigned i = 0; i < SIZE; i++)
		driver_desc(DESC, i, 0x8000, 16, F_NEXT, (i + 1) % SIZE);
	driver_offer(&driver, 2);
	assert_int_equal(pop(), ERR_FORMAT);
}

/* VIRTQ-2: an indirect table of more descriptors than the queue has. */
static void a_long_chain_is_malformed(void **state)
{
	for (unsigned i = 0; i <= SIZE; i++)
		driver_desc(TABLE, i, 0x8000, 16, i < SIZE ? F_NEXT : 0, (u16)(i + 1));
	driver_desc(DESC, 0, TABLE, (SIZE + 1) * 16, F_INDIRECT, 0);
	driver_offer(&driver, 0);
	assert_int_equal(pop(), ERR_FORMAT);
	driver_desc(TABLE, SIZE - 1, 0x8000, 16, 0, 0);
	assert_int_equal(pop(), 1);
}

static void indexes_outside_the_table_are_malformed(void **state)
{
	driver_offer(&driver, SIZE);
	assert_int_equal(pop(), ERR_FORMAT);
	driver_desc(DESC, 0, 0x8000, 16, F_NEXT, SIZE);
	driver_put(AVAIL + 4, 2, 0);
	assert_int_equal(pop(), ERR_FORMAT);
}

static void more_entries_than_the_ring_has_are_malformed(void **state)
{
	driver_put(AVAIL + 2, 2, SIZE + 1);
	assert_int_equal(pop(), ERR_FORMAT);
	driver_put(AVAIL + 2, 2, 0xffff);
	assert_int_equal(pop(), ERR_FORMAT);
}

static void an_indirect_table_is_followed_once(void **state)
{
	driver_desc(TABLE, 0, 0x8000, 16, F_NEXT, 2);
	driver_desc(TABLE, 2, 0x9000, 16, F_WRITE, 0);
	driver_desc(DESC, 0, 0xb000, 8, F_NEXT, 1);
	driver_desc(DESC, 1, TABLE, 3 * 16, F_INDIRECT, 0);
	driver_offer(&driver, 0);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.count, 3);
	driver_desc(TABLE, 2, TABLE + 64, 16, F_INDIRECT, 0);
	driver_desc(TABLE + 64, 0, 0x9000, 16, F_WRITE, 0);
	driver_offer(&driver, 0);
	assert_int_equal(pop(), ERR_FORMAT);
}

static void bad_indirect_tables_are_malformed(void **state)
{
	static const struct {
		u64 addr;
		u32 len;
		u16 flags;
	} bad[] = {{TABLE, 0, F_INDIRECT},
		   {TABLE, 24, F_INDIRECT},
		   {~0ull - 15, 32, F_INDIRECT},
		   {TABLE, 16, F_INDIRECT | F_NEXT}};

	driver_desc(TABLE, 0, 0x8000, 16, 0, 0);
	driver_offer(&driver, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_desc(DESC, 0, bad[i].addr, bad[i].len, bad[i].flags, 0);
		assert_int_equal(pop(), ERR_FORMAT);
	}
	driver_desc(DESC, 0, TABLE, 16, F_INDIRECT, 0);
	queue.indirect = false;
	assert_int_equal(pop(), ERR_FORMAT);
}

static void a_ring_where_no_ram_is_costs_the_queue(void **state)
{
	queue.driver = DRIVER_RAM;
	assert_int_equal(pop(), ERR_RANGE);
	queue.driver = AVAIL;
	queue.desc = DRIVER_RAM - 16;
	driver_offer(&driver, 1);
	assert_int_equal(pop(), ERR_RANGE);
}

static void areas_are_aligned_and_do_not_wrap(void **state)
{
	queue.desc = DESC + 8;
	assert_false(virtq_is_valid(&queue));
	queue.desc = ~0xfull;
	assert_false(virtq_is_valid(&queue));
	queue.desc = DESC;
	queue.driver = AVAIL + 1;
	assert_false(virtq_is_valid(&queue));
	queue.driver = AVAIL;
	queue.device = USED + 2;
	assert_false(virtq_is_valid(&queue));
	queue.device = USED;
	queue.size = 6;
	assert_false(virtq_is_valid(&queue));
	queue.size = 2 * VIRTQ_SIZE_MAX;
	assert_false(virtq_is_valid(&queue));
}

/* VIRTQ-4: whatever access fails, the next try gives the same. */
static void what_may_pass_changes_nothing(void **state)
{
	driver_desc(DESC, 0, 0x8000, 16, F_NEXT, 1);
	driver_desc(DESC, 1, 0x9000, 16, F_WRITE, 0);
	queue.event_index = true;
	for (unsigned round = 0; round < 200; round++) {
		bool needed;
		int err;

		driver_offer(&driver, 0);
		driver_fail_every = 2 + round % 5;
		for (err = ERR_NO_MEMORY; err == ERR_NO_MEMORY;)
			err = pop();
		assert_int_equal(err, 1);
		assert_int_equal(chain.count, 2);
		driver_put(AVAIL + 4 + 2 * SIZE, 2, driver_get(USED + 2, 2));
		for (err = ERR_NO_MEMORY; err == ERR_NO_MEMORY;)
			err = virtq_push(&queue, &driver_memory, chain.head, round);
		assert_int_equal(driver_used(&driver), 1);
		for (err = ERR_NO_MEMORY; err == ERR_NO_MEMORY;)
			err = virtq_needs_interrupt(&queue, &driver_memory, &needed);
		assert_true(needed);
		driver_fail_every = 0;
		assert_int_equal(pop(), 0);
		assert_int_equal(driver_get(USED + 4 + 8 * SIZE, 2), (u16)(round + 1));
	}
}

static bool needs(void)
{
	bool result;

	assert_int_equal(virtq_needs_interrupt(&queue, &driver_memory, &result), 0);
	return result;
}

static void an_interrupt_is_due_at_its_event(void **state)
{
	queue.event_index = true;
	driver_put(AVAIL + 4 + 2 * SIZE, 2, 1); /* at the second */
	assert_false(needs());
	assert_int_equal(virtq_push(&queue, &driver_memory, 0, 0), 0);
	assert_false(needs());
	assert_int_equal(virtq_push(&queue, &driver_memory, 0, 0), 0);
	assert_int_equal(virtq_push(&queue, &driver_memory, 0, 0), 0);
	assert_true(needs());
	assert_false(needs());
	queue.event_index = false;
	assert_int_equal(virtq_push(&queue, &driver_memory, 0, 0), 0);
	driver_put(AVAIL, 2, 1);
	assert_false(needs());
	assert_int_equal(virtq_push(&queue, &driver_memory, 0, 0), 0);
	driver_put(AVAIL, 2, 0);
	assert_true(needs());
}

/* Segments of every length, none among them, come out as one run of bytes. */
static void streams_are_copied_across_segments_and_pages(void **state)
{
	static const u32 lengths[] = {0, 1, 5000, 0, 3, 4096, 0};
	u8 in[9100], out[9100];
	struct virtq_stream stream;

	chain = (struct virtq_chain){.count = ARRAY_SIZE(lengths)};
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++)
		chain.segment[i] = (struct virtq_segment){0x10000 + 0x3000ull * i + 17, lengths[i]};
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (u8)(i * 7);
	stream = virtq_writable(&chain);
	assert_int_equal(virtq_bytes(&chain, stream), sizeof(in));
	assert_int_equal(virtq_put(&chain, &driver_memory, &stream, in, 33), 0);
	assert_int_equal(virtq_bytes(&chain, stream), sizeof(in) - 33);
	assert_int_equal(virtq_put(&chain, &driver_memory, &stream, in + 33, sizeof(in) - 33), 0);
	assert_int_equal(virtq_put(&chain, &driver_memory, &stream, in, 1), ERR_FORMAT);
	stream = virtq_writable(&chain);
	assert_int_equal(virtq_get(&chain, &driver_memory, &stream, out, sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_chain_has_its_readable_segments_first, start),
		cmocka_unit_test_setup(readable_behind_writable_is_malformed, start),
		cmocka_unit_test_setup(an_address_that_wraps_is_malformed, start),
		cmocka_unit_test_setup(a_loop_is_malformed, start),
		cmocka_unit_test_setup(a_long_chain_is_malformed, start),
		cmocka_unit_test_setup(indexes_outside_the_table_are_malformed, start),
		cmocka_unit_test_setup(more_entries_than_the_ring_has_are_malformed, start),
		cmocka_unit_test_setup(an_indirect_table_is_followed_once, start),
		cmocka_unit_test_setup(bad_indirect_tables_are_malformed, start),
		cmocka_unit_test_setup(a_ring_where_no_ram_is_costs_the_queue, start),
		cmocka_unit_test_setup(areas_are_aligned_and_do_not_wrap, start),
		cmocka_unit_test_setup(what_may_pass_changes_nothing, start),
		cmocka_unit_test_setup(an_interrupt_is_due_at_its_event, start),
		cmocka_unit_test_setup(streams_are_copied_across_segments_and_pages, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
