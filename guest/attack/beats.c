/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beats.c: the victim beside a hostile driver: a disk, and what it reads is the image's (DISK-1), a
 * beat a time slice.
 *
 *     beats=N (5)
 */
#include <virtio.h>

#define SECTORS 8u

static struct virtio_queue queue;
static u8 data[SECTORS * 512] __attribute__((aligned(4096)));
static u8 status;
static struct {
	u32 type, reserved;
	u64 sector;
} header;

static bool read_disk(const struct virtio_device *disk, u16 number)
{
	status = 255;
	queue.desc[0] = (struct virtio_desc){(u64)&header, sizeof(header), DESC_NEXT, 1};
	queue.desc[1] = (struct virtio_desc){(u64)data, sizeof(data), DESC_NEXT | DESC_WRITE, 2};
	queue.desc[2] = (struct virtio_desc){(u64)&status, 1, DESC_WRITE, 0};
	virtio_offer(&queue, 0);
	virtio_notify(disk, 0);
	return virtio_await(&queue, number) && *(volatile u8 *)&status == 0;
}

static u64 sum(void)
{
	u64 sum = 0;

	for (unsigned i = 0; i < sizeof(data); i++)
		sum = sum * 31 + ((volatile u8 *)data)[i];
	return sum;
}

static u64 slices(void)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_SLICES, 0, 0, 0);
}

void guest_main(void)
{
	u64 beats = option_number("beats", 5), good = 0, first = 0;
	struct virtio_device disk;

	if (!check(virtio_find(VIRTIO_BLK, &disk) && virtio_negotiate(&disk, 0), "a disk"))
		return;
	virtio_add_queue(&disk, 0, &queue);
	virtio_run(&disk);
	for (u64 i = 0; i < beats; i++) {
		u64 turn = slices();
		bool read = read_disk(&disk, (u16)(i + 1));

		first = i ? first : sum();
		good += read && sum() == first;
		while (slices() == turn)
			for (volatile unsigned spin = 0; spin < 20000; spin++)
				;
	}
	check(good == beats, "%lu of %lu beats read what the disk has", good, beats);
}
