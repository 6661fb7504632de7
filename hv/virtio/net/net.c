/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c: packets between the rings of a driver and a port. net.h has the queues.
 *
 * pci.others collects the ports that have to go on; they are woken when pci.lock is released.
 */
#include "hv/virtio/net/net.h"
#include "hv/virtio/net/segment.h"
#include <arch/ticks.h>
#include <lib/string.h>

#define HEADER_NEEDS_CSUM  1
#define HEADER_NUM_BUFFERS 10 /* place in the header */
#define FIELD_STATUS	   6
#define FIELD_SIZE	   8
#define LINK_UP		   1

#define NET_FEATURES                                                                       \
	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MAC | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | \
	 NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_MRG_RXBUF | NET_F_STATUS)

struct net_header {
	u8 flags, gso_type;
	u16 hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct net_header) == PACKET_HEADER, "virtio 1.2, 5.1.6");

static struct virtio_net *net_of(struct virtio_device *device)
{
	return container_of(device, struct virtio_net, device);
}

/* A packet's pages cost their copies, and the first one no more than the packet itself. */
static void charge(unsigned *budget, u32 bytes)
{
	*budget -= MIN(*budget - 1, bytes / (u32)PAGE_SIZE);
}

/* Whether the driver has accepted large frames of the type, to send or to receive them. */
static bool takes_large(const struct virtio_net *net, u8 gso_type, u64 v4, u64 v6, u64 csum)
{
	u64 needed = gso_type == GSO_TCPV4 ? v4 : gso_type == GSO_TCPV6 ? v6 : 0;

	return needed && virtio_accepted(&net->device, needed | csum);
}

/* --- receive ---------------------------------------------------------------------------------- */

static void make_header(const struct virtio_net *net, struct net_packet *packet)
{
	struct net_header header = {.num_buffers = 1};

	if (packet->needs_csum && !virtio_accepted(&net->device, NET_F_GUEST_CSUM))
		packet_finish_csum(packet);
	if (packet->needs_csum) {
		header.flags = HEADER_NEEDS_CSUM;
		header.csum_start = packet->csum_start;
		header.csum_offset = packet->csum_offset;
	}
	if (packet->gso_type != GSO_NONE) {
		header.gso_type = packet->gso_type;
		header.gso_size = packet->gso_size;
		header.hdr_len = (u16)segment_headers(packet);
	}
	memcpy(packet->bytes, &header, sizeof(header));
}

/* One more buffer for the packet's bytes from `at` on; 1, or as virtq_pop(). */
static int take_buffer(struct virtio_net *net, const struct net_packet *packet, u32 at,
		       struct net_taken *taken)
{
	const struct virtio_memory *memory = &net->device.memory;
	struct virtq_stream in;
	u32 bytes;
	int err = virtq_pop(&net->device.queue[NET_RECEIVE], memory, &net->chain);

	if (err <= 0)
		return err;
	in = virtq_writable(&net->chain);
	bytes = (u32)MIN(virtq_bytes(&net->chain, in), (u64)PACKET_HEADER + packet->len - at);
	err = virtq_put(&net->chain, memory, &in, packet->bytes + at, bytes);
	if (err)
		return err;
	if (!taken->count)
		net->first = net->chain;
	taken->head[taken->count] = net->chain.head;
	taken->len[taken->count++] = bytes;
	return 1;
}

/* The header says in how many buffers the packet is; then all of them are given back at once. */
static int give_buffers(struct virtio_net *net, const struct net_taken *taken)
{
	const struct virtio_memory *memory = &net->device.memory;
	struct virtq *queue = &net->device.queue[NET_RECEIVE];
	struct virtq_stream in = virtq_writable(&net->first);
	u16 count = (u16)taken->count;
	int err = 0;

	virtq_advance(&net->first, &in, HEADER_NUM_BUFFERS);
	if (count > 1)
		err = virtq_put(&net->first, memory, &in, &count, sizeof(count));
	for (u16 i = 0; !err && i < count; i++)
		err = virtq_fill(queue, memory, i, taken->head[i], taken->len[i]);
	return err ? err : virtq_publish(queue, memory, count);
}

/* 1: the packet is received, or does not fit; 0: no buffer. Else the queue is as it was. */
static int receive_packet(struct virtio_net *net, struct net_packet *packet)
{
	unsigned most = virtio_accepted(&net->device, NET_F_MRG_RXBUF) ? NET_BUFFERS_MAX : 1;
	struct virtq *queue = &net->device.queue[NET_RECEIVE];
	u32 total = PACKET_HEADER + packet->len;
	struct net_taken *taken = &net->taken;
	u16 before = queue->next_avail;
	int err = 1;

	taken->count = 0;
	make_header(net, packet);
	for (u32 at = 0; err > 0 && at < total; at += taken->len[taken->count - 1]) {
		if (taken->count == most) {
			net->counters.too_small++;
			queue->next_avail = before;
			return 1;
		}
		err = take_buffer(net, packet, at, taken);
		if (err <= 0)
			break;
	}
	if (err > 0)
		err = give_buffers(net, taken);
	else if (!err)
		taken->count = 0;
	if (err || !taken->count)
		queue->next_avail = before;
	return err ? err : taken->count != 0;
}

/* A segment of a large frame: 1, and *last for its last one. */
static int receive_segment(struct virtio_net *net, const struct net_packet *frame, bool *last)
{
	int err;

	segment_cut(frame, net->segments, &net->segment);
	err = receive_packet(net, &net->segment);
	if (err <= 0)
		return err;
	*last = ++net->segments == segment_count(frame);
	return 1;
}

