/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk.h: the block device (OASIS virtio 1.2, 5.2) over a struct disk.
 *
 *     chain:  header {type, sector}  data ...        status
 *             read by the device     either way      written, the last byte
 *
 * A queue has one request at a time under way, which is copied a page at a time: blk_run() stops at
 * any page when its budget is used up or there is no frame, and goes on there.
 *
 * Invariants:
 * BLK-1  no byte outside the disk is read or written: a request's range is checked as a whole
 *        before its first byte.
 * BLK-2  a request is given back once, with a status, after all of its data.
 */
#ifndef SAMEPAGE_HV_VIRTIO_BLK_H
#define SAMEPAGE_HV_VIRTIO_BLK_H

#include "hv/virtio/device.h"
#include "hv/virtio/disk.h"

#define BLK_QUEUES_MAX 4
#define BLK_ID_SIZE    20

enum blk_type {
	BLK_IN = 0,
	BLK_OUT = 1,
	BLK_FLUSH = 4,
	BLK_GET_ID = 8,
	BLK_DISCARD = 11,
	BLK_WRITE_ZEROES = 13,
};
enum blk_status { BLK_OK, BLK_IOERR, BLK_UNSUPPORTED };

/*
 * at, left: the bytes of the disk that are still to be copied or zeroed; segments: bytes of the
 * ranges of a discard that are still to be read.
 */
struct blk_request {
	bool active;
	u8 status;
	u32 type;
	u64 at, left, segments;
	u32 written;
	struct virtq_stream in, out;
};

/* spent: units of the last piece that come on top of its copy. */
struct blk_queue {
	struct virtq_chain chain;
	struct blk_request request;
	unsigned spent;
};

/* read, written, zeroed in bytes; mapped: pages in place of a copy; looked: pages hinted at. */
struct blk_counters {
	u64 requests, errors, read, written, zeroed, mapped, looked;
};

/*
 * struct blk_hints: what a read passes on (docs/virtio.md); either may be NULL.
 *
 * map	  backs the page at gpa by a block of the image; an error: it is copied as without a hint
 * filled the page at gpa was filled with a block as a whole; costs BLK_FILLED_UNITS
 */
struct virtio_blk;
struct blk_hints {
	int (*map)(struct virtio_blk *blk, struct gpa gpa, u64 block);
	void (*filled)(struct virtio_blk *blk, struct gpa gpa);
};
#define BLK_FILLED_UNITS 8

struct virtio_blk {
	struct virtio_device device;
	struct disk disk;
	char id[BLK_ID_SIZE];
	struct blk_hints hints; /* [I] */
	struct blk_queue queue[BLK_QUEUES_MAX];
	struct blk_counters counters;
};

/* Everything but the memory and the bus: the disk is made, `ops` destroys. */
void blk_init(struct virtio_blk *blk, unsigned queues, const char *id,
	      const struct virtio_ops *ops);

/* virtio_ops.run and reset of a block device. */
int blk_run(struct virtio_device *device, unsigned queue, unsigned *budget);
void blk_reset(struct virtio_device *device);

#endif
