/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk.c: requests of a block device. blk.h has the chain and the invariants.
 *
 * Pure over struct virtio_memory and struct disk: the fuzzer and the unit tests run it as it is.
 */
#include "hv/virtio/blk.h"
#include <lib/race.h>
#include <lib/string.h>

#define BLK_F_SEG_MAX	   BIT(2)
#define BLK_F_BLK_SIZE	   BIT(6)
#define BLK_F_FLUSH	   BIT(9)
#define BLK_F_TOPOLOGY	   BIT(10)
#define BLK_F_MQ	   BIT(12)
#define BLK_F_DISCARD	   BIT(13)
#define BLK_F_WRITE_ZEROES BIT(14)
#define BLK_FEATURES                                                                \
	(BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH | BLK_F_TOPOLOGY | BLK_F_MQ | \
	 BLK_F_DISCARD | BLK_F_WRITE_ZEROES)
#define BLK_ZERO_SECTORS_MAX 0x400000u /* of one range: 2 GiB */
#define BLK_ZERO_UNMAP	     1u

/* Fields of the configuration (5.2.4). */
enum blk_config {
	FIELD_CAPACITY = 0,
	FIELD_SEG_MAX = 12,
	FIELD_BLK_SIZE = 20,
	FIELD_PHYSICAL = 24,
	FIELD_MIN_IO = 26,
	FIELD_QUEUES = 34,
	FIELD_DISCARD_SECTORS = 36,
	FIELD_DISCARD_SEG = 40,
	FIELD_DISCARD_ALIGNMENT = 44,
	FIELD_ZEROES_SECTORS = 48,
	FIELD_ZEROES_SEG = 52,
	FIELD_ZEROES_UNMAP = 56,
	FIELD_SIZE = 60,
};

struct blk_header {
	u32 type, reserved;
	u64 sector;
};

struct blk_range {
	u64 sector;
	u32 sectors, flags;
};

static struct virtio_blk *blk_of(struct virtio_device *device)
{
	return container_of(device, struct virtio_blk, device);
}

/* BLK-1. */
static bool in_disk(const struct disk *disk, u64 sector, u64 bytes)
{
	return bytes <= disk->bytes && sector <= (disk->bytes - bytes) / DISK_SECTOR;
}

static void fail(struct blk_request *request, enum blk_status status)
{
	request->status = status;
	request->left = request->segments = 0;
}

/* The range of a read or write: `bytes` of data from `sector` on. */
static void set_range(const struct disk *disk, struct blk_request *request, u64 sector, u64 bytes)
{
	request->at = sector * DISK_SECTOR;
	request->left = bytes;
	if (bytes % DISK_SECTOR || !in_disk(disk, sector, bytes))
		fail(request, BLK_IOERR);
}

static int give_id(struct virtio_blk *blk, struct blk_queue *queue, u64 room)
{
	size_t bytes = MIN(room, (u64)BLK_ID_SIZE);
	int err =
		virtq_put(&queue->chain, &blk->device.memory, &queue->request.out, blk->id, bytes);

	queue->request.written = err ? 0 : (u32)bytes;
	if (err && !virtio_may_pass(err)) {
		fail(&queue->request, BLK_IOERR);
		err = 0;
	}
	return err;
}

/* Reads the header; what it says is checked, and nothing else is done yet. */
static int begin_request(struct virtio_blk *blk, struct blk_queue *queue)
{
	const struct virtq_chain *chain = &queue->chain;
	struct blk_request *request = &queue->request;
	struct blk_header header;
	u64 room, data;
	int err;

	*request = (struct blk_request){.in = virtq_readable(chain), .out = virtq_writable(chain)};
	room = virtq_bytes(chain, request->out);
	if (!room)
		return ERR_FORMAT; /* no place for a status */
	err = virtq_get(chain, &blk->device.memory, &request->in, &header, sizeof(header));
	if (err)
		return err;
	request->type = header.type;
	data = virtq_bytes(chain, request->in);
	if (header.type == BLK_IN)
		set_range(&blk->disk, request, header.sector, room - 1);
	else if (header.type == BLK_OUT)
		set_range(&blk->disk, request, header.sector, data);
	else if (header.type == BLK_DISCARD || header.type == BLK_WRITE_ZEROES)
		request->segments = data;
	else if (header.type == BLK_GET_ID)
		err = give_id(blk, queue, room - 1);
	else if (header.type != BLK_FLUSH)
		fail(request, BLK_UNSUPPORTED);
	request->active = !err;
	blk->counters.requests += !err;
	return err;
}

/* The bytes of the block at hand, from its place in the block on. */
static size_t in_block(const struct blk_request *request)
{
	return MIN(request->left, DISK_BLOCK - request->at % DISK_BLOCK);
}

static void request_advance(struct blk_request *request, size_t bytes)
{
	request->at += bytes;
	request->left -= bytes;
}

