/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.c: the registers of a virtio device over PCI. device.h has the map.
 *
 * The common configuration is a table of fields: place, width, and what reads and writes one. An
 * access must match a field, or a half of a 64-bit one (4.1.3.1); any other reads 0 and is lost.
 */
#include "hv/virtio/device.h"
#include <ck_pr.h>

#define VENDOR		  0x1af4
#define FIRST_DEVICE	  0x1040
#define CAPABILITY_VENDOR 0x09
#define CAPABILITY_SIZE	  16
#define CAPABILITY_LARGE  20
#define ACCESS_BAR	  4 /* places in the configuration access capability */
#define ACCESS_OFFSET	  8
#define ACCESS_LENGTH	  12
#define ACCESS_DATA	  16
#define ISR_QUEUE	  1
#define ISR_CONFIG	  2

enum capability_type { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI };

/* The places of the structures, as capabilities (4.1.4). */
static const struct {
	enum capability_type type;
	unsigned size;
	u32 offset, length;
} capabilities[] = {
	{CAP_COMMON, CAPABILITY_SIZE, VIRTIO_COMMON, 0x1000},
	{CAP_ISR, CAPABILITY_SIZE, VIRTIO_ISR, 0x1000},
	{CAP_DEVICE, CAPABILITY_SIZE, VIRTIO_CONFIG, 0x1000},
	{CAP_NOTIFY, CAPABILITY_LARGE, VIRTIO_NOTIFY, 0x1000},
	{CAP_PCI, CAPABILITY_LARGE, 0, 0},
};

/* A queue has something to do. */
static void virtio_kick(struct virtio_device *device, unsigned queue)
{
	ck_pr_or_32(&device->pci.work, (u32)BIT(queue));
}

static void raise(struct virtio_device *device, u16 vector, u8 isr)
{
	if (pci_uses_msix(&device->pci)) {
		pci_raise(&device->pci, vector);
		return;
	}
	device->isr |= isr;
	device->pci.intx = true;
}

void virtio_config_changed(struct virtio_device *device)
{
	device->generation++;
	if (device->status & VIRTIO_DRIVER_OK)
		raise(device, device->config_vector, ISR_CONFIG);
}

static void needs_reset(struct virtio_device *device)
{
	device->malformed++;
	device->status |= VIRTIO_NEEDS_RESET;
	virtio_config_changed(device);
}

static void reset(struct virtio_device *device)
{
	device->status = device->isr = 0;
	device->accepted = 0;
	device->offered_select = device->accepted_select = 0;
	device->queue_select = 0;
	device->config_vector = VIRTIO_NO_VECTOR;
	for (unsigned i = 0; i < device->queues; i++)
		device->queue[i] =
			(struct virtq){.size = VIRTQ_SIZE_MAX, .vector = VIRTIO_NO_VECTOR};
	device->pci.intx = false;
	ck_pr_store_32(&device->pci.work, 0);
	if (device->ops->reset)
		device->ops->reset(device);
}

/* VIRTIO-1, and the queues as the negotiated features have them. */
static void set_status(struct virtio_device *device, u8 value)
{
	bool version_1 = device->accepted & VIRTIO_F_VERSION_1;

	if (!value) {
		reset(device);
		return;
	}
	if (value & VIRTIO_FEATURES_OK && (device->accepted & ~device->offered || !version_1))
		value &= (u8)~VIRTIO_FEATURES_OK;
	device->status = value | (device->status & VIRTIO_NEEDS_RESET);
	for (unsigned i = 0; value & VIRTIO_DRIVER_OK && i < device->queues; i++) {
		device->queue[i].event_index = virtio_accepted(device, VIRTIO_F_EVENT_IDX);
		device->queue[i].indirect = virtio_accepted(device, VIRTIO_F_INDIRECT_DESC);
		virtio_kick(device, i);
	}
}

static struct virtq *selected(struct virtio_device *device)
{
	return device->queue_select < device->queues ? &device->queue[device->queue_select] : NULL;
}

enum common_field {
	OFFERED_SELECT = 0x00,
	OFFERED = 0x04,
	ACCEPTED_SELECT = 0x08,
	ACCEPTED = 0x0c,
	COMMON_VECTOR = 0x10,
	QUEUES = 0x12,
	STATUS = 0x14,
	GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	COMMON_SIZE = 0x38,
};

