/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h: the network device (OASIS virtio 1.2, 5.1) at a port of a switch (switch.h).
 *
 *     queue 0  packets of the inbox, each in a buffer of the driver, or in several (MRG_RXBUF)
 *     queue 1  the driver's packets: header, frame
 *
 * Checksums: a driver may leave a frame's checksum to the device (CSUM). It passes as it is to a
 * driver that takes such frames (GUEST_CSUM), and is computed for the others. Segmentation
 * likewise: a frame of up to 64 KiB (HOST_TSO4, HOST_TSO6) passes whole to a driver that takes it
 * (GUEST_TSO4, GUEST_TSO6), and is cut for the others (segment.h), a segment at a time.
 *
 * Invariants:
 * NET-1  a packet's header and length are checked before it reaches the switch; what is wrong with
 *        it costs the packet alone.
 * NET-2  each packet is given back once, and received once, whatever had to wait.
 *
 * Locking: pci.lock, then the switch's.
 */
#ifndef SAMEPAGE_HV_VIRTIO_NET_H
#define SAMEPAGE_HV_VIRTIO_NET_H

#include "hv/virtio/device.h"
#include "hv/virtio/net/switch.h"

#define NET_BUFFERS_MAX VIRTQ_SIZE_MAX /* of a packet */
#define NET_WAIT_MS	100	       /* for a full port (SWITCH-2) */

enum net_queue { NET_RECEIVE, NET_TRANSMIT, NET_QUEUES };

#define NET_F_CSUM	 BIT(0)
#define NET_F_GUEST_CSUM BIT(1)
#define NET_F_MAC	 BIT(5)
#define NET_F_GUEST_TSO4 BIT(7)
#define NET_F_GUEST_TSO6 BIT(8)
#define NET_F_HOST_TSO4	 BIT(11)
#define NET_F_HOST_TSO6	 BIT(12)
#define NET_F_MRG_RXBUF	 BIT(15)
#define NET_F_STATUS	 BIT(16)

/* Of the transmit queue: `out` has the packet of the chain `head`, or that is to be given back. */
enum net_state { NET_IDLE, NET_SENDS, NET_GIVES_BACK };

struct net_counters {
	u64 sent, malformed, too_small; /* malformed: sent and dropped; too_small: the buffers */
	u64 whole, cut;			/* large frames that were received so */
};

/* The bytes of a packet that each buffer has taken; `count` of them. */
struct net_taken {
	unsigned count;
	u16 head[NET_BUFFERS_MAX];
	u32 len[NET_BUFFERS_MAX];
};

/* segments: of the first packet of the inbox, that are received already. */
struct virtio_net {
	struct virtio_device device;
	struct net_counters counters;
	enum net_state state;
	u16 head;
	u64 deadline; /* of `out` */
	struct virtq_chain chain, first;
	struct net_taken taken;
	u32 segments;
	struct net_packet out, segment;
	struct switch_port port;
};

/* Everything but the memory and the bus, with port.mac. `ops` destroys. */
void net_init(struct virtio_net *net, const struct virtio_ops *ops);

/* virtio_ops. */
int net_run(struct virtio_device *device, unsigned queue, unsigned *budget);
void net_reset(struct virtio_device *device);

#endif
