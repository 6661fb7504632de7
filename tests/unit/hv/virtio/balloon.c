/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon.c: the balloon by its registers and rings (BALLOON-1, BALLOON-2).
 */
#include "hv/virtio/balloon.h"
#include "sim/sim.h"
#include "sim/virtio_world.h"

#define PAGES	 1024u /* of RAM as the balloon has it */
#define DATA	 0x10000ull
#define FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define ALL	 (FEATURES | BALLOON_F_STATS | BALLOON_F_REPORTING)

enum { INFLATE, DEFLATE, STATS, REPORTING };

static struct virtio_balloon balloon;
static struct driver queue[4];
static u8 taken[PAGES];
static unsigned calls, fail_one_in;

static int take(void *context, struct gfn_range range)
{
	calls++;
	if (fail_one_in && calls % fail_one_in == 0)
		return ERR_NO_MEMORY;
	assert_true(range.start.raw < range.end.raw);
	if (range.end.raw > PAGES)
		return ERR_RANGE;
	for (u64 i = range.start.raw; i < range.end.raw; i++)
		taken[i]++;
	return 0;
}

static const struct virtio_ops ops = {
	.type = VIRTIO_BALLOON, .run = balloon_run, .reset = balloon_reset};

static void start_with(u64 features)
{
	driver_start(&queue[0], features, DRIVER_QUEUE, true);
	for (unsigned i = 1; i < 4; i++)
		driver_add_queue(&queue[0], i, &queue[i]);
}

static int start(void **state)
{
	sim_boot(1, 16 * MIB);
	calls = fail_one_in = 0;
	memset(taken, 0, sizeof(taken));
	memset(&balloon, 0, sizeof(balloon));
	balloon.device.memory = driver_memory;
	balloon.take = take;
	balloon_init(&balloon, 300, &ops);
	driver_attach(&queue[0], &balloon.device);
	start_with(ALL);
	return 0;
}

/* A chain with `count` numbers, in two segments that cut one of them. */
static void send_pfns(unsigned number, const u32 *pfns, unsigned count)
{
	struct driver *driver = &queue[number];
	u32 bytes = count * 4, first = bytes > 6 ? 6 : 2;

	memcpy(&driver_ram[DATA], pfns, bytes);
	driver_desc(driver->desc, 0, DATA, first, F_NEXT, 1);
	driver_desc(driver->desc, 1, DATA + first, bytes - first, 0, 0);
	driver_offer(driver, 0);
	(void)driver_kick(driver);
	assert_int_equal(driver_used(driver), 1);
}

static void expect_taken(u64 first, u64 end, unsigned times)
{
	for (u64 i = first; i < end; i++)
		assert_int_equal(taken[i], times);
}

/* BALLOON-1: in whatever order, each once. */
static void pages_that_are_named_are_taken(void **state)
{
	u32 pfns[100];

	for (u32 i = 0; i < 100; i++)
		pfns[i] = i < 40 ? 200 + i : i < 80 ? 500 - i : 600 + 2 * i;
	send_pfns(INFLATE, pfns, 100);
	expect_taken(200, 240, 1);
	expect_taken(421, 461, 1);
	for (u32 i = 80; i < 100; i++)
		expect_taken(600 + 2 * i, 601 + 2 * i, 1);
	assert_int_equal(balloon.counters.inflated, 100);
	expect_taken(240, 421, 0);
	assert_true(calls < 40);
}

