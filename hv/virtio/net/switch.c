/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.c: the switch of switch.h.
 */
#include "hv/virtio/net/switch.h"
#include <arch/ticks.h>
#include <lib/error.h>
#include <lib/string.h>

void switch_init(struct net_switch *on)
{
	*on = (struct net_switch){0};
	spin_init(&on->lock, LOCK_DEVICE, "switch");
}

static bool same_mac(const u8 *a, const u8 *b)
{
	return memcmp(a, b, MAC_BYTES) == 0;
}

static struct switch_port *port_configured(const struct net_switch *on, const u8 *mac)
{
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		if (on->port[i] && same_mac(on->port[i]->mac, mac))
			return on->port[i];
	}
	return NULL;
}

/* Free places of a port's learned addresses have this one, which no frame may come from. */
static const u8 no_mac[MAC_BYTES];

/* The place of an address among those that a port has learned, or NULL. */
static u8 *port_learned(struct switch_port *port, const u8 *mac)
{
	for (unsigned i = 0; !same_mac(mac, no_mac) && i < SWITCH_LEARNED; i++) {
		if (same_mac(port->learned[i], mac))
			return port->learned[i];
	}
	return NULL;
}

static struct switch_port *port_of_mac(const struct net_switch *on, const u8 *mac)
{
	struct switch_port *port = port_configured(on, mac);

	for (unsigned i = 0; !port && i < SWITCH_PORTS; i++) {
		if (on->port[i] && port_learned(on->port[i], mac))
			port = on->port[i];
	}
	return port;
}

int switch_attach(struct net_switch *on, struct switch_port *port, const u8 *mac)
{
	int err = ERR_RANGE;

	spin_lock(&on->lock);
	if (port_configured(on, mac))
		err = ERR_EXISTS;
	for (unsigned i = 0; err == ERR_RANGE && i < SWITCH_PORTS; i++) {
		if (on->port[i])
			continue;
		port->on = on;
		port->wrap = INBOX_BYTES;
		port->number = i;
		memcpy(port->mac, mac, MAC_BYTES);
		on->port[i] = port;
		err = 0;
	}
	spin_unlock(&on->lock);
	return err;
}

void switch_detach(struct switch_port *port)
{
	struct net_switch *on = port->on;

	spin_lock(&on->lock);
	on->port[port->number] = NULL;
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		if (on->port[i])
			on->port[i]->waiting &= ~(u32)BIT(port->number);
	}
	spin_unlock(&on->lock);
}

static void release_waiting(struct switch_port *port, u32 *wake)
{
	*wake |= port->waiting;
	port->waiting = 0;
}

void switch_open(struct switch_port *port, bool open, u32 *wake)
{
	spin_lock(&port->on->lock);
	if (!open) {
		port->count = 0;
		port->wrap = INBOX_BYTES;
		port->stalled = false;
		release_waiting(port, wake);
	}
	port->open = open;
	spin_unlock(&port->on->lock);
}

/* SWITCH-1, SWITCH-3. The newest port with an address is where it is. False: a forged one. */
static bool check_source(struct switch_port *port, const u8 *mac)
{
	struct switch_port *configured = port_configured(port->on, mac);
	struct switch_port *old = port_of_mac(port->on, mac);

	if (mac[0] & 1 || same_mac(mac, no_mac) || (configured && configured != port)) {
		port->counters.spoofed++;
		return false;
	}
	if (old == port)
		return true;
	if (old)
		memset(port_learned(old, mac), 0, MAC_BYTES);
	memcpy(port->learned[port->next_learned], mac, MAC_BYTES);
	port->next_learned = (port->next_learned + 1) % SWITCH_LEARNED;
	return true;
}

/* Bytes of a packet in an inbox. */
static u32 room_of(const struct net_packet *packet)
{
	return ALIGN_UP((u32)offsetof(struct net_packet, bytes) + PACKET_HEADER + packet->len, 8u);
}

/* A place for so many bytes, from which the inbox goes on; false: no room. */
static bool inbox_extend(struct switch_port *port, u32 bytes, u32 *at)
{
	bool wrapped = port->count && port->tail <= port->first;
	u32 end = wrapped ? port->first : INBOX_BYTES;

	if (port->count == SWITCH_INBOX)
		return false;
	if (!port->count)
		port->first = port->tail = 0;
	*at = port->tail;
	if (end - *at < bytes) {
		if (wrapped || port->first < bytes)
			return false;
		port->wrap = port->tail;
		*at = 0;
	}
	port->tail = *at + bytes;
	return true;
}

