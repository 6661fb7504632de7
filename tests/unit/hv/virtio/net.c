/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c: three network devices at a switch, by their registers and rings (SWITCH-1 to SWITCH-3,
 * NET-1, NET-2).
 */
#include "hv/virtio/net/net.h"
#include "sim/sim.h"
#include "sim/virtio_world.h"
#include <arch/ticks.h>

#define DEVICES	  3
#define FEATURES  (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | NET_F_CSUM)
#define SENT(i)	  (0x20000ull + 0x1000 * (i)) /* a driver's packet */
#define GOT(i, n) (0x30000ull + 0x10000 * (i) + 0x800 * (n))
#define BUFFERS	  8u
#define FRAME	  (PACKET_HEADER) /* place in a buffer */

enum { A, B, C };

static struct net_switch lan;
static struct virtio_net net[DEVICES];
static struct driver receiver[DEVICES], sender[DEVICES];
static u32 woken;

static void net_wake(struct virtio_device *device, u32 others)
{
	woken |= others;
}

static const struct virtio_ops ops = {
	.type = VIRTIO_NET, .run = net_run, .wake = net_wake, .reset = net_reset};

static void mac_of(unsigned i, u8 *mac)
{
	const u8 bytes[MAC_BYTES] = {2, 0, 0, 0, 0, (u8)(i + 1)};

	memcpy(mac, bytes, MAC_BYTES);
}

static void start_device(unsigned i, u64 features)
{
	driver_start(&receiver[i], features, DRIVER_QUEUE, true);
	driver_add_queue(&receiver[i], NET_TRANSMIT, &sender[i]);
}

static int start(void **state)
{
	sim_boot(1, 16 * MIB);
	switch_init(&lan);
	woken = 0;
	for (unsigned i = 0; i < DEVICES; i++) {
		u8 mac[MAC_BYTES];

		memset(&net[i], 0, sizeof(net[i]));
		mac_of(i, mac);
		assert_int_equal(switch_attach(&lan, &net[i].port, mac), 0);
		net[i].device.memory = driver_memory;
		net_init(&net[i], &ops);
		driver_attach(&receiver[i], &net[i].device);
		receiver[i].base += 2 * DRIVER_QUEUE_BYTES * i;
	}
	for (unsigned i = 0; i < DEVICES; i++)
		start_device(i, FEATURES);
	return 0;
}

/* All devices work until none is woken. */
static void settle(void)
{
	u32 now;

	do {
		now = woken;
		woken = 0;
		for (unsigned i = 0; i < DEVICES; i++) {
			if (now & BIT(i))
				net[i].device.pci.work |= 3;
			(void)driver_work(&receiver[i]);
		}
	} while (woken);
}

/* Buffer n of the driver, of `bytes`. */
static void give_buffer(unsigned i, unsigned n, u32 bytes)
{
	driver_desc(receiver[i].desc, n, GOT(i, n), bytes, F_WRITE, 0);
	driver_offer(&receiver[i], (u16)n);
	(void)driver_kick(&receiver[i]);
	settle();
}

static void give_buffers(unsigned i)
{
	for (unsigned n = 0; n < BUFFERS; n++)
		give_buffer(i, n, PACKET_HEADER + FRAME_MAX);
}

static void put_frame(unsigned from, const u8 *to, const u8 *source, u32 len, u8 fill)
{
	u8 *frame = &driver_ram[SENT(from) + FRAME];

	memset(&driver_ram[SENT(from)], 0, PACKET_HEADER);
	memset(frame, fill, len);
	memcpy(frame, to, MAC_BYTES);
	memcpy(frame + MAC_BYTES, source, MAC_BYTES);
}

static void send_chain(unsigned from, u32 len)
{
	driver_desc(sender[from].desc, 0, SENT(from), PACKET_HEADER, F_NEXT, 1);
	driver_desc(sender[from].desc, 1, SENT(from) + FRAME, len, 0, 0);
	driver_offer(&sender[from], 0);
	(void)driver_kick(&sender[from]);
	settle();
}

static void send_to(unsigned from, unsigned to, u32 len, u8 fill)
{
	u8 destination[MAC_BYTES], source[MAC_BYTES];

	mac_of(to, destination);
	mac_of(from, source);
	put_frame(from, destination, source, len, fill);
	send_chain(from, len);
}

