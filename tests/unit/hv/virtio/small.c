/* SPDX-License-Identifier: Apache-2.0 */
/*
 * small.c: entropy, console and persistent memory by their registers and rings (RNG-1,
 * CONSOLE-DEV-1).
 */
#include "hv/virtio/console.h"
#include "hv/virtio/pmem.h"
#include "hv/virtio/rng.h"
#include "sim/sim.h"
#include "sim/virtio_world.h"

#define DATA	    0x10000ull
#define FEATURES    (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define EMERG_WRITE BIT(2)

static struct virtio_pmem pmem;
static struct virtio_rng rng;
static struct virtio_console console;
static struct driver driver, output;
static u64 drawn;
static char sent[4096];
static size_t sent_bytes;

static u64 source(void)
{
	return 0x0101010101010101ull * ++drawn;
}

static const struct virtio_ops rng_ops = {.type = VIRTIO_RNG, .run = rng_run};

static int start_rng(void **state)
{
	sim_boot(1, 16 * MIB);
	drawn = 0;
	memset(&rng, 0, sizeof(rng));
	rng.device.memory = driver_memory;
	rng_init(&rng, source, &rng_ops);
	driver_attach(&driver, &rng.device);
	driver_start(&driver, FEATURES, DRIVER_QUEUE, true);
	return 0;
}

static void send(void *context, const char *text, size_t len)
{
	assert_true(sent_bytes + len <= sizeof(sent));
	memcpy(sent + sent_bytes, text, len);
	sent_bytes += len;
}

static const struct virtio_ops console_ops = {
	.type = VIRTIO_CONSOLE,
	.run = virtio_console_run,
	.config_written = virtio_console_config_written,
	.reset = virtio_console_reset,
};

static int start_console(void **state)
{
	sim_boot(1, 16 * MIB);
	sent_bytes = 0;
	memset(&console, 0, sizeof(console));
	console.device.memory = driver_memory;
	console.send = send;
	virtio_console_init(&console, &console_ops);
	driver_attach(&driver, &console.device);
	driver_start(&driver, FEATURES | EMERG_WRITE, DRIVER_QUEUE, true);
	driver_add_queue(&driver, CONSOLE_TRANSMIT, &output);
	return 0;
}

/* The bytes written into the chain of the last used entry. */
static u32 used_len(const struct driver *queue)
{
	u16 last = (u16)(driver_get(queue->used + 2, 2) - 1);

	return (u32)driver_get(queue->used + 4 + 8ull * (last % queue->size) + 4, 4);
}

static void a_buffer_is_filled_with_random_bytes(void **state)
{
	driver_desc(driver.desc, 0, DATA, 20, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 1);
	assert_int_equal(used_len(&driver), 20);
	assert_int_equal(driver_get(DATA, 8), 0x0101010101010101ull);
	assert_int_equal(driver_get(DATA + 16, 8), 0x03030303);
	assert_int_equal(driver_messages, 1);
}

