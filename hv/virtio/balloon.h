/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon.h: the memory balloon (OASIS virtio 1.2, 5.5).
 *
 *     inflate    numbers of pages that the guest gives up        -> take()
 *     deflate    numbers of pages that it uses again             counted: a touch backs them
 *     statistics a buffer of the driver's; given back, it is a request for new ones
 *     reporting  free ranges, which the guest may touch later    -> take()
 *
 * A page that was taken reads as zero when the guest touches it.
 *
 * Invariants:
 * BALLOON-1  only pages that the driver names are taken, whole ones, each at most once for a name.
 * BALLOON-2  a chain is given back after all of its pages, so a reported page is not taken later.
 *
 * Locking: pci.lock.
 */
#ifndef SAMEPAGE_HV_VIRTIO_BALLOON_H
#define SAMEPAGE_HV_VIRTIO_BALLOON_H

#include "hv/virtio/device.h"

#define BALLOON_QUEUES 4
#define BALLOON_PIECE  512u /* frames taken at once */
#define BALLOON_STATS  10u  /* kinds of statistics (5.5.6.3) */

enum balloon_stat_kind { BALLOON_S_FREE = 4, BALLOON_S_TOTAL = 5 };

#define BALLOON_F_STATS		 BIT(1)
#define BALLOON_F_DEFLATE_ON_OOM BIT(2)
#define BALLOON_F_REPORTING	 BIT(5)

struct balloon_counters {
	u64 inflated, deflated, reported, refused; /* pages */
};

struct balloon_queue {
	bool active; /* `chain` is under way, up to `at`; of the statistics: it is kept */
	struct virtq_chain chain;
	struct virtq_stream at;
};

/* take: the backing of the range goes; ERR_NO_MEMORY, ERR_BUSY: later; else it is no RAM. */
struct virtio_balloon {
	struct virtio_device device;
	int (*take)(void *context, struct gfn_range range); /* [I] */
	void *context;					    /* [I] */
	struct balloon_counters counters;
	bool stats_due;		 /* the driver's buffer is to be given back */
	u64 stat[BALLOON_STATS]; /* as the driver has last said, */
	u32 stats_seen;		 /* a bit for each that it has */
	struct balloon_queue queue[BALLOON_QUEUES];
};

/* Everything but the memory and the bus; take and context are set. `ops` destroys. */
void balloon_init(struct virtio_balloon *balloon, u32 target, const struct virtio_ops *ops);

/* Lock held. Pages that the guest is to give up, and those that it has; new statistics. */
void balloon_set_target(struct virtio_balloon *balloon, u32 pages);
u32 balloon_target(const struct virtio_balloon *balloon);
u32 balloon_actual(const struct virtio_balloon *balloon);
void balloon_request_stats(struct virtio_balloon *balloon);

/* virtio_ops. */
int balloon_run(struct virtio_device *device, unsigned queue, unsigned *budget);
void balloon_reset(struct virtio_device *device);

#endif
