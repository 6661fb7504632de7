/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large.c: TCP frames of up to 64 KiB between two network devices: whole, or cut for a receiver
 * that does not take them (SEGMENT-1, NET-1, NET-2, SWITCH-1).
 */
#include "hv/virtio/net/net.h"
#include "hv/virtio/net/segment.h"
#include "sim/sim.h"
#include "sim/virtio_world.h"

#define BASE	  (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC)
#define SENDS	  (BASE | NET_F_CSUM | NET_F_HOST_TSO4 | NET_F_HOST_TSO6)
#define TAKES	  (BASE | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6)
#define SENT	  0x20000ull
#define GOT(n)	  (0x40000ull + 0x800 * (n))
#define BUFFER	  0x600u
#define FRAME	  ((u64)PACKET_HEADER)
#define TCP4	  34u
#define TCP6	  54u
#define SEQUENCE  0xfffffc00u /* it wraps */
#define FLAGS_ALL 0x99u	      /* CWR ACK PSH FIN */

static struct net_switch lan;
static struct virtio_net from, to;
static struct driver sender, receiver;
static u32 woken;

static void net_wake(struct virtio_device *device, u32 others)
{
	woken |= others;
}

static const struct virtio_ops ops = {
	.type = VIRTIO_NET, .run = net_run, .wake = net_wake, .reset = net_reset};

static void start_net(struct virtio_net *net, u8 number)
{
	const u8 mac[MAC_BYTES] = {2, 0, 0, 0, 0, number};

	memset(net, 0, sizeof(*net));
	assert_int_equal(switch_attach(&lan, &net->port, mac), 0);
	net->device.memory = driver_memory;
	net_init(net, &ops);
}

static int start(void **state)
{
	sim_boot(1, 16 * MIB);
	switch_init(&lan);
	woken = 0;
	start_net(&from, 1);
	start_net(&to, 2);
	return 0;
}

/* The receiver's features; the sender has all that concern it. */
static void negotiate(u64 features)
{
	struct driver unused;

	driver_attach(&receiver, &to.device);
	driver_start(&receiver, features, DRIVER_QUEUE, true);
	driver_attach(&unused, &from.device);
	memset(driver_ram, 0, DRIVER_RAM);
	unused.base += 2 * DRIVER_QUEUE_BYTES;
	driver_start(&receiver, features, DRIVER_QUEUE, true);
	driver_start(&unused, SENDS, DRIVER_QUEUE, true);
	driver_add_queue(&unused, NET_TRANSMIT, &sender);
}

static void settle(void)
{
	u32 now;

	do {
		now = woken;
		woken = 0;
		from.device.pci.work |= now & BIT(0) ? 3 : 0;
		to.device.pci.work |= now & BIT(1) ? 3 : 0;
		(void)driver_work(&sender);
		(void)driver_work(&receiver);
	} while (woken);
}

static void give_buffers(unsigned first, unsigned count, u32 bytes)
{
	for (unsigned n = first; n < first + count; n++) {
		driver_desc(receiver.desc, n, GOT(n), bytes, F_WRITE, 0);
		driver_offer(&receiver, (u16)n);
	}
	(void)driver_kick(&receiver);
	settle();
}

static u8 *frame(void)
{
	return &driver_ram[SENT + FRAME];
}

static void put_big(u8 *at, u32 value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (u8)(value >> (8 * (size - 1 - i)));
}

static u32 get_big(const u8 *at, unsigned size)
{
	u32 value = 0;

	for (unsigned i = 0; i < size; i++)
		value = value << 8 | at[i];
	return value;
}