/* RNG-1. */
static void a_long_request_gets_a_part(void **state)
{
	driver_desc(driver.desc, 0, DATA, 0x20000, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(used_len(&driver), RNG_BYTES_MAX);
	assert_int_equal(drawn, RNG_BYTES_MAX / 8);
	assert_int_equal(driver_get(DATA + RNG_BYTES_MAX, 8), 0);
}

static void an_address_that_is_no_ram_gets_no_bytes(void **state)
{
	driver_desc(driver.desc, 0, DRIVER_RAM, 64, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 1);
	assert_int_equal(used_len(&driver), 0);
	assert_int_equal(rng.device.malformed, 0);
}

/* VIRTQ-5. */
static void long_chains_without_bytes_cost_budget(void **state)
{
	driver_start(&driver, FEATURES, VIRTQ_SIZE_MAX, true);
	assert_true(driver_crowd(&driver, F_WRITE, 100) >= DRIVER_CROWD_PIECES(100));
	assert_int_equal(driver_used(&driver), 100);
}

static void no_memory_gives_each_request_back_once(void **state)
{
	driver_fail_every = 3;
	for (unsigned i = 0; i < 100; i++) {
		driver_desc(driver.desc, 0, DATA + i, 40, F_WRITE, 0);
		driver_offer(&driver, 0);
		(void)driver_kick(&driver);
		assert_int_equal(driver_used(&driver), 1);
		assert_int_equal(used_len(&driver), 40);
	}
	assert_int_equal(rng.requests, 100);
}

static void print(const char *text, unsigned first)
{
	size_t len = strlen(text);

	memcpy(&driver_ram[DATA], text, len);
	driver_desc(output.desc, 0, DATA, first, F_NEXT, 1);
	driver_desc(output.desc, 1, DATA + first, (u32)len - first, 0, 0);
	driver_offer(&output, 0);
	(void)driver_kick(&output);
	assert_int_equal(driver_used(&output), 1);
}

static void output_comes_in_order(void **state)
{
	static const char text[] = "a line that is longer than one piece of the console\n";

	print(text, 5);
	print("x", 1);
	assert_int_equal(sent_bytes, sizeof(text));
	assert_memory_equal(sent, text, sizeof(text) - 1);
	assert_int_equal(sent[sent_bytes - 1], 'x');
}

static void no_memory_repeats_no_output(void **state)
{
	char text[300];

	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	text[sizeof(text) - 1] = '\0';
	driver_fail_every = 3;
	for (unsigned i = 0; i < 10; i++) {
		sent_bytes = 0;
		print(text, 100);
		assert_int_equal(sent_bytes, sizeof(text) - 1);
		assert_memory_equal(sent, text, sent_bytes);
	}
}

/* A piece of work is at most VIRTIO_BUDGET units, and CONSOLE_COST of them a piece of text. */
static void long_output_is_done_in_pieces(void **state)
{
	memset(&driver_ram[DATA], 'z', 4000);
	driver_desc(output.desc, 0, DATA, 4000, 0, 0);
	driver_offer(&output, 0);
	assert_true(driver_kick(&output) >= 4000 / CONSOLE_PIECE / (VIRTIO_BUDGET / CONSOLE_COST));
	assert_int_equal(sent_bytes, 4000);
}

/* VIRTQ-5. */
static void long_output_without_bytes_costs_budget(void **state)
{
	driver_start(&driver, FEATURES, VIRTQ_SIZE_MAX, true);
	driver_add_queue(&driver, CONSOLE_TRANSMIT, &output);
	assert_true(driver_crowd(&output, 0, 100) >= DRIVER_CROWD_PIECES(100));
	assert_int_equal(driver_used(&output), 100);
}

static void type(const char *text)
{
	for (; *text; text++)
		virtio_console_type(&console, (u8)*text);
	console.device.pci.work |= BIT(CONSOLE_RECEIVE);
	(void)driver_work(&driver);
}

/* CONSOLE-DEV-1. */
static void typed_bytes_wait_for_a_buffer(void **state)
{
	type("abc");
	assert_int_equal(driver_used(&driver), 0);
	driver_desc(driver.desc, 0, DATA, 2, F_WRITE, 0);
	driver_desc(driver.desc, 1, DATA + 8, 8, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 1);
	assert_memory_equal(&driver_ram[DATA], "ab", 2);
	driver_offer(&driver, 1);
	type("d");
	assert_int_equal(used_len(&driver), 2);
	assert_memory_equal(&driver_ram[DATA + 8], "cd", 2);
}

/* CONSOLE-DEV-1. */
static void what_finds_no_room_is_refused(void **state)
{
	for (unsigned i = 0; i < CONSOLE_TYPED; i++) {
		assert_true(virtio_console_has_room(&console));
		virtio_console_type(&console, (u8)i);
	}
	assert_false(virtio_console_has_room(&console));
	virtio_console_type(&console, 0xff);
	assert_int_equal(console.count, CONSOLE_TYPED);
}

static void a_byte_without_queues_is_a_register(void **state)
{
	driver_write(&driver, VIRTIO_CONFIG + 8, 4, 'Q');
	assert_int_equal(sent_bytes, 1);
	assert_int_equal(sent[0], 'Q');
	driver_write(&driver, 20, 1, 0);
	driver_write(&driver, VIRTIO_CONFIG + 8, 4, 'R');
	assert_int_equal(sent_bytes, 1);
}

static const struct virtio_ops pmem_ops = {.type = VIRTIO_PMEM, .run = pmem_run};

static int start_pmem(void **state)
{
	sim_boot(1, 16 * MIB);
	memset(&pmem, 0, sizeof(pmem));
	pmem.device.memory = driver_memory;
	pmem_init(&pmem, 5 * GIB, 24 * MIB, &pmem_ops);
	driver_attach(&driver, &pmem.device);
	driver_start(&driver, FEATURES, DRIVER_QUEUE, true);
	return 0;
}

static u32 pmem_result(u32 type, u32 request_len, u32 result_len)
{
	driver_put(DATA, 4, type);
	driver_put(DATA + 8, 4, 0x77);
	driver_desc(driver.desc, 0, DATA, request_len, F_NEXT, 1);
	driver_desc(driver.desc, 1, DATA + 8, result_len, F_WRITE, 0);
	driver_offer(&driver, 0);
	(void)driver_kick(&driver);
	assert_int_equal(driver_used(&driver), 1);
	return (u32)driver_get(DATA + 8, 4);
}

static void persistent_memory_says_where_it_is(void **state)
{
	assert_int_equal(driver_read(&driver, VIRTIO_CONFIG, 4), (u32)(5 * GIB));
	assert_int_equal(driver_read(&driver, VIRTIO_CONFIG + 4, 4), 5 * GIB >> 32);
	assert_int_equal(driver_read(&driver, VIRTIO_CONFIG + 8, 4), 24 * MIB);
	driver_write(&driver, VIRTIO_CONFIG, 4, 0);
	assert_int_equal(driver_read(&driver, VIRTIO_CONFIG + 4, 4), 5 * GIB >> 32);
}

static void a_flush_succeeds_and_nothing_else_does(void **state)
{
	assert_int_equal(pmem_result(PMEM_FLUSH, 4, 4), 0);
	assert_int_equal(used_len(&driver), 4);
	assert_int_equal(pmem_result(1, 4, 4), ~0u);
	assert_int_equal(pmem_result(PMEM_FLUSH, 3, 4), ~0u);
	(void)pmem_result(PMEM_FLUSH, 4, 3); /* no room for the answer */
	assert_int_equal(used_len(&driver), 0);
	assert_int_equal(pmem.flushes + pmem.refused, 4);
}

static void no_memory_answers_each_flush_once(void **state)
{
	driver_fail_every = 3;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pmem_result(PMEM_FLUSH, 4, 4), 0);
	driver_fail_every = 0;
	assert_true(pmem.flushes >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_buffer_is_filled_with_random_bytes, start_rng),
		cmocka_unit_test_setup(a_long_request_gets_a_part, start_rng),
		cmocka_unit_test_setup(an_address_that_is_no_ram_gets_no_bytes, start_rng),
		cmocka_unit_test_setup(long_chains_without_bytes_cost_budget, start_rng),
		cmocka_unit_test_setup(no_memory_gives_each_request_back_once, start_rng),
		cmocka_unit_test_setup(output_comes_in_order, start_console),
		cmocka_unit_test_setup(no_memory_repeats_no_output, start_console),
		cmocka_unit_test_setup(long_output_is_done_in_pieces, start_console),
		cmocka_unit_test_setup(long_output_without_bytes_costs_budget, start_console),
		cmocka_unit_test_setup(typed_bytes_wait_for_a_buffer, start_console),
		cmocka_unit_test_setup(what_finds_no_room_is_refused, start_console),
		cmocka_unit_test_setup(a_byte_without_queues_is_a_register, start_console),
		cmocka_unit_test_setup(persistent_memory_says_where_it_is, start_pmem),
		cmocka_unit_test_setup(a_flush_succeeds_and_nothing_else_does, start_pmem),
		cmocka_unit_test_setup(no_memory_answers_each_flush_once, start_pmem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