static void a_packet_reaches_its_address(void **state)
{
	for (unsigned i = 0; i < DEVICES; i++)
		give_buffers(i);
	send_to(A, B, 1000, 0x77);
	assert_int_equal(driver_used(&sender[A]), 1);
	assert_int_equal(driver_used(&receiver[B]), 1);
	assert_int_equal(driver_used(&receiver[A]) + driver_used(&receiver[C]), 0);
	assert_memory_equal(&driver_ram[GOT(B, 0) + FRAME], &driver_ram[SENT(A) + FRAME], 1000);
	assert_int_equal(driver_get(GOT(B, 0) + 10, 2), 1);
	assert_int_equal(driver_get(receiver[B].used + 8, 4), PACKET_HEADER + 1000);
}

static void a_broadcast_reaches_all_others(void **state)
{
	static const u8 all[MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	u8 source[MAC_BYTES];

	for (unsigned i = 0; i < DEVICES; i++)
		give_buffers(i);
	mac_of(B, source);
	put_frame(B, all, source, 60, 1);
	send_chain(B, 60);
	assert_int_equal(driver_used(&receiver[A]), 1);
	assert_int_equal(driver_used(&receiver[B]), 0);
	assert_int_equal(driver_used(&receiver[C]), 1);
}

static void an_address_is_learned_from_its_packets(void **state)
{
	static const u8 inner[MAC_BYTES] = {2, 9, 9, 9, 9, 9};
	u8 mac[MAC_BYTES];

	for (unsigned i = 0; i < DEVICES; i++)
		give_buffers(i);
	mac_of(B, mac);
	put_frame(B, inner, mac, 60, 1); /* unknown: to all others */
	send_chain(B, 60);
	assert_int_equal(driver_used(&receiver[A]) + driver_used(&receiver[C]), 2);
	put_frame(A, mac, inner, 60, 1);
	send_chain(A, 60);
	assert_int_equal(driver_used(&receiver[B]), 1);
	put_frame(B, inner, mac, 60, 1);
	send_chain(B, 60);
	assert_int_equal(driver_used(&receiver[A]), 1);
	assert_int_equal(driver_used(&receiver[C]), 0);
}

/* SWITCH-1: a port that uses many addresses displaces its own alone. */
static void learned_addresses_are_bounded(void **state)
{
	u8 mac[MAC_BYTES], inner[MAC_BYTES] = {2, 9, 9, 9, 9, 9};

	for (unsigned i = 0; i < DEVICES; i++)
		give_buffers(i);
	mac_of(C, mac);
	put_frame(A, mac, inner, 60, 1);
	send_chain(A, 60);
	mac_of(B, mac);
	for (unsigned i = 0; i < 100; i++) {
		inner[1] = 7;
		inner[2] = (u8)i;
		put_frame(B, mac, inner, 60, 1);
		send_chain(B, 60);
	}
	(void)driver_used(&receiver[A]);
	(void)driver_used(&receiver[C]);
	memset(inner + 1, 9, 5);
	mac_of(C, mac);
	put_frame(C, inner, mac, 60, 1);
	send_chain(C, 60);
	assert_int_equal(driver_used(&receiver[A]), 1);
	assert_int_equal(driver_used(&receiver[B]), 0);
}

/* SWITCH-3. */
static void an_address_of_another_port_is_refused(void **state)
{
	u8 a[MAC_BYTES], c[MAC_BYTES];

	for (unsigned i = 0; i < DEVICES; i++)
		give_buffers(i);
	mac_of(A, a);
	mac_of(C, c);
	put_frame(B, c, a, 60, 1);
	send_chain(B, 60);
	assert_int_equal(driver_used(&sender[B]), 1);
	assert_int_equal(driver_used(&receiver[C]), 0);
	assert_int_equal(net[B].port.counters.spoofed, 1);
	send_to(C, A, 60, 2);
	assert_int_equal(driver_used(&receiver[A]), 1);
}

static void send_unsummed(unsigned from, unsigned to)
{
	u8 destination[MAC_BYTES], source[MAC_BYTES];

	mac_of(to, destination);
	mac_of(from, source);
	put_frame(from, destination, source, 61, 0x11);
	driver_put(SENT(from), 1, 1);
	driver_put(SENT(from) + 6, 2, 34);
	driver_put(SENT(from) + 8, 2, 6);
	driver_put(SENT(from) + FRAME + 40, 2, 0x3412); /* the pseudo header's */
	send_chain(from, 61);
}

static void a_checksum_is_computed_for_a_driver_without_the_feature(void **state)
{
	u32 sum = 0;

	give_buffers(B);
	send_unsummed(A, B);
	assert_int_equal(driver_get(GOT(B, 0), 1), 0);
	for (unsigned i = 34; i < 61; i++)
		sum += (u32)driver_get(GOT(B, 0) + FRAME + i, 1) << (i % 2 ? 0 : 8);
	/* A receiver's sum: field and data make ffffh with the pseudo header's sum. */
	assert_int_equal((sum + 0x1234) % 0xffff, 0);
	assert_int_not_equal(driver_get(GOT(B, 0) + FRAME + 40, 2), 0x3412);
	assert_int_equal(driver_get(GOT(B, 0) + FRAME + 60, 1), 0x11);
}

static void a_checksum_is_left_to_a_driver_with_the_feature(void **state)
{
	start_device(B, FEATURES | NET_F_GUEST_CSUM);
	give_buffers(B);
	send_unsummed(A, B);
	assert_int_equal(driver_get(GOT(B, 0), 1), 1);
	assert_int_equal(driver_get(GOT(B, 0) + 6, 2), 34);
	assert_int_equal(driver_get(GOT(B, 0) + 8, 2), 6);
	assert_int_equal(driver_get(GOT(B, 0) + FRAME + 40, 2), 0x3412);
}

static void a_packet_may_need_several_buffers(void **state)
{
	start_device(B, FEATURES | NET_F_MRG_RXBUF);
	give_buffer(B, 0, 600);
	send_to(A, B, 1500, 0x44);
	assert_int_equal(driver_used(&receiver[B]), 0);
	give_buffer(B, 1, 600);
	give_buffer(B, 2, 600);
	assert_int_equal(driver_used(&receiver[B]), 3);
	assert_int_equal(driver_get(GOT(B, 0) + 10, 2), 3);
	assert_memory_equal(&driver_ram[GOT(B, 0) + FRAME], &driver_ram[SENT(A) + FRAME], 588);
	assert_memory_equal(&driver_ram[GOT(B, 2)], &driver_ram[SENT(A) + FRAME + 588 + 600], 312);
	assert_int_equal(driver_get(receiver[B].used + 4 + 20, 4), 312);
}

static void a_buffer_that_is_too_small_costs_the_packet(void **state)
{
	give_buffer(B, 0, 600);
	send_to(A, B, 1500, 0x44);
	assert_int_equal(net[B].counters.too_small, 1);
	assert_int_equal(driver_used(&receiver[B]), 0);
	send_to(A, B, 100, 0x45);
	assert_int_equal(driver_used(&receiver[B]), 1);
	assert_int_equal(net[B].device.malformed, 0);
}

/* SWITCH-2, NET-2. */
static void a_sender_waits_for_a_full_port(void **state)
{
	for (unsigned i = 0; i < SWITCH_INBOX + 1; i++)
		send_to(A, B, 60, (u8)i);
	assert_int_equal(driver_used(&sender[A]), SWITCH_INBOX);
	assert_int_equal(net[B].port.count, SWITCH_INBOX);
	give_buffer(B, 0, 2000);
	assert_int_equal(driver_used(&sender[A]), 1);
	assert_int_equal(driver_get(GOT(B, 0) + FRAME + 20, 1), 0);
	for (unsigned i = 1; i < SWITCH_INBOX + 1; i++) {
		give_buffer(B, 0, 2000);
		assert_int_equal(driver_get(GOT(B, 0) + FRAME + 20, 1), i);
	}
	assert_int_equal(net[B].port.counters.dropped, 0);
}

/* SWITCH-2: the wait ends at the deadline, and once for all senders. */
static void a_port_that_takes_nothing_delays_others_once(void **state)
{
	u64 now = arch_ticks();

	give_buffers(C);
	for (unsigned i = 0; i < SWITCH_INBOX + 1; i++)
		send_to(A, B, 60, (u8)i);
	(void)driver_used(&sender[A]);
	assert_true(switch_due(&lan) > now && switch_due(&lan) != TICK_NEVER);
	assert_int_equal(switch_overdue(&lan, switch_due(&lan) - 1), 0);
	woken = switch_overdue(&lan, switch_due(&lan));
	assert_int_equal(woken, BIT(A));
	net[A].deadline = arch_ticks();
	settle();
	assert_int_equal(driver_used(&sender[A]), 1);
	assert_int_equal(switch_due(&lan), TICK_NEVER);
	send_to(A, B, 60, 9);
	send_to(A, C, 60, 9);
	assert_int_equal(driver_used(&sender[A]), 2);
	assert_int_equal(driver_used(&receiver[C]), 1);
	assert_int_equal(net[B].port.counters.dropped, 2);
}

static void a_reset_lets_a_waiting_sender_go_on(void **state)
{
	for (unsigned i = 0; i < SWITCH_INBOX + 1; i++)
		send_to(A, B, 60, (u8)i);
	(void)driver_used(&sender[A]);
	driver_write(&receiver[B], 20, 1, 0);
	settle();
	assert_int_equal(driver_used(&sender[A]), 1);
	assert_int_equal(net[B].port.count, 0);
}

static void a_port_that_is_gone_gets_nothing(void **state)
{
	for (unsigned i = 0; i < SWITCH_INBOX + 1; i++)
		send_to(A, B, 60, (u8)i);
	(void)driver_used(&sender[A]);
	switch_detach(&net[B].port);
	woken = BIT(A);
	settle();
	assert_int_equal(driver_used(&sender[A]), 1);
}

/* NET-1. */
static void a_malformed_packet_costs_itself(void **state)
{
	static const struct {
		u32 at, size, value, len;
	} bad[] = {{1, 1, 1, 60}, {6, 2, 60, 60}, {8, 2, 0xffff, 60},
		   {0, 1, 1, 13}, {0, 1, 0, 13},  {0, 1, 0, FRAME_MAX + 1}};
	u8 b[MAC_BYTES], a[MAC_BYTES];

	give_buffers(B);
	mac_of(B, b);
	mac_of(A, a);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		put_frame(A, b, a, 60, 1);
		driver_put(SENT(A), 1, 1);
		driver_put(SENT(A) + bad[i].at, bad[i].size, bad[i].value);
		send_chain(A, bad[i].len);
		assert_int_equal(driver_used(&sender[A]), 1);
	}
	assert_int_equal(net[A].counters.malformed, ARRAY_SIZE(bad));
	assert_int_equal(net[A].device.malformed, 0);
	assert_int_equal(driver_used(&receiver[B]), 0);
}