/* The width of each field's accesses by its offset; 0: no field begins there. */
static const u8 widths[COMMON_SIZE] = {
	[OFFERED_SELECT] = 4, [OFFERED] = 4,	      [ACCEPTED_SELECT] = 4,  [ACCEPTED] = 4,
	[COMMON_VECTOR] = 2,  [QUEUES] = 2,	      [STATUS] = 1,	      [GENERATION] = 1,
	[QUEUE_SELECT] = 2,   [QUEUE_SIZE] = 2,	      [QUEUE_VECTOR] = 2,     [QUEUE_ENABLE] = 2,
	[QUEUE_NOTIFY] = 2,   [QUEUE_DESC] = 4,	      [QUEUE_DESC + 4] = 4,   [QUEUE_DRIVER] = 4,
	[QUEUE_DEVICE] = 4,   [QUEUE_DRIVER + 4] = 4, [QUEUE_DEVICE + 4] = 4,
};

static u32 half(u64 value, u32 select)
{
	return select < 2 ? (u32)(value >> (32 * select)) : 0;
}

static void set_half(u64 *value, u32 select, u32 half)
{
	u64 mask = 0xffffffffull << (32 * select);

	*value = (*value & ~mask) | (u64)half << (32 * select);
}

static u32 read_queue(const struct virtio_device *device, const struct virtq *queue, u32 offset)
{
	switch (offset) {
	case QUEUE_SIZE:
		return queue->size;
	case QUEUE_VECTOR:
		return queue->vector;
	case QUEUE_ENABLE:
		return queue->enabled;
	case QUEUE_NOTIFY:
		return device->queue_select;
	case QUEUE_DESC:
	case QUEUE_DESC + 4:
		return half(queue->desc, offset / 4 % 2);
	case QUEUE_DRIVER:
	case QUEUE_DRIVER + 4:
		return half(queue->driver, offset / 4 % 2);
	case QUEUE_DEVICE:
	case QUEUE_DEVICE + 4:
		return half(queue->device, offset / 4 % 2);
	default:
		return 0;
	}
}

static u32 read_common(struct virtio_device *device, u32 offset)
{
	const struct virtq *queue = selected(device);

	switch (offset) {
	case OFFERED_SELECT:
		return device->offered_select;
	case OFFERED:
		return half(device->offered, device->offered_select);
	case ACCEPTED_SELECT:
		return device->accepted_select;
	case ACCEPTED:
		return half(device->accepted, device->accepted_select);
	case COMMON_VECTOR:
		return device->config_vector;
	case QUEUES:
		return device->queues;
	case STATUS:
		return device->status;
	case GENERATION:
		return device->generation;
	case QUEUE_SELECT:
		return device->queue_select;
	default:
		return queue ? read_queue(device, queue, offset) : 0;
	}
}

static u16 valid_vector(const struct virtio_device *device, u32 value)
{
	return value < device->pci.vectors ? (u16)value : VIRTIO_NO_VECTOR;
}

static void enable_queue(struct virtio_device *device, struct virtq *queue)
{
	if (!(device->status & VIRTIO_FEATURES_OK) || !virtq_is_valid(queue)) {
		needs_reset(device);
		return;
	}
	queue->enabled = true;
}

/* VIRTIO-3. */
static void write_queue(struct virtio_device *device, struct virtq *queue, u32 offset, u32 value)
{
	if (offset == QUEUE_VECTOR)
		queue->vector = valid_vector(device, value);
	if (offset == QUEUE_VECTOR || queue->enabled)
		return;
	switch (offset) {
	case QUEUE_SIZE:
		if (value && value <= VIRTQ_SIZE_MAX && !(value & (value - 1)))
			queue->size = (u16)value;
		break;
	case QUEUE_ENABLE:
		if (value == 1)
			enable_queue(device, queue);
		break;
	case QUEUE_DESC:
	case QUEUE_DESC + 4:
		set_half(&queue->desc, offset / 4 % 2, value);
		break;
	case QUEUE_DRIVER:
	case QUEUE_DRIVER + 4:
		set_half(&queue->driver, offset / 4 % 2, value);
		break;
	case QUEUE_DEVICE:
	case QUEUE_DEVICE + 4:
		set_half(&queue->device, offset / 4 % 2, value);
		break;
	default:
		break;
	}
}

