/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_world.c: the driver of virtio_world.h.
 */
#include "sim/virtio_world.h"
#include <lib/string.h>

/* Places of a queue, from driver.base on. */
#define AT_AVAIL 0x1000ull
#define AT_USED	 0x2000ull

/* Registers of the common configuration (virtio 1.2, 4.1.4.3). */
enum {
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	COMMON_VECTOR = 16,
	STATUS = 20,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
};

u8 driver_ram[DRIVER_RAM] __aligned(PAGE_SIZE);
unsigned driver_fail_every, driver_maps, driver_mapped;
unsigned driver_messages, driver_wires;
u32 driver_data;

static int map(void *context, struct gpa gpa, size_t len, bool write, void **out)
{
	CHECK(!driver_mapped && len && len <= PAGE_SIZE - page_offset(gpa.raw));
	driver_maps = driver_maps * 1103515245 + 12345;
	if (driver_fail_every && (driver_maps >> 16) % driver_fail_every == 0)
		return ERR_NO_MEMORY;
	if (gpa.raw >= DRIVER_RAM || len > DRIVER_RAM - gpa.raw)
		return ERR_RANGE;
	driver_mapped++;
	*out = &driver_ram[gpa.raw];
	return 0;
}

static void unmap(void *context, struct gpa gpa)
{
	CHECK(driver_mapped == 1);
	driver_mapped--;
}

const struct virtio_memory driver_memory = {map, unmap, NULL};

static void message(void *context, u32 address, u32 data)
{
	driver_messages++;
	driver_data = data;
}

static void follow(void *context, unsigned wire)
{
	driver_wires++;
}

static const struct pci_board board = {message, follow};
static struct pci bus = {.board = &board};

