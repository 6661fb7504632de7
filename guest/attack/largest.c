/* SPDX-License-Identifier: Apache-2.0 */
/*
 * largest.c: the largest request of each device: the whole disk in one chain of as many descriptors
 * as a queue has, a full ring of frames of 64 KiB, a full ring of entropy; and at the end a request
 * without an end, a balloon of all the numbers that 126 descriptors can have.
 */
#include <virtio.h>

#define BUFFER	     (8ul << 20)
#define BUFFER_BYTES (6ul << 20)
#define SEGMENTS     126u
#define LARGE	     65535u /* a frame with its header */
#define TCP	     34u

enum { BLK_READ = 0, BLK_WRITE = 1, BLK_ZERO = 13 };
enum { BLK_FEATURES = 1 << 14, NET_FEATURES = 1 << 0 | 1 << 11 }; /* zeroes; CSUM, HOST_TSO4 */

static struct virtio_queue queue;
static struct virtio_device device;
static u8 status;

static bool start(unsigned type, unsigned number, u64 features)
{
	if (!virtio_find(type, &device) || !virtio_negotiate(&device, features))
		return check(false, "device %u", type);
	virtio_add_queue(&device, number, &queue);
	virtio_run(&device);
	return true;
}

static void put(unsigned index, u64 addr, u64 len, u16 flags)
{
	queue.desc[index] = (struct virtio_desc){addr, (u32)len, flags, (u16)(index + 1)};
}

static bool disk_request(u32 type, u64 bytes)
{
	static struct {
		u32 type, reserved;
		u64 sector;
	} header;
	static struct {
		u64 sector;
		u32 sectors, flags;
	} range;
	u64 each = bytes / SEGMENTS / 512 * 512;

	if (!start(VIRTIO_BLK, 0, BLK_FEATURES))
		return false;
	header.type = type;
	status = 255;
	put(0, (u64)&header, sizeof(header), DESC_NEXT);
	for (unsigned i = 1; i <= SEGMENTS && type != BLK_ZERO; i++)
		put(i, BUFFER, i < SEGMENTS ? each : bytes - each * (SEGMENTS - 1),
		    DESC_NEXT | (type == BLK_READ ? DESC_WRITE : 0));
	range.sectors = (u32)(bytes / 512);
	if (type == BLK_ZERO)
		put(1, (u64)&range, sizeof(range), DESC_NEXT);
	put(type == BLK_ZERO ? 2 : SEGMENTS + 1, (u64)&status, 1, DESC_WRITE);
	virtio_offer(&queue, 0);
	virtio_notify(&device, 0);
	return virtio_await(&queue, 1) && *(volatile u8 *)&status == 0;
}

static u64 disk_bytes(void)
{
	return start(VIRTIO_BLK, 0, 0) ? virtio_read(&device, BAR_CONFIG, 4) * 512ul : 0;
}

/* A TCP frame for a port that is not there: to all others. */
static void write_frame(u8 *at)
{
	static const u8 header[] = {
		1, 1, 54, 0, 0xa8, 5, TCP, 0, 16, 0, 0, 0, /* virtio: NEEDS_CSUM */
		2, 9, 9,  9, 9,	   9, 2,   9, 9,  9, 9, 8, 8, 0, 0x45,
	};

	for (unsigned i = 0; i < sizeof(header); i++)
		at[i] = header[i];
	at[12 + TCP + 12] = 0x50;
}

static bool send_large(void)
{
	if (!start(VIRTIO_NET, 1, NET_FEATURES))
		return false;
	write_frame((u8 *)BUFFER);
	for (unsigned i = 0; i < VIRTIO_QUEUE_SIZE; i++) {
		put(i, BUFFER, LARGE, 0);
		virtio_offer(&queue, (u16)i);
	}
	virtio_notify(&device, 1);
	return virtio_await(&queue, VIRTIO_QUEUE_SIZE);
}

static bool fill_random(void)
{
	if (!start(VIRTIO_RNG, 0, 0))
		return false;
	for (unsigned i = 0; i < VIRTIO_QUEUE_SIZE; i++) {
		put(i, BUFFER, 65536, DESC_WRITE);
		virtio_offer(&queue, (u16)i);
	}
	virtio_notify(&device, 0);
	return virtio_await(&queue, VIRTIO_QUEUE_SIZE);
}

/* Page numbers of a page that this guest does not use: its memory reads zero, so they are 0. */
static void inflate_forever(void)
{
	if (!start(VIRTIO_BALLOON, 0, 0))
		return;
	for (u64 i = 0; i < BUFFER_BYTES / 8; i++)
		((volatile u64 *)BUFFER)[i] = 0;
	for (unsigned i = 0; i < VIRTIO_QUEUE_SIZE; i++)
		put(i, BUFFER, BUFFER_BYTES, i < VIRTIO_QUEUE_SIZE - 1 ? DESC_NEXT : 0);
	print("a request without an end\n");
	virtio_offer(&queue, 0);
	virtio_notify(&device, 0);
	(void)virtio_await(&queue, 1);
}

void guest_main(void)
{
	u64 bytes = disk_bytes();

	check(disk_request(BLK_READ, bytes), "the disk is read in one request");
	check(disk_request(BLK_WRITE, bytes), "the disk is written in one request");
	check(disk_request(BLK_ZERO, bytes), "the disk is zeroed in one request");
	check(send_large(), "128 packets of 64 KiB");
	check(fill_random(), "128 requests for entropy");
	inflate_forever();
	check(false, "the request has an end");
}
