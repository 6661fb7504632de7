/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pmem.c: requests of the persistent-memory device. What a guest has written is in its memory until
 * its end, so a flush has nothing to do.
 */
#include "hv/virtio/pmem.h"

enum pmem_field { FIELD_START = 0, FIELD_SIZE = 8, FIELDS_END = 16 };

/* A request that is malformed, or none that exists, fails. Sets *len to the bytes of the answer. */
static int pmem_answer(struct virtio_pmem *pmem, u32 *len)
{
	const struct virtq_chain *chain = &pmem->chain;
	struct virtq_stream in = virtq_readable(chain), out = virtq_writable(chain);
	u32 type = ~0u, result;
	int err = virtq_get(chain, &pmem->device.memory, &in, &type, sizeof(type));

	if (virtio_may_pass(err))
		return err;
	result = err || type != PMEM_FLUSH ? ~0u : 0;
	err = virtq_put(chain, &pmem->device.memory, &out, &result, sizeof(result));
	if (virtio_may_pass(err))
		return err;
	*len = err ? 0 : sizeof(result);
	pmem->flushes += !result;
	pmem->refused += result != 0;
	return 0;
}

static int pmem_request(struct virtio_pmem *pmem)
{
	struct virtq *queue = &pmem->device.queue[0];
	u16 before = queue->next_avail;
	u32 len = 0;
	int popped = virtq_pop(queue, &pmem->device.memory, &pmem->chain), err;

	if (popped <= 0)
		return popped;
	err = pmem_answer(pmem, &len);
	if (!err)
		err = virtq_push(queue, &pmem->device.memory, pmem->chain.head, len);
	if (virtio_may_pass(err))
		queue->next_avail = before;
	return err ? err : 1;
}

int pmem_run(struct virtio_device *device, unsigned queue, unsigned *budget)
{
	struct virtio_pmem *pmem = container_of(device, struct virtio_pmem, device);

	for (; *budget; --*budget) {
		int err = pmem_request(pmem);

		if (err <= 0)
			return err;
	}
	return 1;
}

void pmem_init(struct virtio_pmem *pmem, u64 start, u64 size, const struct virtio_ops *ops)
{
	pmem->device.ops = ops;
	virtio_init(&pmem->device, 1, 0, FIELDS_END);
	virtio_config_set(&pmem->device, FIELD_START, 8, start);
	virtio_config_set(&pmem->device, FIELD_SIZE, 8, size);
}