/* NET-2. */
static void no_memory_loses_and_repeats_nothing(void **state)
{
	start_device(B, FEATURES | NET_F_MRG_RXBUF);
	driver_fail_every = 4;
	for (unsigned i = 0; i < 200; i++) {
		give_buffer(B, 0, 100);
		give_buffer(B, 1, 100);
		send_to(A, B, 150, (u8)i);
		assert_int_equal(driver_used(&sender[A]), 1);
		assert_int_equal(driver_used(&receiver[B]), 2);
		assert_int_equal(driver_get(GOT(B, 0) + FRAME + 20, 1), i);
	}
	assert_int_equal(net[B].port.counters.received, 200);
}

/* VIRTQ-5: no packet is in them. */
static void long_chains_cost_budget(void **state)
{
	driver_start(&receiver[A], FEATURES, VIRTQ_SIZE_MAX, true);
	driver_add_queue(&receiver[A], NET_TRANSMIT, &sender[A]);
	assert_true(driver_crowd(&sender[A], 0, 100) >= DRIVER_CROWD_PIECES(100));
	assert_int_equal(driver_used(&sender[A]), 100);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_reaches_its_address),
		TEST(a_broadcast_reaches_all_others),
		TEST(an_address_is_learned_from_its_packets),
		TEST(learned_addresses_are_bounded),
		TEST(an_address_of_another_port_is_refused),
		TEST(a_checksum_is_computed_for_a_driver_without_the_feature),
		TEST(a_checksum_is_left_to_a_driver_with_the_feature),
		TEST(a_packet_may_need_several_buffers),
		TEST(a_buffer_that_is_too_small_costs_the_packet),
		TEST(a_sender_waits_for_a_full_port),
		TEST(a_port_that_takes_nothing_delays_others_once),
		TEST(a_reset_lets_a_waiting_sender_go_on),
		TEST(a_port_that_is_gone_gets_nothing),
		TEST(a_malformed_packet_costs_itself),
		TEST(no_memory_loses_and_repeats_nothing),
		TEST(long_chains_cost_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