static void write_common(struct virtio_device *device, u32 offset, u32 value)
{
	struct virtq *queue = selected(device);

	switch (offset) {
	case OFFERED_SELECT:
		device->offered_select = value;
		break;
	case ACCEPTED_SELECT:
		device->accepted_select = value;
		break;
	case ACCEPTED:
		if (device->accepted_select < 2 && !(device->status & VIRTIO_FEATURES_OK))
			set_half(&device->accepted, device->accepted_select, value);
		break;
	case COMMON_VECTOR:
		device->config_vector = valid_vector(device, value);
		break;
	case STATUS:
		set_status(device, (u8)value);
		break;
	case QUEUE_SELECT:
		device->queue_select = (u16)value;
		break;
	default:
		if (queue)
			write_queue(device, queue, offset, value);
		break;
	}
}

/* Lock held. */
static u64 virtio_config_get(const struct virtio_device *device, u32 offset, unsigned size)
{
	u64 value = 0;

	for (unsigned i = 0; i < size && offset + i < device->config_size; i++)
		value |= (u64)device->config[offset + i] << (8 * i);
	return value;
}

void virtio_config_set(struct virtio_device *device, u32 offset, unsigned size, u64 value)
{
	for (unsigned i = 0; i < size && offset + i < device->config_size; i++)
		device->config[offset + i] = (u8)(value >> (8 * i));
}

static void write_config(struct virtio_device *device, u32 offset, unsigned size, u32 value)
{
	for (unsigned i = 0; i < size && offset + i < device->config_size; i++) {
		u8 mask = device->config_writable[offset + i], byte = (u8)(value >> (8 * i));

		device->config[offset + i] =
			(u8)((device->config[offset + i] & ~mask) | (byte & mask));
	}
	if (device->ops->config_written)
		device->ops->config_written(device, offset);
}

/* A read of the ISR clears it and ends the interrupt (4.1.4.5). */
static u32 read_isr(struct virtio_device *device)
{
	u8 isr = device->isr;

	device->isr = 0;
	device->pci.intx = false;
	return isr;
}

/* A narrower read is the field's low bytes: iPXE reads features so, 16 bits of 32. */
static u32 read_field(struct virtio_device *device, u32 offset, unsigned size)
{
	return size <= widths[offset] ? read_common(device, offset) & (u32)BITS(8 * size - 1, 0)
				      : 0;
}

static u32 bar_read(struct pci_function *function, u32 offset, unsigned size)
{
	struct virtio_device *device = virtio_of(function);

	if (offset < VIRTIO_COMMON + COMMON_SIZE)
		return read_field(device, offset, size);
	if (offset == VIRTIO_ISR)
		return read_isr(device);
	if (offset >= VIRTIO_CONFIG && offset < VIRTIO_NOTIFY)
		return (u32)virtio_config_get(device, offset - VIRTIO_CONFIG, size);
	return 0;
}

static void bar_write(struct pci_function *function, u32 offset, unsigned size, u32 value)
{
	struct virtio_device *device = virtio_of(function);
	u32 queue = (offset - VIRTIO_NOTIFY) / VIRTIO_NOTIFY_STEP;

	if (offset < VIRTIO_COMMON + COMMON_SIZE) {
		if (widths[offset] == size)
			write_common(device, offset, value);
	} else if (offset >= VIRTIO_NOTIFY) {
		if (queue < device->queues)
			virtio_kick(device, queue);
	} else if (offset >= VIRTIO_CONFIG) {
		write_config(device, offset - VIRTIO_CONFIG, size, value);
	}
}

/*
 * The window of the configuration access capability (4.1.4.9): a driver without BARs names place
 * and width in the capability, and the access happens with that to its data. False: not so.
 */
static bool access_window(const struct virtio_device *device, unsigned reg, u32 *offset,
			  unsigned *length)
{
	const struct pci_function *function = &device->pci;
	unsigned at = device->access;

	*offset = pci_config_get(function, at + ACCESS_OFFSET, 4);
	*length = pci_config_get(function, at + ACCESS_LENGTH, 4);
	return reg == at + ACCESS_DATA && pci_config_get(function, at + ACCESS_BAR, 1) == 0 &&
	       (*length == 1 || *length == 2 || *length == 4) &&
	       *offset <= VIRTIO_BAR_SIZE - *length && *offset % *length == 0;
}