/* Backs a page that gets a whole block by the block's frame. False: it has to be copied. */
static bool map_page(struct virtio_blk *blk, struct gpa gpa, u64 block)
{
	if (!blk->hints.map || !disk_is_image(&blk->disk, block) ||
	    blk->hints.map(blk, gpa, block) != 0)
		return false;
	blk->counters.mapped++;
	return true;
}

static int copy_out(struct virtio_blk *blk, u64 at, struct gpa gpa, size_t bytes)
{
	const struct virtio_memory *memory = &blk->device.memory;
	const u8 *from = disk_block(&blk->disk, at / DISK_BLOCK);
	void *to;
	int err = memory->map(memory->context, gpa, bytes, true, &to);

	if (err)
		return err;
	RACE_POINT("blk: writes a page");
	if (from)
		memcpy(to, from + at % DISK_BLOCK, bytes);
	else
		memset(to, 0, bytes);
	memory->unmap(memory->context, gpa);
	return 0;
}

/* The page is unmapped: mm may take it. */
static void page_filled(struct virtio_blk *blk, struct blk_queue *queue, struct gpa gpa)
{
	if (!blk->hints.filled)
		return;
	blk->hints.filled(blk, gpa);
	blk->counters.looked++;
	queue->spent = BLK_FILLED_UNITS;
}

/* A piece of a block's size is a whole page, because no piece crosses one. */
static int read_piece(struct virtio_blk *blk, struct blk_queue *queue)
{
	struct blk_request *request = &queue->request;
	struct gpa gpa;
	size_t bytes = virtq_piece(&queue->chain, &request->out, in_block(request), &gpa.raw);
	bool whole = bytes == DISK_BLOCK;
	int err = 0;

	if (!whole || !map_page(blk, gpa, request->at / DISK_BLOCK)) {
		err = copy_out(blk, request->at, gpa, bytes);
		if (!err && whole)
			page_filled(blk, queue, gpa);
	}
	if (err)
		return err;
	virtq_advance(&queue->chain, &request->out, bytes);
	request_advance(request, bytes);
	request->written += (u32)bytes;
	blk->counters.read += bytes;
	return 0;
}

/* A block gets its frame before the guest's page is mapped: between map and unmap mm waits. */
static int write_piece(struct virtio_blk *blk, struct blk_queue *queue)
{
	const struct virtio_memory *memory = &blk->device.memory;
	struct blk_request *request = &queue->request;
	u64 block = request->at / DISK_BLOCK;
	struct disk_page page;
	struct gpa gpa;
	size_t bytes;
	void *from;
	int err = disk_own(&blk->disk, block, &page);

	if (err)
		return err;
	bytes = virtq_piece(&queue->chain, &request->in, in_block(request), &gpa.raw);
	err = memory->map(memory->context, gpa, bytes, false, &from);
	if (err) {
		disk_drop(&blk->disk, &page);
		return err;
	}
	RACE_POINT("blk: reads a page");
	memcpy(page.bytes + request->at % DISK_BLOCK, from, bytes);
	memory->unmap(memory->context, gpa);
	disk_keep(&blk->disk, block, &page);
	virtq_advance(&queue->chain, &request->in, bytes);
	request_advance(request, bytes);
	blk->counters.written += bytes;
	return 0;
}

/* A part of a block: zeroed, or, for a discard, left as it is. */
static int zero_part(struct virtio_blk *blk, const struct blk_request *request, size_t bytes)
{
	u64 block = request->at / DISK_BLOCK;
	struct disk_page page;
	int err;

	if (request->type == BLK_DISCARD || !disk_block(&blk->disk, block))
		return 0;
	err = disk_own(&blk->disk, block, &page);
	if (err)
		return err;
	memset(page.bytes + request->at % DISK_BLOCK, 0, bytes);
	disk_keep(&blk->disk, block, &page);
	return 0;
}

/* The next range of a discard or write-zeroes. */
static int take_range(struct virtio_blk *blk, struct blk_queue *queue)
{
	struct blk_request *request = &queue->request;
	struct blk_range range;
	int err;

	if (request->segments < sizeof(range)) {
		fail(request, BLK_IOERR);
		return 0;
	}
	err = virtq_get(&queue->chain, &blk->device.memory, &request->in, &range, sizeof(range));
	if (err)
		return err;
	request->segments -= sizeof(range);
	request->at = range.sector * DISK_SECTOR;
	request->left = (u64)range.sectors * DISK_SECTOR;
	if (range.flags & ~(request->type == BLK_WRITE_ZEROES ? BLK_ZERO_UNMAP : 0))
		fail(request, BLK_UNSUPPORTED);
	else if (range.sectors > BLK_ZERO_SECTORS_MAX ||
		 !in_disk(&blk->disk, range.sector, request->left))
		fail(request, BLK_IOERR);
	return 0;
}