void driver_attach(struct driver *driver, struct virtio_device *device)
{
	memset(driver_ram, 0, sizeof(driver_ram));
	driver_messages = driver_wires = driver_fail_every = driver_maps = driver_mapped = 0;
	*driver = (struct driver){.device = device, .base = DRIVER_BASE};
	device->pci.bus = &bus;
	driver_config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

u32 driver_read(struct driver *driver, u32 offset, unsigned size)
{
	struct pci_function *function = &driver->device->pci;
	u32 value;

	spin_lock(&function->lock);
	value = pci_function_bar_read(function, 0, offset, size);
	pci_unlock(function);
	return value;
}

void driver_write(struct driver *driver, u32 offset, unsigned size, u32 value)
{
	struct pci_function *function = &driver->device->pci;

	spin_lock(&function->lock);
	pci_function_bar_write(function, 0, offset, size, value);
	pci_unlock(function);
}

u32 driver_config_read(struct driver *driver, unsigned reg, unsigned size)
{
	struct pci_function *function = &driver->device->pci;
	u32 value;

	spin_lock(&function->lock);
	value = pci_function_config_read(function, reg, size);
	pci_unlock(function);
	return value;
}

void driver_config_write(struct driver *driver, unsigned reg, unsigned size, u32 value)
{
	struct pci_function *function = &driver->device->pci;

	spin_lock(&function->lock);
	pci_function_config_write(function, reg, size, value);
	pci_unlock(function);
}

static void write_address(struct driver *driver, u32 offset, u64 value)
{
	driver_write(driver, offset, 4, (u32)value);
	driver_write(driver, offset + 4, 4, (u32)(value >> 32));
}

static void place_queue(struct driver *driver, unsigned size, bool msix)
{
	driver->desc = driver->base;
	driver->avail = driver->base + AT_AVAIL;
	driver->used = driver->base + AT_USED;
	driver->size = size;
	driver->next_desc = driver->avail_idx = driver->seen_used = 0;
	memset(&driver_ram[driver->base], 0, DRIVER_QUEUE_BYTES);
	driver_write(driver, QUEUE_SELECT, 2, driver->number);
	driver_write(driver, QUEUE_SIZE, 2, size);
	if (msix)
		driver_write(driver, QUEUE_VECTOR, 2, driver->number + 1);
	write_address(driver, QUEUE_DESC, driver->desc);
	write_address(driver, QUEUE_DRIVER, driver->avail);
	write_address(driver, QUEUE_DEVICE, driver->used);
	driver_write(driver, QUEUE_ENABLE, 2, 1);
}

/* Vector n has data 40h + n. */
static void enable_msix(struct driver *driver)
{
	struct pci_function *function = &driver->device->pci;

	spin_lock(&function->lock);
	for (unsigned i = 0; i < function->vectors; i++) {
		pci_function_bar_write(function, 1, 16 * i, 4, 0xfee00000);
		pci_function_bar_write(function, 1, 16 * i + 8, 4, 0x40 + i);
		pci_function_bar_write(function, 1, 16 * i + 12, 4, 0);
	}
	pci_unlock(function);
	driver_config_write(driver, function->msix + 2, 2, BIT(15));
}

void driver_start(struct driver *driver, u64 features, unsigned size, bool msix)
{
	driver_write(driver, STATUS, 1, 0);
	if (msix)
		enable_msix(driver);
	driver_write(driver, STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		driver_write(driver, DRIVER_FEATURE_SELECT, 4, i);
		driver_write(driver, DRIVER_FEATURE, 4, (u32)(features >> (32 * i)));
	}
	driver_write(driver, STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	if (msix)
		driver_write(driver, COMMON_VECTOR, 2, 0);
	place_queue(driver, size, msix);
	driver_write(driver, STATUS, 1,
		     VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
	(void)driver_work(driver);
}

void driver_add_queue(const struct driver *first, unsigned number, struct driver *out)
{
	*out = (struct driver){.device = first->device,
			       .number = number,
			       .base = first->base + number * DRIVER_QUEUE_BYTES};
	place_queue(out, first->size, true);
}

void driver_put(u64 at, unsigned size, u64 value)
{
	memcpy(&driver_ram[at], &value, size);
}

u64 driver_get(u64 at, unsigned size)
{
	u64 value = 0;

	memcpy(&value, &driver_ram[at], size);
	return value;
}

void driver_desc(u64 table, unsigned index, u64 addr, u32 len, u16 flags, u16 next)
{
	u64 at = table + 16ull * index;

	driver_put(at, 8, addr);
	driver_put(at + 8, 4, len);
	driver_put(at + 12, 2, flags);
	driver_put(at + 14, 2, next);
}

void driver_offer(struct driver *driver, u16 head)
{
	driver_put(driver->avail + 4 + 2ull * (driver->avail_idx % driver->size), 2, head);
	driver_put(driver->avail + 2, 2, ++driver->avail_idx);
}

unsigned driver_work(struct driver *driver)
{
	struct pci_function *function = &driver->device->pci;
	unsigned pieces = 0;

	for (; function->work && pieces < 10000; pieces++) {
		spin_lock(&function->lock);
		(void)function->ops->work(function);
		pci_unlock(function);
	}
	return pieces;
}

unsigned driver_kick(struct driver *driver)
{
	driver_write(driver, VIRTIO_NOTIFY + VIRTIO_NOTIFY_STEP * driver->number, 2, 0);
	return driver_work(driver);
}

unsigned driver_crowd(struct driver *driver, u16 flags, unsigned chains)
{
	for (unsigned i = 0; i < driver->size; i++)
		driver_desc(driver->desc, i, DRIVER_BASE, 0,
			    (u16)(flags | (i + 1 < driver->size ? F_NEXT : 0)), (u16)(i + 1));
	for (unsigned i = 0; i < chains; i++)
		driver_offer(driver, 0);
	return driver_kick(driver);
}

unsigned driver_used(struct driver *driver)
{
	u16 now = (u16)driver_get(driver->used + 2, 2), new = (u16)(now - driver->seen_used);

	driver->seen_used = now;
	return new;
}