static struct net_packet *inbox_packet(struct switch_port *port, u32 at)
{
	return (struct net_packet *)&port->inbox[at];
}

static void inbox_remove_first(struct switch_port *port)
{
	port->first += room_of(inbox_packet(port, port->first));
	port->count--;
	if (port->first != port->wrap)
		return;
	port->first = 0;
	port->wrap = INBOX_BYTES;
}

/* False: no room. A port that is not open loses its packets. */
static bool deliver(struct switch_port *to, const struct net_packet *packet, u32 *wake)
{
	u32 bytes = room_of(packet), at;

	if (!to->open) {
		to->counters.dropped++;
		return true;
	}
	if (!inbox_extend(to, bytes, &at))
		return false;
	memcpy(inbox_packet(to, at), packet, offsetof(struct net_packet, bytes));
	memcpy(inbox_packet(to, at)->bytes + PACKET_HEADER, packet->bytes + PACKET_HEADER,
	       packet->len);
	to->count++;
	to->counters.received++;
	*wake |= (u32)BIT(to->number);
	return true;
}

static void flood(struct switch_port *from, const struct net_packet *packet, u32 *wake)
{
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		struct switch_port *to = from->on->port[i];

		if (to && to != from && !deliver(to, packet, wake))
			to->counters.dropped++;
	}
}

/* SWITCH-2. 1: the sender waits. */
static int deliver_or_wait(struct switch_port *from, struct switch_port *to,
			   const struct net_packet *packet, bool over, u32 *wake)
{
	if (deliver(to, packet, wake))
		return 0;
	to->stalled |= over;
	if (!to->stalled) {
		to->waiting |= (u32)BIT(from->number);
		return 1;
	}
	to->counters.dropped++;
	return 0;
}

int switch_send(struct switch_port *port, const struct net_packet *packet, u64 now, u64 deadline,
		u32 *wake)
{
	const u8 *frame = packet->bytes + PACKET_HEADER;
	struct switch_port *to;
	int waits = 0;

	spin_lock(&port->on->lock);
	to = frame[0] & 1 ? NULL : port_of_mac(port->on, frame);
	if (!check_source(port, frame + MAC_BYTES) || to == port)
		port->counters.dropped++;
	else if (to)
		waits = deliver_or_wait(port, to, packet, now >= deadline, wake);
	else
		flood(port, packet, wake);
	port->wait_until = waits ? deadline : 0;
	spin_unlock(&port->on->lock);
	return waits;
}

void switch_cancel(struct switch_port *port)
{
	spin_lock(&port->on->lock);
	port->wait_until = 0;
	spin_unlock(&port->on->lock);
}

struct net_packet *switch_first(struct switch_port *port)
{
	struct net_packet *first;

	spin_lock(&port->on->lock);
	first = port->count ? inbox_packet(port, port->first) : NULL;
	spin_unlock(&port->on->lock);
	return first;
}

void switch_take(struct switch_port *port, u32 *wake)
{
	spin_lock(&port->on->lock);
	inbox_remove_first(port);
	port->stalled = false;
	release_waiting(port, wake);
	spin_unlock(&port->on->lock);
}

u64 switch_due(struct net_switch *on)
{
	u64 due = TICK_NEVER;

	spin_lock(&on->lock);
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		if (on->port[i] && on->port[i]->wait_until)
			due = MIN(due, on->port[i]->wait_until);
	}
	spin_unlock(&on->lock);
	return due;
}

u32 switch_overdue(struct net_switch *on, u64 now)
{
	u32 over = 0;

	spin_lock(&on->lock);
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		if (!on->port[i] || !on->port[i]->wait_until || on->port[i]->wait_until > now)
			continue;
		on->port[i]->wait_until = 0;
		over |= (u32)BIT(i);
	}
	spin_unlock(&on->lock);
	return over;
}

/* RFC 1071. A sum of 0 is sent as ffffh, which is the same number. */
void packet_finish_csum(struct net_packet *packet)
{
	u8 *frame = packet->bytes + PACKET_HEADER, *field;
	u32 sum = 0;

	for (u32 i = packet->csum_start; i < packet->len; i++)
		sum += (i - packet->csum_start) % 2 ? frame[i] : (u32)frame[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff ? ~sum & 0xffff : 0xffff;
	field = frame + packet->csum_start + packet->csum_offset;
	field[0] = (u8)(sum >> 8);
	field[1] = (u8)sum;
	packet->needs_csum = false;
}
