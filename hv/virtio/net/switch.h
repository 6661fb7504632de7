/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h: an Ethernet switch between the VMs of one machine.
 *
 *     sender's device             switch, under its lock           receiver's device
 *     switch_send(packet) ----->  port by MAC, or all ports --->   inbox of SWITCH_INBOX
 *       0: delivered or dropped   no room: the sender waits        switch_first(), switch_take()
 *       1: waits for room                                          the waiting ports go on
 *
 * A packet is copied into the inbox, so no lock is held while guest memory is reached, and the
 * memory of two VMs is never needed at once. The inbox is a ring of bytes, in which a packet takes
 * what its frame needs and does not wrap:
 *
 *     0         first              tail          wrap
 *     | packet  | packet | packet  |             |        tail > first, or:
 *     | packet  | tail      first  | packet      | wrap   the newest ones begin at 0 again
 *
 * Invariants:
 * SWITCH-1  a port holds at most SWITCH_INBOX packets, in INBOX_BYTES, and SWITCH_LEARNED learned
 *           addresses.
 * SWITCH-2  a sender waits for a full port at most until the deadline of its packet. Then the port
 *           is stalled, and no sender waits for it before it has taken a packet. Groups and unknown
 *           addresses never wait.
 * SWITCH-3  the configured address of a port belongs to it: a packet from another port with that
 *           source is dropped.
 *
 * Locking: the switch's lock, rank LOCK_DEVICE, guards all of its ports. The first packet of an
 * inbox is its port's alone until switch_take().
 */
#ifndef SAMEPAGE_HV_VIRTIO_SWITCH_H
#define SAMEPAGE_HV_VIRTIO_SWITCH_H

#include <lib/lock.h>
#include <lib/types.h>

#define SWITCH_PORTS   16
#define SWITCH_INBOX   32u
#define INBOX_BYTES    (320u << 10) /* four large frames and more */
#define SWITCH_LEARNED 4u
#define MAC_BYTES      6u
#define FRAME_MIN      14u    /* the Ethernet header */
#define FRAME_MAX      1518u  /* with a VLAN tag */
#define FRAME_LARGE    65553u /* with segmentation left to the receiver */
#define PACKET_HEADER  12u    /* room for the header of the receiver's driver (net.c) */

/*
 * needs_csum: the 16 bits at csum_start + csum_offset have the sum of a pseudo header alone; both
 * are inside the frame. gso_type: its segmentation is left to the receiver (segment.h), which gets
 * the whole frame or segments of gso_size bytes. bytes: room for a header, then the frame; in an
 * inbox no more than that.
 */
struct net_packet {
	u32 len; /* of the frame */
	u16 csum_start, csum_offset, gso_size;
	u8 gso_type;
	bool needs_csum;
	u8 bytes[PACKET_HEADER + FRAME_LARGE];
};

struct switch_counters {
	u64 received, dropped, spoofed; /* dropped: packets for this port */
};

struct net_switch;

struct switch_port {
	struct net_switch *on; /* [I] NULL: on none */
	unsigned number;       /* [I] */
	u8 mac[MAC_BYTES];     /* [I] */
	bool open;	       /* its driver takes packets */
	bool stalled;	       /* SWITCH-2 */
	u32 waiting;	       /* ports that have a packet for it */
	u64 wait_until;	       /* its own packet's deadline, a tick; 0: it does not wait */
	u8 learned[SWITCH_LEARNED][MAC_BYTES];
	unsigned next_learned;
	u32 first, tail, wrap; /* of the inbox, places in bytes */
	unsigned count;	       /* of packets */
	struct switch_counters counters;
	u8 inbox[INBOX_BYTES] __aligned(8);
};

struct net_switch {
	struct spinlock lock;
	struct switch_port *port[SWITCH_PORTS];
};

void switch_init(struct net_switch *on);

/* A port with this address; ERR_RANGE: none is free; ERR_EXISTS: the address is another port's. */
int switch_attach(struct net_switch *on, struct switch_port *port, const u8 *mac) __must_check;
void switch_detach(struct switch_port *port);

/*
 * Ports that have something to do after a call, a bit each, are added to *wake: a packet has come,
 * or there is room again.
 *
 * open: the driver takes packets from now on; not so: the inbox is emptied.
 * send: 0: delivered or dropped; 1: it waits (SWITCH-2) until deadline; the caller sends it again
 * when it is woken, or drops it by switch_cancel().
 * first: the oldest packet, or NULL; take: removes it.
 */
void switch_open(struct switch_port *port, bool open, u32 *wake);
int switch_send(struct switch_port *port, const struct net_packet *packet, u64 now, u64 deadline,
		u32 *wake) __must_check;
void switch_cancel(struct switch_port *port);
struct net_packet *switch_first(struct switch_port *port);
void switch_take(struct switch_port *port, u32 *wake);

/* The earliest deadline, TICK_NEVER: none; the ports with one that is over, each once. */
u64 switch_due(struct net_switch *on);
u32 switch_overdue(struct net_switch *on, u64 now);

/* The frame's checksum is completed. */
void packet_finish_csum(struct net_packet *packet);

#endif