static int receive(struct virtio_net *net, unsigned *budget)
{
	struct net_packet *packet = switch_first(&net->port);
	bool last = true, whole;
	int err;

	if (!packet)
		return 0;
	whole = packet->gso_type == GSO_NONE || takes_large(net, packet->gso_type, NET_F_GUEST_TSO4,
							    NET_F_GUEST_TSO6, NET_F_GUEST_CSUM);
	err = whole ? receive_packet(net, packet) : receive_segment(net, packet, &last);
	if (err <= 0)
		return err;
	if (whole)
		charge(budget, packet->len);
	if (!last)
		return 1;
	net->counters.whole += whole && packet->gso_type != GSO_NONE;
	net->counters.cut += !whole;
	net->segments = 0;
	switch_take(&net->port, &net->device.pci.others);
	return 1;
}

/* --- transmit --------------------------------------------------------------------------------- */

/* NET-1. The headers of a large frame are checked when they are there. */
static bool header_is_good(const struct virtio_net *net, const struct net_header *header, u64 len)
{
	u64 field = (u64)header->csum_start + header->csum_offset + 2;
	bool large = header->gso_type != GSO_NONE;

	if (len < FRAME_MIN || len > (large ? FRAME_LARGE : FRAME_MAX))
		return false;
	if (large &&
	    !takes_large(net, header->gso_type, NET_F_HOST_TSO4, NET_F_HOST_TSO6, NET_F_CSUM))
		return false;
	return !(header->flags & HEADER_NEEDS_CSUM) ||
	       (virtio_accepted(&net->device, NET_F_CSUM) && field <= len);
}

static void fill_packet(struct net_packet *out, const struct net_header *header, u64 len)
{
	out->len = (u32)len;
	out->needs_csum = header->flags & HEADER_NEEDS_CSUM;
	out->csum_start = header->csum_start;
	out->csum_offset = header->csum_offset;
	out->gso_type = header->gso_type;
	out->gso_size = header->gso_size;
}

/* The packet of a chain, in `out`; what is wrong with it leaves the chain to be given back. */
static int load_packet(struct virtio_net *net)
{
	struct virtq_stream in = virtq_readable(&net->chain);
	const struct virtio_memory *memory = &net->device.memory;
	struct net_packet *out = &net->out;
	struct net_header header = {0};
	u64 len = virtq_bytes(&net->chain, in) - PACKET_HEADER;
	int err = virtq_get(&net->chain, memory, &in, &header, sizeof(header));
	bool good = !err && header_is_good(net, &header, len);

	if (good)
		err = virtq_get(&net->chain, memory, &in, out->bytes + PACKET_HEADER, len);
	if (virtio_may_pass(err))
		return err;
	if (good && !err) {
		fill_packet(out, &header, len);
		good = out->gso_type == GSO_NONE || segment_check(out);
	}
	net->head = net->chain.head;
	net->state = good && !err ? NET_SENDS : NET_GIVES_BACK;
	net->counters.malformed += net->state == NET_GIVES_BACK;
	net->deadline = arch_ticks() + arch_ticks_per_second() / 1000 * NET_WAIT_MS;
	return 0;
}

static int next_packet(struct virtio_net *net)
{
	struct virtq *queue = &net->device.queue[NET_TRANSMIT];
	u16 before = queue->next_avail;
	int err = virtq_pop(queue, &net->device.memory, &net->chain);

	if (err <= 0)
		return err;
	err = load_packet(net);
	if (err)
		queue->next_avail = before;
	return err ? err : 1;
}

/* 1: a packet is done; 0: the ring is empty, or the receiver is full and wakes this port. */
static int transmit(struct virtio_net *net, unsigned *budget)
{
	struct virtio_device *device = &net->device;
	int err = 1;

	if (net->state == NET_IDLE)
		err = next_packet(net);
	if (err <= 0)
		return err;
	if (net->state == NET_SENDS) {
		charge(budget, net->out.len);
		if (switch_send(&net->port, &net->out, arch_ticks(), net->deadline,
				&device->pci.others))
			return 0;
		net->counters.sent++;
		net->state = NET_GIVES_BACK;
	}
	err = virtq_push(&device->queue[NET_TRANSMIT], &device->memory, net->head, 0);
	if (!err)
		net->state = NET_IDLE;
	return err ? err : 1;
}

int net_run(struct virtio_device *device, unsigned number, unsigned *budget)
{
	struct virtio_net *net = net_of(device);

	if (number == NET_RECEIVE && !net->port.open)
		switch_open(&net->port, true, &device->pci.others);
	for (; *budget; --*budget) {
		int err = number == NET_RECEIVE ? receive(net, budget) : transmit(net, budget);

		virtq_charge(&device->queue[number], budget);
		if (err <= 0)
			return err;
	}
	return 1;
}

void net_reset(struct virtio_device *device)
{
	struct virtio_net *net = net_of(device);

	net->state = NET_IDLE;
	net->segments = 0;
	if (!net->port.on)
		return;
	switch_cancel(&net->port);
	switch_open(&net->port, false, &device->pci.others);
}

void net_init(struct virtio_net *net, const struct virtio_ops *ops)
{
	net->device.ops = ops;
	virtio_init(&net->device, NET_QUEUES, NET_FEATURES, FIELD_SIZE);
	memcpy(net->device.config, net->port.mac, MAC_BYTES);
	virtio_config_set(&net->device, FIELD_STATUS, 2, LINK_UP);
}