/* A frame of `len` bytes with its virtio header: headers of the family, a pattern as payload. */
static void put_frame(u32 tcp, u32 len, u16 gso_size)
{
	static const u8 ethernet[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	u8 *at = frame();

	memset(&driver_ram[SENT], 0, PACKET_HEADER);
	driver_put(SENT, 1, 1);
	driver_put(SENT + 1, 1, tcp == TCP4 ? GSO_TCPV4 : GSO_TCPV6);
	driver_put(SENT + 4, 2, gso_size);
	driver_put(SENT + 6, 2, tcp);
	driver_put(SENT + 8, 2, 16);
	for (u32 i = 0; i < len; i++)
		at[i] = (u8)(i * 7 + i / 251);
	memcpy(at, ethernet, sizeof(ethernet));
	put_big(at + 12, tcp == TCP4 ? 0x0800 : 0x86dd, 2);
	at[14] = tcp == TCP4 ? 0x45 : 0x60;
	put_big(at + 18, 0xffff, 2); /* the IPv4 id wraps */
	put_big(at + tcp + 4, SEQUENCE, 4);
	at[tcp + 12] = 0x50;
	at[tcp + 13] = FLAGS_ALL;
}

static void send(u32 len)
{
	driver_desc(sender.desc, 0, SENT, PACKET_HEADER, F_NEXT, 1);
	driver_desc(sender.desc, 1, SENT + FRAME, len, 0, 0);
	driver_offer(&sender, 0);
	(void)driver_kick(&sender);
	settle();
}

static void a_large_frame_passes_whole(void **state)
{
	const u32 len = 0xff00;

	negotiate(TAKES);
	give_buffers(0, 1, 0x10000);
	put_frame(TCP4, len, 1448);
	send(len);
	assert_int_equal(driver_used(&receiver), 1);
	assert_int_equal(driver_get(receiver.used + 8, 4), PACKET_HEADER + len);
	assert_memory_equal(&driver_ram[GOT(0) + FRAME], frame(), len);
	assert_int_equal(driver_get(GOT(0), 1), 1);
	assert_int_equal(driver_get(GOT(0) + 1, 1), GSO_TCPV4);
	assert_int_equal(driver_get(GOT(0) + 2, 2), TCP4 + 20);
	assert_int_equal(driver_get(GOT(0) + 4, 2), 1448);
	assert_int_equal(to.counters.whole, 1);
}

static void a_large_frame_fills_many_buffers(void **state)
{
	const u32 len = 15000;

	negotiate(TAKES | NET_F_MRG_RXBUF);
	give_buffers(0, 10, BUFFER);
	put_frame(TCP6, len, 1400);
	send(len);
	assert_int_equal(driver_used(&receiver), 10);
	assert_int_equal(driver_get(GOT(0) + 10, 2), 10);
	for (u32 i = 0; i < len; i++)
		assert_int_equal(driver_ram[GOT((FRAME + i) / BUFFER) + (FRAME + i) % BUFFER],
				 frame()[i]);
}

static u32 sum_of(const u8 *at, u32 bytes, u32 sum)
{
	for (u32 i = 0; i < bytes; i++)
		sum += (u32)at[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Segment n is what a receiver on a wire would take. */
static void check_segment(unsigned n, u32 tcp, u32 at, u32 bytes, bool last)
{
	const u8 *got = &driver_ram[GOT(n) + FRAME];
	u32 headers = tcp + 20, ip = 14, flags = FLAGS_ALL;
	u32 addresses = tcp == TCP4 ? ip + 12 : ip + 8;

	assert_int_equal(driver_get(receiver.used + 4 + 8 * n + 4, 4), FRAME + headers + bytes);
	assert_int_equal(driver_get(GOT(n), 2), 0);
	assert_memory_equal(got + headers, frame() + headers + at, bytes);
	assert_int_equal(get_big(got + tcp + 4, 4), (u32)(SEQUENCE + at));
	flags &= n ? ~0x80u : ~0u;
	flags &= last ? ~0u : ~0x09u;
	assert_int_equal(got[tcp + 13], flags);
	if (tcp == TCP4) {
		assert_int_equal(get_big(got + ip + 2, 2), 40 + bytes);
		assert_int_equal(get_big(got + ip + 4, 2), (0xffff + n) & 0xffff);
		assert_int_equal(sum_of(got + ip, 20, 0), 0xffff);
	} else {
		assert_int_equal(get_big(got + ip + 4, 2), 20 + bytes);
	}
	assert_int_equal(sum_of(got + tcp, 20 + bytes,
				sum_of(got + addresses, tcp - addresses, 6 + 20 + bytes)),
			 0xffff);
}

static void a_large_frame_is_cut_for_others(void **state)
{
	static const u32 families[] = {TCP4, TCP6};

	for (unsigned family = 0; family < 2; family++) {
		u32 tcp = families[family], payload = 3 * 1001 + 17;

		assert_int_equal(start(state), 0);
		negotiate(BASE);
		give_buffers(0, 5, BUFFER);
		put_frame(tcp, tcp + 20 + payload, 1001);
		send(tcp + 20 + payload);
		assert_int_equal(driver_used(&receiver), 4);
		for (unsigned n = 0; n < 4; n++)
			check_segment(n, tcp, 1001 * n, n < 3 ? 1001 : 17, n == 3);
		assert_int_equal(to.counters.cut, 1);
	}
}

/* NET-2: buffers come one at a time, and some maps fail. */
static void the_rest_of_a_cut_frame_waits_for_buffers(void **state)
{
	u32 payload = 6 * 500;

	negotiate(BASE);
	put_frame(TCP4, TCP4 + 20 + payload, 500);
	driver_fail_every = 5;
	send(TCP4 + 20 + payload);
	for (unsigned n = 0; n < 6; n++) {
		assert_int_equal(driver_used(&receiver), 0);
		give_buffers(n, 1, BUFFER);
		assert_int_equal(driver_used(&receiver), 1);
		check_segment(n, TCP4, 500 * n, 500, n == 5);
	}
	assert_int_equal(to.port.count, 0);
}

/* SEGMENT-1. */
static void malformed_headers_cost_the_frame(void **state)
{
	static const struct {
		u32 at, size, value;
	} bad[] = {
		{0, 1, 0},		  /* no checksum left over */
		{1, 1, 3},		  /* UDP */
		{1, 1, GSO_TCPV6},	  /* another family */
		{1, 1, GSO_TCPV4 | 0x80}, /* ECN, which is not offered */
		{4, 2, 0},		  /* no segment size */
		{4, 2, 31},		  /* a receiver's work of 2,000 segments and more */
		{4, 2, 1465},		  /* over FRAME_MAX with the headers */
		{6, 2, 10},		  /* TCP in the Ethernet header */
		{6, 2, 2990},		  /* no room for TCP's header */
		{8, 2, 6},		  /* UDP's checksum */
		{12 + 12, 2, 0xdd86},	  /* another type */
		{12 + 14, 1, 0x46},	  /* IPv4 options that are TCP's */
		{12 + 14, 1, 0x55},	  /* another version */
		{12 + 34 + 12, 1, 0x40},  /* TCP's header is too short */
	};

	negotiate(BASE);
	give_buffers(0, 8, BUFFER);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		put_frame(TCP4, 3000, 1000);
		driver_put(SENT + bad[i].at, bad[i].size, bad[i].value);
		send(3000);
		if (driver_used(&receiver))
			fail_msg("row %u is taken", i);
		assert_int_equal(driver_used(&sender), 1);
	}
	assert_int_equal(from.counters.malformed, ARRAY_SIZE(bad));
	put_frame(TCP4, TCP4 + 20, 1000); /* no payload */
	send(TCP4 + 20);
	assert_int_equal(from.counters.malformed, ARRAY_SIZE(bad) + 1);
	assert_int_equal(from.device.malformed, 0);
}

static void a_driver_that_did_not_negotiate_them_sends_none(void **state)
{
	negotiate(TAKES);
	from.device.accepted &= ~NET_F_HOST_TSO4;
	put_frame(TCP4, 3000, 1000);
	send(3000);
	put_frame(TCP6, 3000, 1000);
	send(3000);
	assert_int_equal(from.counters.malformed, 1);
	assert_int_equal(to.port.count, 1);
}

/* SWITCH-1: packets of all sizes through the ring of bytes, which wraps at every place. */
static void the_inbox_keeps_the_order_of_all_sizes(void **state)
{
	static struct net_packet packet;
	static const u8 addresses[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	u32 wake = 0, sent = 0, got = 0, x = 1;

	switch_open(&to.port, true, &wake);
	memcpy(packet.bytes + PACKET_HEADER, addresses, sizeof(addresses));
	while (got < 3000) {
		const struct net_packet *first = switch_first(&to.port);

		x = x * 1103515245 + 12345;
		packet.len =
			x >> 16 & 1 ? 60 + (x >> 8) % 1000 : 60 + (x >> 8) % (FRAME_LARGE - 60);
		put_big(packet.bytes + PACKET_HEADER + 20, sent, 4);
		packet.bytes[PACKET_HEADER + packet.len - 1] = (u8)sent;
		if (x >> 20 & 1 && !switch_send(&from.port, &packet, 0, 1, &wake)) {
			sent++;
		} else if (first) {
			assert_int_equal(get_big(first->bytes + PACKET_HEADER + 20, 4), got);
			assert_int_equal(first->bytes[PACKET_HEADER + first->len - 1], (u8)got);
			switch_take(&to.port, &wake);
			got++;
		}
		assert_true(to.port.count <= SWITCH_INBOX);
	}
	assert_int_equal(to.port.counters.dropped, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_large_frame_passes_whole),
		TEST(a_large_frame_fills_many_buffers),
		TEST(a_large_frame_is_cut_for_others),
		TEST(the_rest_of_a_cut_frame_waits_for_buffers),
		TEST(malformed_headers_cost_the_frame),
		TEST(a_driver_that_did_not_negotiate_them_sends_none),
		TEST(the_inbox_keeps_the_order_of_all_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