static void config_reads(struct pci_function *function, unsigned reg, unsigned size)
{
	struct virtio_device *device = virtio_of(function);
	unsigned length;
	u32 offset;

	if (access_window(device, reg, &offset, &length))
		pci_config_set(function, reg, 4, bar_read(function, offset, length));
}

static void config_written(struct pci_function *function, unsigned reg, unsigned size)
{
	struct virtio_device *device = virtio_of(function);
	unsigned length;
	u32 offset;

	if (access_window(device, reg, &offset, &length))
		bar_write(function, offset, length, pci_config_get(function, reg, length));
}

/* VIRTIO-2. */
static bool may_run(const struct virtio_device *device)
{
	return device->status & VIRTIO_DRIVER_OK && !(device->status & VIRTIO_NEEDS_RESET) &&
	       device->pci.config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

static int run_queue(struct virtio_device *device, unsigned number, unsigned *budget)
{
	struct virtq *queue = &device->queue[number];
	int err = device->ops->run(device, number, budget), seen;
	bool needed = false;

	seen = virtq_needs_interrupt(queue, &device->memory, &needed);
	if (needed)
		raise(device, queue->vector, ISR_QUEUE);
	return err < 0 || !seen ? err : seen;
}

/*
 * A queue's bit is cleared before its ring is read: a notification that comes meanwhile sets it
 * again. What is left keeps its bit.
 */
static int work(struct pci_function *function)
{
	struct virtio_device *device = virtio_of(function);
	unsigned budget = VIRTIO_BUDGET;
	int err = 0;

	for (unsigned n = 0; n < device->queues && !virtio_may_pass(err); n++) {
		unsigned i = (device->turn + n) % device->queues;
		u32 bit = (u32)BIT(i);

		if (!(ck_pr_load_32(&function->work) & bit))
			continue;
		ck_pr_and_32(&function->work, ~bit);
		if (!may_run(device) || !device->queue[i].enabled)
			continue;
		err = run_queue(device, i, &budget);
		if (err > 0 || virtio_may_pass(err))
			virtio_kick(device, i);
		else if (err < 0)
			needs_reset(device);
	}
	device->turn = (u8)((device->turn + 1) % device->queues);
	return err == ERR_NO_MEMORY ? err : 0;
}

static void wake(struct pci_function *function, u32 others)
{
	struct virtio_device *device = virtio_of(function);

	device->ops->wake(device, others);
}

static void destroy(struct pci_function *function)
{
	struct virtio_device *device = virtio_of(function);

	device->ops->destroy(device);
}

static const struct pci_ops virtio_pci = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_reads = config_reads,
	.config_written = config_written,
	.work = work,
	.wake = wake,
	.destroy = destroy,
};

static void add_capabilities(struct virtio_device *device)
{
	struct pci_function *function = &device->pci;

	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
		unsigned at = pci_add_capability(function, CAPABILITY_VENDOR, capabilities[i].size);

		pci_config_set(function, at + 2, 1, capabilities[i].size);
		pci_config_set(function, at + 3, 1, capabilities[i].type);
		pci_config_set(function, at + ACCESS_OFFSET, 4, capabilities[i].offset);
		pci_config_set(function, at + ACCESS_LENGTH, 4, capabilities[i].length);
		if (capabilities[i].type == CAP_NOTIFY)
			pci_config_set(function, at + 16, 4, VIRTIO_NOTIFY_STEP);
		if (capabilities[i].type != CAP_PCI)
			continue;
		device->access = at;
		function->writable[at + ACCESS_BAR] = 0xff;
		for (unsigned byte = ACCESS_OFFSET; byte < CAPABILITY_LARGE; byte++)
			function->writable[at + byte] = 0xff;
	}
}

void virtio_init(struct virtio_device *device, unsigned queues, u64 features, unsigned config_size)
{
	const struct virtio_ops *ops = device->ops;
	const struct pci_identity identity = {
		.vendor = VENDOR,
		.device = (u16)(FIRST_DEVICE + ops->type),
		.class = ops->class,
		.subsystem = (u16)ops->type,
		.revision = 1,
	};

	CHECK(queues <= VIRTIO_QUEUES_MAX && config_size <= VIRTIO_CONFIG_MAX);
	device->queues = queues;
	device->config_size = config_size;
	device->offered = features | VIRTIO_F_COMMON;
	pci_function_init(&device->pci, &virtio_pci, &identity, VIRTIO_BAR_SIZE, queues + 1);
	add_capabilities(device);
	reset(device);
}