static int zero_piece(struct virtio_blk *blk, struct blk_queue *queue)
{
	struct blk_request *request = &queue->request;
	size_t bytes = in_block(request);
	int err;

	if (!bytes)
		return take_range(blk, queue);
	err = bytes == DISK_BLOCK ? disk_zero(&blk->disk, request->at / DISK_BLOCK)
				  : zero_part(blk, request, bytes);
	if (err)
		return err;
	request_advance(request, bytes);
	blk->counters.zeroed += bytes;
	return 0;
}

/* An address in the data that is no RAM costs the request and no more. */
static int run_piece(struct virtio_blk *blk, struct blk_queue *queue)
{
	struct blk_request *request = &queue->request;
	int err = request->type == BLK_IN    ? read_piece(blk, queue)
		  : request->type == BLK_OUT ? write_piece(blk, queue)
					     : zero_piece(blk, queue);

	if (err && !virtio_may_pass(err)) {
		fail(request, BLK_IOERR);
		err = 0;
	}
	return err;
}

/* BLK-2: the status, then the used ring; both are written again if the second fails to pass. */
static int end_request(struct virtio_blk *blk, unsigned number)
{
	struct blk_queue *queue = &blk->queue[number];
	struct virtio_device *device = &blk->device;
	struct virtq_stream place = virtq_writable(&queue->chain);
	u64 room = virtq_bytes(&queue->chain, place);
	int err;

	virtq_advance(&queue->chain, &place, room - 1);
	err = virtq_put(&queue->chain, &device->memory, &place, &queue->request.status, 1);
	if (!err)
		err = virtq_push(&device->queue[number], &device->memory, queue->chain.head,
				 queue->request.written + 1);
	if (err)
		return err;
	blk->counters.errors += queue->request.status != BLK_OK;
	queue->request.active = false;
	return 0;
}

/* A chain that was popped, but its header could not be read yet, is begun again. */
static int next_request(struct virtio_blk *blk, unsigned number)
{
	struct blk_queue *queue = &blk->queue[number];
	struct virtio_device *device = &blk->device;
	u16 before = device->queue[number].next_avail;
	int err = virtq_pop(&device->queue[number], &device->memory, &queue->chain);

	if (err <= 0)
		return err;
	err = begin_request(blk, queue);
	if (virtio_may_pass(err))
		device->queue[number].next_avail = before;
	return err ? err : 1;
}

int blk_run(struct virtio_device *device, unsigned number, unsigned *budget)
{
	struct virtio_blk *blk = blk_of(device);
	struct blk_request *request = &blk->queue[number].request;

	for (; *budget; --*budget) {
		int err = 0;

		if (!request->active) {
			err = next_request(blk, number);
			if (err <= 0)
				return err;
			err = 0;
			virtq_charge(&device->queue[number], budget);
		}
		blk->queue[number].spent = 0;
		if (request->left || request->segments)
			err = run_piece(blk, &blk->queue[number]);
		*budget -= MIN(*budget - 1, blk->queue[number].spent);
		if (!err && !request->left && !request->segments)
			err = end_request(blk, number);
		if (err)
			return err;
	}
	return 1;
}

void blk_reset(struct virtio_device *device)
{
	struct virtio_blk *blk = blk_of(device);

	for (unsigned i = 0; i < BLK_QUEUES_MAX; i++)
		blk->queue[i].request.active = false;
}

void blk_init(struct virtio_blk *blk, unsigned queues, const char *id, const struct virtio_ops *ops)
{
	struct virtio_device *device = &blk->device;

	device->ops = ops;
	(void)string_copy(blk->id, sizeof(blk->id), id);
	virtio_init(device, queues, BLK_FEATURES, FIELD_SIZE);
	virtio_config_set(device, FIELD_CAPACITY, 8, blk->disk.bytes / DISK_SECTOR);
	virtio_config_set(device, FIELD_SEG_MAX, 4, VIRTQ_SIZE_MAX - 2);
	virtio_config_set(device, FIELD_BLK_SIZE, 4, DISK_SECTOR);
	virtio_config_set(device, FIELD_PHYSICAL, 1, PAGE_SHIFT - 9);
	virtio_config_set(device, FIELD_MIN_IO, 2, DISK_BLOCK_SECTORS);
	virtio_config_set(device, FIELD_QUEUES, 2, queues);
	virtio_config_set(device, FIELD_DISCARD_SECTORS, 4, BLK_ZERO_SECTORS_MAX);
	virtio_config_set(device, FIELD_DISCARD_SEG, 4, 1);
	virtio_config_set(device, FIELD_DISCARD_ALIGNMENT, 4, DISK_BLOCK_SECTORS);
	virtio_config_set(device, FIELD_ZEROES_SECTORS, 4, BLK_ZERO_SECTORS_MAX);
	virtio_config_set(device, FIELD_ZEROES_SEG, 4, 1);
	virtio_config_set(device, FIELD_ZEROES_UNMAP, 1, 1);
}
