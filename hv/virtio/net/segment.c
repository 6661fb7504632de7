/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.c: the cutter of segment.h. Headers of RFC 791, RFC 8200 and RFC 9293.
 */
#include "hv/virtio/net/segment.h"
#include <lib/string.h>

#define ETHERNET	14u
#define VLAN_TAG	4u
#define TYPE_VLAN	0x8100u
#define TYPE_IPV4	0x0800u
#define TYPE_IPV6	0x86ddu
#define PROTOCOL_TCP	6u
#define IPV4_HEADER_MIN 20u
#define IPV6_HEADER	40u
#define TCP_HEADER_MIN	20u
#define TCP_CHECKSUM	16u
#define SEGMENT_MIN	32u /* of a payload: Linux cuts no smaller ones */

enum ipv4_field { IPV4_TOTAL = 2, IPV4_ID = 4, IPV4_CHECKSUM = 10, IPV4_ADDRESSES = 12 };
enum ipv6_field { IPV6_PAYLOAD = 4, IPV6_ADDRESSES = 8 };
enum tcp_field { TCP_SEQUENCE = 4, TCP_OFFSET = 12, TCP_FLAGS = 13 };
enum tcp_flags { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 };

static u32 get16(const u8 *at)
{
	return (u32)at[0] << 8 | at[1];
}

static void put16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

static u32 get32(const u8 *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static void put32(u8 *at, u32 value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* RFC 1071, without the complement. `bytes` is even. */
static u32 add_words(u32 sum, const u8 *at, u32 bytes)
{
	for (u32 i = 0; i < bytes; i += 2)
		sum += get16(at + i);
	return sum;
}

static u32 fold(u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static const u8 *frame_of(const struct net_packet *packet)
{
	return packet->bytes + PACKET_HEADER;
}

/* Where the IP header begins. */
static u32 ip_header(const u8 *frame)
{
	return get16(frame + 12) == TYPE_VLAN ? ETHERNET + VLAN_TAG : ETHERNET;
}

static bool ip_is_good(const struct net_packet *packet, u32 ip)
{
	const u8 *frame = frame_of(packet);
	u32 type = get16(frame + ip - 2), tcp = packet->csum_start;

	if (packet->gso_type == GSO_TCPV4)
		return type == TYPE_IPV4 && tcp >= ip + IPV4_HEADER_MIN && frame[ip] >> 4 == 4 &&
		       (frame[ip] & 15u) * 4 == tcp - ip;
	return packet->gso_type == GSO_TCPV6 && type == TYPE_IPV6 && tcp >= ip + IPV6_HEADER &&
	       frame[ip] >> 4 == 6;
}

u32 segment_headers(const struct net_packet *packet)
{
	u32 tcp = packet->csum_start;

	return tcp + (frame_of(packet)[tcp + TCP_OFFSET] >> 4) * 4u;
}

bool segment_check(const struct net_packet *packet)
{
	u32 tcp = packet->csum_start, headers;

	if (!packet->needs_csum || packet->csum_offset != TCP_CHECKSUM ||
	    packet->gso_size < SEGMENT_MIN || (u64)tcp + TCP_HEADER_MIN > packet->len ||
	    tcp < ETHERNET + VLAN_TAG || !ip_is_good(packet, ip_header(frame_of(packet))))
		return false;
	headers = segment_headers(packet);
	return headers >= tcp + TCP_HEADER_MIN && headers < packet->len &&
	       headers + packet->gso_size <= FRAME_MAX;
}

u32 segment_count(const struct net_packet *packet)
{
	return (packet->len - segment_headers(packet) + packet->gso_size - 1) / packet->gso_size;
}

/* The lengths and the id of the IP header; the sum of the pseudo header. */
static u32 fix_ip(u8 *frame, u32 ip, u32 tcp, u32 number, u32 len)
{
	u8 *header = frame + ip;
	u32 sum = PROTOCOL_TCP + len - tcp;

	if (header[0] >> 4 == 6) {
		put16(header + IPV6_PAYLOAD, len - ip - IPV6_HEADER);
		return fold(add_words(sum, header + IPV6_ADDRESSES, 32));
	}
	put16(header + IPV4_TOTAL, len - ip);
	put16(header + IPV4_ID, (get16(header + IPV4_ID) + number) & 0xffff);
	put16(header + IPV4_CHECKSUM, 0);
	put16(header + IPV4_CHECKSUM, ~fold(add_words(0, header, tcp - ip)) & 0xffff);
	return fold(add_words(sum, header + IPV4_ADDRESSES, 8));
}

void segment_cut(const struct net_packet *packet, u32 number, struct net_packet *out)
{
	u32 headers = segment_headers(packet), at = number * packet->gso_size;
	u32 bytes = MIN((u32)packet->gso_size, packet->len - headers - at);
	u32 tcp = packet->csum_start, ip = ip_header(frame_of(packet));
	u8 *frame = out->bytes + PACKET_HEADER;

	memcpy(frame, frame_of(packet), headers);
	memcpy(frame + headers, frame_of(packet) + headers + at, bytes);
	out->len = headers + bytes;
	out->csum_start = packet->csum_start;
	out->csum_offset = packet->csum_offset;
	out->needs_csum = true;
	out->gso_type = GSO_NONE;
	out->gso_size = 0;
	put32(frame + tcp + TCP_SEQUENCE, get32(frame + tcp + TCP_SEQUENCE) + at);
	if (number)
		frame[tcp + TCP_FLAGS] &= (u8)~TCP_CWR;
	if (headers + at + bytes < packet->len)
		frame[tcp + TCP_FLAGS] &= (u8) ~(TCP_FIN | TCP_PSH);
	put16(frame + tcp + TCP_CHECKSUM, fix_ip(frame, ip, tcp, number, out->len));
}
