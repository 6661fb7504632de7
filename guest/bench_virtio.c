/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_virtio.c: what a request of a virtio device costs, in ticks of a TSC of which one is an
 * instruction, and in exits.
 *
 *     (none)      a disk: blocks of 4 KiB read and written, one a notification and 32
 *     send        a network: packets to the VM with `sink`, 32 a notification, until all are used
 *     sink        takes packets until it is ended from outside
 *     alone       a network without another port: packets, 32 a notification, until all are used
 *     queues=N    N vCPUs read blocks, each by a queue of its own: ticks of a block for all of them
 *     case=N      of a disk's and of `alone`'s measurements only the Nth: for a hypervisor that
 *                 counts exits by itself
 */
#include <virtio.h>

#define REQUESTS 256u
#define BATCH	 32u
#define BLOCK	 4096u
#define PACKET	 12u /* the header */
#define FRAMES	 (8ul << 20)
#define LARGE	 65000u

enum { BLK_READ, BLK_WRITE };
enum { NET_SENDS = 1 << 0 | 1 << 11, NET_TAKES = 1 << 1 | 1 << 7 };

static struct virtio_device device;
static bool alone;
static struct virtio_queue queues[4];
static u8 data[4][BATCH][BLOCK] __attribute__((aligned(4096)));
static struct {
	u32 type, reserved;
	u64 sector;
} header[4][BATCH];
static u8 status[4][BATCH];

static u64 exits(void)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_EXITS, 0, 0, 0);
}

static void report(const char *name, u64 ticks, u64 count, u64 requests)
{
	print("bench: %s %lu instructions\n", name, ticks / requests);
	if (count)
		print("bench: %s_exits %lu hundredths\n", name, count * 100 / requests);
}

/* --- Disk. ----------------------------------------------------------------------------------- */

/* Chain i of the queue: a block. */
static void put_block(unsigned q, unsigned i, u32 type, u64 block)
{
	struct virtio_desc *desc = &queues[q].desc[3 * i];
	u16 flags = type == BLK_READ ? DESC_NEXT | DESC_WRITE : DESC_NEXT;

	header[q][i].type = type;
	header[q][i].sector = 8 * block;
	desc[0] = (struct virtio_desc){(u64)&header[q][i], 16, DESC_NEXT, (u16)(3 * i + 1)};
	desc[1] = (struct virtio_desc){(u64)data[q][i], BLOCK, flags, (u16)(3 * i + 2)};
	desc[2] = (struct virtio_desc){(u64)&status[q][i], 1, DESC_WRITE, 0};
}

/* `requests` in batches; false: a device that does not answer. */
static bool transfer(unsigned q, u32 type, unsigned requests, unsigned batch)
{
	for (unsigned done = 0; done < requests; done += batch) {
		for (unsigned i = 0; i < batch; i++) {
			put_block(q, i, type, done + i);
			virtio_offer(&queues[q], (u16)(3 * i));
		}
		virtio_notify(&device, q);
		if (!virtio_await(&queues[q], queues[q].avail.index))
			return false;
	}
	return true;
}

static void measure_disk(const char *name, u32 type, unsigned batch)
{
	u64 ticks, count;

	if (!transfer(0, type, REQUESTS, batch))
		check(false, "%s", name);
	count = exits();
	ticks = rdtsc();
	(void)transfer(0, type, REQUESTS, batch);
	ticks = rdtsc() - ticks;
	report(name, ticks, exits() - count - 1, REQUESTS);
}

static bool start_disk(unsigned count)
{
	if (!virtio_find(VIRTIO_BLK, &device) || !virtio_negotiate(&device, device.offered))
		return false;
	for (unsigned i = 0; i < count; i++)
		virtio_add_queue(&device, i, &queues[i]);
	virtio_run(&device);
	return true;
}

static bool is_chosen(unsigned number)
{
	return option_number("case", number) == number;
}

static void bench_disk(void)
{
	static const struct {
		const char *name;
		u32 type;
		unsigned batch;
	} cases[] = {
		{"read", BLK_READ, 1},
		{"read_batch", BLK_READ, BATCH},
		{"write", BLK_WRITE, 1},
		{"write_batch", BLK_WRITE, BATCH},
	};

	if (!check(start_disk(1), "a disk"))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		if (is_chosen(i + 1))
			measure_disk(cases[i].name, cases[i].type, cases[i].batch);
	}
}

/* --- Queues. --------------------------------------------------------------------------------- */

static unsigned started, ended;

