/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.c: requests of the entropy device. A request that has to wait for memory is begun again, with
 * other bytes.
 */
#include "hv/virtio/rng.h"

/* Data that is no RAM costs the request: it is given back with no bytes. */
static int rng_fill(struct virtio_rng *rng, u32 *len)
{
	struct virtq_stream out = virtq_writable(&rng->chain);
	u64 words[RNG_BYTES_MAX / sizeof(u64)];
	u64 bytes = MIN(virtq_bytes(&rng->chain, out), (u64)RNG_BYTES_MAX);
	int err;

	for (u64 i = 0; i * sizeof(u64) < bytes; i++)
		words[i] = rng->source();
	err = virtq_put(&rng->chain, &rng->device.memory, &out, words, bytes);
	*len = err ? 0 : (u32)bytes;
	return virtio_may_pass(err) ? err : 0;
}

static int rng_request(struct virtio_rng *rng)
{
	struct virtq *queue = &rng->device.queue[0];
	u16 before = queue->next_avail;
	u32 len = 0;
	int popped = virtq_pop(queue, &rng->device.memory, &rng->chain), err;

	if (popped <= 0)
		return popped;
	err = rng_fill(rng, &len);
	if (!err)
		err = virtq_push(queue, &rng->device.memory, rng->chain.head, len);
	if (virtio_may_pass(err))
		queue->next_avail = before;
	rng->requests += !err;
	rng->bytes += err ? 0 : len;
	return err ? err : 1;
}

int rng_run(struct virtio_device *device, unsigned queue, unsigned *budget)
{
	struct virtio_rng *rng = container_of(device, struct virtio_rng, device);

	for (; *budget; --*budget) {
		int err = rng_request(rng);

		virtq_charge(&device->queue[queue], budget);
		if (err <= 0)
			return err;
	}
	return 1;
}

void rng_init(struct virtio_rng *rng, u64 (*source)(void), const struct virtio_ops *ops)
{
	rng->device.ops = ops;
	rng->source = source;
	virtio_init(&rng->device, 1, 0, 0);
}
