/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h: the bytes that wait to be sent. Lines go in whole or not at all. One CPU.
 */
#ifndef SAMEPAGE_HV_CONTROL_RING_H
#define SAMEPAGE_HV_CONTROL_RING_H

#include <lib/types.h>

#define RING_BYTES 16384u /* a power of two */

/* first, end: counted without a wrap; a byte's place is its number modulo RING_BYTES. */
struct ring {
	u32 first, end;
	char byte[RING_BYTES];
};

static inline u32 ring_used(const struct ring *ring)
{
	return ring->end - ring->first;
}

static inline u32 ring_room(const struct ring *ring)
{
	return RING_BYTES - ring_used(ring);
}

/* False: no room for all of it. */
static inline bool ring_put(struct ring *ring, const char *text, u32 len)
{
	if (len > ring_room(ring))
		return false;
	for (u32 i = 0; i < len; i++)
		ring->byte[ring->end++ % RING_BYTES] = text[i];
	return true;
}

/* The next byte to send; the ring is not empty. */
static inline u8 ring_next(const struct ring *ring)
{
	return (u8)ring->byte[ring->first % RING_BYTES];
}

#endif