static void what_is_no_ram_is_refused_alone(void **state)
{
	static const u32 pfns[] = {PAGES - 2, PAGES - 1, PAGES, PAGES + 1, ~0u, 0, 3};

	send_pfns(INFLATE, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(balloon.counters.refused, 3);
	assert_int_equal(balloon.counters.inflated, 4);
	expect_taken(PAGES - 2, PAGES, 1);
	expect_taken(0, 1, 1);
	assert_int_equal(balloon.device.malformed, 0);
}

static void no_memory_takes_each_page_once(void **state)
{
	u32 pfns[256];

	for (u32 i = 0; i < 256; i++)
		pfns[i] = 900 - i * 3;
	fail_one_in = 5;
	driver_fail_every = 5;
	send_pfns(INFLATE, pfns, 256);
	for (u32 i = 0; i < 256; i++)
		expect_taken(900 - i * 3, 901 - i * 3, 1);
}

static void deflated_pages_are_counted(void **state)
{
	static const u32 pfns[] = {5, 6, 7};

	send_pfns(DEFLATE, pfns, 3);
	assert_int_equal(balloon.counters.deflated, 3);
	assert_int_equal(calls, 0);
}

static void report(unsigned number, u64 gpa, u32 len)
{
	struct driver *driver = &queue[number];

	driver_desc(driver->desc, 0, gpa, len, F_WRITE | F_NEXT, 1);
	driver_desc(driver->desc, 1, 0x1000, 0x1000, F_WRITE, 0);
	driver_offer(driver, 0);
	(void)driver_kick(driver);
	assert_int_equal(driver_used(driver), 1);
}

/* BALLOON-1: whole pages alone. */
static void reported_ranges_are_taken(void **state)
{
	report(REPORTING, 0x20000 + 100, 700 * 4096);
	expect_taken(0x20, 0x21, 0);
	expect_taken(0x21, 0x20 + 700, 1);
	expect_taken(0x20 + 700, PAGES, 0);
	expect_taken(1, 2, 1);
	assert_int_equal(balloon.counters.reported, 700);
	report(REPORTING, (1ull << 40), 0x2000);
	assert_int_equal(balloon.counters.refused, 2);
	report(REPORTING, ~0ull - 0x7ff, 0x7ff); /* no whole page up to the end of the addresses */
	expect_taken(0, 1, 0);
	assert_int_equal(balloon.counters.reported, 702);
}

/* BALLOON-2: the chain is the device's until the last piece. */
static void a_long_report_is_done_in_pieces(void **state)
{
	struct driver *driver = &queue[REPORTING];

	driver_desc(driver->desc, 0, 0, PAGES * 4096, F_WRITE, 0);
	driver_offer(driver, 0);
	driver_write(driver, VIRTIO_NOTIFY + REPORTING * VIRTIO_NOTIFY_STEP, 2, 0);
	fail_one_in = 2;
	spin_lock(&balloon.device.pci.lock);
	assert_int_equal(balloon.device.pci.ops->work(&balloon.device.pci), ERR_NO_MEMORY);
	pci_unlock(&balloon.device.pci);
	assert_int_equal(driver_used(driver), 0);
	expect_taken(0, 512, 1);
	(void)driver_work(driver);
	assert_int_equal(driver_used(driver), 1);
	expect_taken(0, PAGES, 1);
}

/* Without statistics the queue of reports has the number that theirs would have. */
static void queues_are_numbered_by_features(void **state)
{
	start_with(FEATURES | BALLOON_F_REPORTING);
	report(STATS, 0x40000, 0x3000);
	expect_taken(0x40, 0x43, 1);
	start_with(FEATURES);
	driver_offer(&queue[STATS], 0);
	(void)driver_kick(&queue[STATS]);
	assert_int_equal(driver_used(&queue[STATS]), 0);
}

static void offer_stats(u64 free)
{
	struct driver *driver = &queue[STATS];

	driver_put(DATA, 2, 4);
	driver_put(DATA + 2, 8, free);
	driver_put(DATA + 10, 2, 0x7777);
	driver_put(DATA + 12, 8, 1);
	driver_desc(driver->desc, 0, DATA, 20, 0, 0);
	driver_offer(driver, 0);
	(void)driver_kick(driver);
}

static void statistics_come_when_they_are_requested(void **state)
{
	struct driver *driver = &queue[STATS];

	offer_stats(4711);
	assert_int_equal(driver_used(driver), 0);
	assert_int_equal(balloon.stat[4], 4711);
	assert_int_equal(balloon.stats_seen, BIT(4));
	balloon_request_stats(&balloon);
	(void)driver_kick(driver);
	assert_int_equal(driver_used(driver), 1);
	balloon_request_stats(&balloon); /* the driver has the buffer: nothing is due */
	(void)driver_kick(driver);
	offer_stats(4712);
	assert_int_equal(driver_used(driver), 0);
	assert_int_equal(balloon.stat[4], 4712);
}

static void a_new_target_is_a_configuration_interrupt(void **state)
{
	unsigned before = driver_messages;

	assert_int_equal(driver_read(&queue[0], VIRTIO_CONFIG, 4), 300);
	spin_lock(&balloon.device.pci.lock);
	balloon_set_target(&balloon, 77);
	pci_unlock(&balloon.device.pci);
	assert_int_equal(driver_messages, before + 1);
	assert_int_equal(driver_data, 0x40);
	assert_int_equal(driver_read(&queue[0], VIRTIO_CONFIG, 4), 77);
	driver_write(&queue[0], VIRTIO_CONFIG, 4, 5);
	driver_write(&queue[0], VIRTIO_CONFIG + 4, 4, 70);
	assert_int_equal(balloon_target(&balloon), 77);
	assert_int_equal(balloon_actual(&balloon), 70);
}

/* VIRTQ-5. */
static void long_chains_without_pages_cost_budget(void **state)
{
	driver_start(&queue[INFLATE], ALL, VIRTQ_SIZE_MAX, true);
	assert_true(driver_crowd(&queue[INFLATE], 0, 100) >= DRIVER_CROWD_PIECES(100));
	assert_int_equal(driver_used(&queue[INFLATE]), 100);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_that_are_named_are_taken),
		TEST(what_is_no_ram_is_refused_alone),
		TEST(no_memory_takes_each_page_once),
		TEST(deflated_pages_are_counted),
		TEST(reported_ranges_are_taken),
		TEST(a_long_report_is_done_in_pieces),
		TEST(queues_are_numbered_by_features),
		TEST(statistics_come_when_they_are_requested),
		TEST(a_new_target_is_a_configuration_interrupt),
		TEST(long_chains_without_pages_cost_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
