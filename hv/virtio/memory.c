/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: copies between a device and guest memory.
 */
#include "hv/virtio/memory.h"
#include <ck_pr.h>
#include <lib/race.h>
#include <lib/string.h>

int virtio_read(const struct virtio_memory *memory, u64 gpa, void *to, size_t len)
{
	char *at = to;
	void *page;

	for (size_t bytes; len; gpa += bytes, at += bytes, len -= bytes) {
		int err;

		bytes = virtio_piece(gpa, len);
		err = memory->map(memory->context, (struct gpa){gpa}, bytes, false, &page);
		if (err)
			return err;
		RACE_POINT("virtio: reads a page");
		memcpy(at, page, bytes);
		memory->unmap(memory->context, (struct gpa){gpa});
	}
	return 0;
}

int virtio_write(const struct virtio_memory *memory, u64 gpa, const void *from, size_t len)
{
	const char *at = from;
	void *page;

	for (size_t bytes; len; gpa += bytes, at += bytes, len -= bytes) {
		int err;

		bytes = virtio_piece(gpa, len);
		err = memory->map(memory->context, (struct gpa){gpa}, bytes, true, &page);
		if (err)
			return err;
		RACE_POINT("virtio: writes a page");
		memcpy(page, at, bytes);
		memory->unmap(memory->context, (struct gpa){gpa});
	}
	return 0;
}

int virtio_load16(const struct virtio_memory *memory, u64 gpa, u16 *out)
{
	void *field;
	int err = memory->map(memory->context, (struct gpa){gpa}, sizeof(*out), false, &field);

	if (err)
		return err;
	RACE_POINT("virtio: loads a field");
	*out = ck_pr_load_16((const u16 *)field);
	memory->unmap(memory->context, (struct gpa){gpa});
	return 0;
}

int virtio_store16(const struct virtio_memory *memory, u64 gpa, u16 value)
{
	void *field;
	int err = memory->map(memory->context, (struct gpa){gpa}, sizeof(value), true, &field);

	if (err)
		return err;
	RACE_POINT("virtio: stores a field");
	ck_pr_store_16((u16 *)field, value);
	memory->unmap(memory->context, (struct gpa){gpa});
	return 0;
}
