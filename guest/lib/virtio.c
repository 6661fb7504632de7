/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.c: the driver of virtio.h.
 */
#include <virtio.h>

#define VENDOR	     0x1af4u
#define FIRST_DEVICE 0x1040u
#define SLOTS	     32u
#define PATIENCE     4000000u /* looks at the used ring */

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc };

static void out16(u16 port, u16 value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void pci_address(unsigned slot, unsigned reg)
{
	out32(PCI_ADDRESS, 1u << 31 | slot << 11 | (reg & 0xfc));
}

u32 pci_read(unsigned slot, unsigned reg, unsigned size)
{
	pci_address(slot, reg);
	return (u32)((u64)in32(PCI_DATA) >> (8 * (reg & 3)) & (BIT(8 * size) - 1));
}

void pci_write(unsigned slot, unsigned reg, unsigned size, u32 value)
{
	u16 port = (u16)(PCI_DATA + (reg & 3));

	pci_address(slot, reg);
	if (size == 1)
		out8(port, (u8)value);
	else if (size == 2)
		out16(port, (u16)value);
	else
		out32(port, value);
}

u32 virtio_read(const struct virtio_device *device, u32 offset, unsigned size)
{
	volatile void *at = (void *)(device->bar[0] + offset);

	if (size == 1)
		return *(volatile u8 *)at;
	return size == 2 ? *(volatile u16 *)at : *(volatile u32 *)at;
}

void virtio_write(const struct virtio_device *device, u32 offset, unsigned size, u64 value)
{
	volatile void *at = (void *)(device->bar[0] + offset);

	if (size == 1)
		*(volatile u8 *)at = (u8)value;
	else if (size == 2)
		*(volatile u16 *)at = (u16)value;
	else if (size == 4)
		*(volatile u32 *)at = (u32)value;
	else
		*(volatile u64 *)at = value;
}

static u64 read_offered(const struct virtio_device *device)
{
	u64 offered = 0;

	for (u32 i = 0; i < 2; i++) {
		virtio_write(device, FEATURE_SELECT, 4, i);
		offered |= (u64)virtio_read(device, FEATURE, 4) << (32 * i);
	}
	return offered;
}

bool virtio_probe(unsigned slot, struct virtio_device *out)
{
	u32 id = pci_read(slot, PCI_ID, 4);

	if ((id & 0xffff) != VENDOR || id >> 16 <= FIRST_DEVICE)
		return false;
	*out = (struct virtio_device){.slot = slot, .type = (id >> 16) - FIRST_DEVICE};
	pci_write(slot, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	out->bar[0] = pci_read(slot, PCI_BAR0, 4) & ~15u;
	if (!out->bar[0]) /* QEMU has the registers in BAR 4 and in the same order */
		out->bar[0] = pci_read(slot, PCI_BAR4, 4) & ~15u;
	out->bar[1] = pci_read(slot, PCI_BAR1, 4) & ~15u;
	out->queues = virtio_read(out, QUEUES, 2);
	out->offered = read_offered(out);
	return true;
}

bool virtio_find(unsigned type, struct virtio_device *out)
{
	for (unsigned slot = 1; slot < SLOTS; slot++) {
		if (virtio_probe(slot, out) && out->type == type)
			return true;
	}
	return false;
}

bool virtio_negotiate(const struct virtio_device *device, u64 features)
{
	virtio_write(device, STATUS, 1, 0);
	virtio_write(device, STATUS, 1, 1);
	virtio_write(device, STATUS, 1, 3);
	for (u32 i = 0; i < 2; i++) {
		virtio_write(device, DRIVER_FEATURE_SELECT, 4, i);
		virtio_write(device, DRIVER_FEATURE, 4, (u32)((features | BIT(32)) >> (32 * i)));
	}
	virtio_write(device, STATUS, 1, STATUS_FEATURES);
	return virtio_read(device, STATUS, 1) == STATUS_FEATURES;
}

static void write_address(const struct virtio_device *device, u32 offset, u64 value)
{
	virtio_write(device, offset, 4, (u32)value);
	virtio_write(device, offset + 4, 4, value >> 32);
}

void virtio_place_queue(const struct virtio_device *device, unsigned number, u64 desc, u64 driver,
			u64 device_area, unsigned size)
{
	virtio_write(device, QUEUE_SELECT, 2, number);
	virtio_write(device, QUEUE_SIZE, 2, size);
	write_address(device, QUEUE_DESC, desc);
	write_address(device, QUEUE_DRIVER, driver);
	write_address(device, QUEUE_DEVICE, device_area);
	virtio_write(device, QUEUE_ENABLE, 2, 1);
}

void virtio_add_queue(const struct virtio_device *device, unsigned number, struct virtio_queue *q)
{
	for (unsigned i = 0; i < sizeof(*q) / 8; i++)
		((volatile u64 *)q)[i] = 0;
	virtio_place_queue(device, number, (u64)q->desc, (u64)&q->avail, (u64)&q->used,
			   VIRTIO_QUEUE_SIZE);
}

void virtio_run(const struct virtio_device *device)
{
	virtio_write(device, STATUS, 1, STATUS_RUNS);
}

void virtio_notify(const struct virtio_device *device, unsigned number)
{
	virtio_write(device, BAR_NOTIFY + 4 * number, 2, number);
}

void virtio_offer(struct virtio_queue *q, u16 head)
{
	u16 index = q->avail.index;

	q->avail.entry[index % VIRTIO_QUEUE_SIZE] = head;
	__atomic_store_n(&q->avail.index, (u16)(index + 1), __ATOMIC_SEQ_CST);
}

bool virtio_await(const struct virtio_queue *q, u16 index)
{
	for (unsigned i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(&q->used.index, __ATOMIC_ACQUIRE) == index)
			return true;
		pause_cpu();
	}
	return false;
}