static void read_queue(u64 q)
{
	(void)transfer((unsigned)q, BLK_READ, BATCH, 1); /* every page is there */
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) != option_number("queues", 1))
		pause_cpu();
	(void)transfer((unsigned)q, BLK_READ, REQUESTS, 1);
	__atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static void bench_queues(unsigned count)
{
	u64 ticks;

	if (!check(start_disk(count), "a disk of %u queues", count))
		return;
	for (unsigned i = 1; i < count; i++)
		vcpu_run(i, read_queue, i);
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) != count - 1)
		pause_cpu();
	(void)transfer(0, BLK_READ, BATCH, 1);
	ticks = rdtsc();
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	(void)transfer(0, BLK_READ, REQUESTS, 1);
	__atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) != count)
		pause_cpu();
	ticks = rdtsc() - ticks;
	report(count == 1 ? "read_1_queue" : "read_4_queues", ticks, 0, count * REQUESTS);
}

/* --- Network. -------------------------------------------------------------------------------- */

/* From 02:00:00:00:00:01 to 02:00:00:00:00:02; a large one is a TCP frame. */
static void put_packet(unsigned i, u32 bytes)
{
	static const u8 head[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45};
	volatile u8 *at = (u8 *)(FRAMES + 0x10000ul * i);

	for (unsigned n = 0; n < PACKET; n++)
		at[n] = 0;
	for (unsigned n = 0; n < sizeof(head); n++)
		at[PACKET + n] = head[n];
	if (bytes > 2000) {
		static const u8 large[] = {1, 1, 54, 0, 0xa8, 5, 34, 0, 16};

		for (unsigned n = 0; n < sizeof(large); n++)
			at[n] = large[n];
		at[PACKET + 34 + 12] = 0x50;
	}
	queues[0].desc[i] = (struct virtio_desc){(u64)at, PACKET + bytes, 0, 0};
}

static void send_batch(unsigned batch)
{
	for (unsigned i = 0; i < batch; i++)
		virtio_offer(&queues[0], (u16)i);
	virtio_notify(&device, 1);
	while (__atomic_load_n(&queues[0].used.index, __ATOMIC_ACQUIRE) != queues[0].avail.index) {
		if (alone)
			pause_cpu();
		else
			hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	}
}

static void measure_packets(const char *name, u32 bytes, unsigned batch)
{
	u64 ticks, count;

	for (unsigned i = 0; i < batch; i++)
		put_packet(i, bytes);
	send_batch(batch);
	count = exits();
	ticks = rdtsc();
	for (unsigned i = 0; i < REQUESTS; i += batch)
		send_batch(batch);
	ticks = rdtsc() - ticks;
	report(name, ticks, exits() - count - 1, REQUESTS);
}

static void bench_send(void)
{
	static const struct {
		const char *name[2]; /* to another VM, alone */
		u32 bytes;
		unsigned batch;
	} cases[] = {
		{{"packet_60", "sent_60"}, 60, BATCH},
		{{"packet_1514", "sent_1514"}, 1514, BATCH},
		{{"packet_large", "sent_large"}, LARGE, 4},
	};

	if (!check(virtio_find(VIRTIO_NET, &device) && virtio_negotiate(&device, NET_SENDS),
		   "a network"))
		return;
	virtio_add_queue(&device, 1, &queues[0]);
	virtio_run(&device);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		if (is_chosen(i + 1))
			measure_packets(cases[i].name[alone], cases[i].bytes, cases[i].batch);
	}
}

/* Buffers of 64 KiB, given again at once. */
static void sink(void)
{
	u16 seen = 0;

	if (!check(virtio_find(VIRTIO_NET, &device) && virtio_negotiate(&device, NET_TAKES),
		   "a network"))
		return;
	virtio_add_queue(&device, 0, &queues[0]);
	virtio_run(&device);
	for (unsigned i = 0; i < BATCH; i++) {
		queues[0].desc[i] =
			(struct virtio_desc){FRAMES + 0x10000ul * i, 0x10000, DESC_WRITE, 0};
		virtio_offer(&queues[0], (u16)i);
	}
	virtio_notify(&device, 0);
	for (;;) {
		u16 used = __atomic_load_n(&queues[0].used.index, __ATOMIC_ACQUIRE);

		if (used == seen)
			hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
		for (; seen != used; seen++)
			virtio_offer(&queues[0], (u16)queues[0].used.entry[seen % 128].id);
		virtio_notify(&device, 0);
	}
}

void guest_main(void)
{
	alone = option("alone");
	if (option("sink"))
		sink();
	else if (option("send") || option("alone"))
		bench_send();
	else if (option("queues"))
		bench_queues((unsigned)option_number("queues", 1));
	else
		bench_disk();
}
