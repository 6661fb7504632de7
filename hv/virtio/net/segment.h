/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h: large TCP frames (OASIS virtio 1.2, 5.1.6.2), which a driver leaves to the device, cut
 * for a receiver that does not take them.
 *
 *     Ethernet | IP | TCP |  payload of up to 64 KiB
 *     Ethernet | IP | TCP |  gso_size |                  segment 0
 *     Ethernet | IP | TCP             |  gso_size |      segment 1: sequence + gso_size, IP id + 1
 *
 * SEGMENT-1  every segment's headers lie in the frame, a segment fits FRAME_MAX, and a frame has no
 *            more than 2,048 of them, which are the receiver's work: checked by segment_check()
 *            before anything is cut.
 */
#ifndef SAMEPAGE_HV_VIRTIO_SEGMENT_H
#define SAMEPAGE_HV_VIRTIO_SEGMENT_H

#include "hv/virtio/net/switch.h"

enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4 };

/* SEGMENT-1, for the frame's gso_type, which is not GSO_NONE. */
bool segment_check(const struct net_packet *frame) __must_check;

/* Bytes of all headers; how many segments a frame has. It is checked. */
u32 segment_headers(const struct net_packet *frame);
u32 segment_count(const struct net_packet *frame);

/* Segment `number`, with its checksum left to the receiver. */
void segment_cut(const struct net_packet *frame, u32 number, struct net_packet *out);

#endif
