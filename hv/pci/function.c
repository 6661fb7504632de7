/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function.c: config space, BARs and MSI-X of a function.
 *
 * Config space is two tables of bytes: the content, and the bits that a guest may change. So a
 * BAR's size is found as on a real bus: the bits below it do not change.
 *
 * MSIX-1  A vector that is raised while masked is pending, once however often it was raised, and is
 *         sent when neither mask is left.
 */
#include <hv/pci.h>
#include <ck_pr.h>
#include <lib/error.h>

#define STATUS_INTERRUPT    BIT(3)
#define STATUS_CAPABILITIES BIT(4)
#define CAPABILITY_MSIX	    0x11
#define FIRST_CAPABILITY    0x40
#define MSIX_BAR	    1
#define MSIX_BAR_SIZE	    0x1000u
#define MSIX_PENDING	    0x800u
#define MSIX_ENABLE	    BIT(15)
#define MSIX_MASK_ALL	    BIT(14)
#define MSIX_CONTROL	    2 /* place in the capability */
#define MSIX_MASKED	    BIT(0)

u32 pci_config_get(const struct pci_function *function, unsigned reg, unsigned size)
{
	u32 value = 0;

	for (unsigned i = 0; i < size && reg + i < PCI_CONFIG_SIZE; i++)
		value |= (u32)function->config[reg + i] << (8 * i);
	return value;
}

void pci_config_set(struct pci_function *function, unsigned reg, unsigned size, u32 value)
{
	for (unsigned i = 0; i < size && reg + i < PCI_CONFIG_SIZE; i++)
		function->config[reg + i] = (u8)(value >> (8 * i));
}

static void set_writable(struct pci_function *function, unsigned reg, unsigned size, u32 mask)
{
	for (unsigned i = 0; i < size && reg + i < PCI_CONFIG_SIZE; i++)
		function->writable[reg + i] = (u8)(mask >> (8 * i));
}

unsigned pci_add_capability(struct pci_function *function, u8 id, unsigned size)
{
	unsigned at =
		function->capabilities ? ALIGN_UP(function->capabilities, 4u) : FIRST_CAPABILITY;
	unsigned link = PCI_CAPABILITIES;

	while (function->config[link])
		link = function->config[link] + 1u;
	CHECK(at + size <= PCI_CONFIG_SIZE);
	function->config[link] = (u8)at;
	function->config[at] = id;
	function->config[PCI_STATUS] |= STATUS_CAPABILITIES;
	function->capabilities = at + size;
	return at;
}

static void add_msix(struct pci_function *function)
{
	unsigned at = pci_add_capability(function, CAPABILITY_MSIX, 12);

	pci_config_set(function, at + MSIX_CONTROL, 2, function->vectors - 1);
	set_writable(function, at + MSIX_CONTROL, 2, MSIX_ENABLE | MSIX_MASK_ALL);
	pci_config_set(function, at + 4, 4, MSIX_BAR);
	pci_config_set(function, at + 8, 4, MSIX_PENDING | MSIX_BAR);
	function->msix = at;
	for (unsigned i = 0; i < function->vectors; i++)
		function->table[i].control = MSIX_MASKED;
}

void pci_function_init(struct pci_function *function, const struct pci_ops *ops,
		       const struct pci_identity *identity, u32 bar_size, unsigned vectors)
{
	CHECK(vectors > 0 && vectors <= PCI_VECTORS_MAX);
	function->ops = ops;
	function->vectors = vectors;
	function->bar_size[0] = bar_size;
	function->bar_size[MSIX_BAR] = MSIX_BAR_SIZE;
	spin_init(&function->lock, LOCK_PCI, "pci");
	pci_config_set(function, PCI_VENDOR, 2, identity->vendor);
	pci_config_set(function, PCI_DEVICE, 2, identity->device);
	pci_config_set(function, PCI_REVISION, 1, identity->revision);
	pci_config_set(function, PCI_CLASS, 3, identity->class);
	pci_config_set(function, PCI_SUBSYSTEM_VENDOR, 2, identity->vendor);
	pci_config_set(function, PCI_SUBSYSTEM, 2, identity->subsystem);
	pci_config_set(function, PCI_INTERRUPT_PIN, 1, 1);
	set_writable(function, PCI_COMMAND, 2,
		     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF);
	set_writable(function, PCI_INTERRUPT_LINE, 1, 0xff);
	for (unsigned i = 0; i < PCI_BARS; i++)
		set_writable(function, PCI_BAR + 4 * i, 4, ~(function->bar_size[i] - 1));
	add_msix(function);
}

static u32 msix_control(const struct pci_function *function)
{
	return pci_config_get(function, function->msix + MSIX_CONTROL, 2);
}

bool pci_uses_msix(const struct pci_function *function)
{
	return msix_control(function) & MSIX_ENABLE;
}

static bool is_masked(const struct pci_function *function, unsigned vector)
{
	return msix_control(function) & MSIX_MASK_ALL ||
	       function->table[vector].control & MSIX_MASKED;
}

void pci_raise(struct pci_function *function, unsigned vector)
{
	if (vector < function->vectors && pci_uses_msix(function))
		function->pending |= (u32)BIT(vector);
}

/* MSIX-1. */
static void fire_unmasked(struct pci_function *function)
{
	if (!pci_uses_msix(function))
		return;
	for (unsigned i = 0; i < function->vectors; i++) {
		if (!(function->pending & BIT(i)) || is_masked(function, i))
			continue;
		function->pending &= (u32)~BIT(i);
		function->fire |= (u32)BIT(i);
	}
}

/* True: the wire has another level now. */
static bool drive_wire(struct pci_function *function)
{
	u32 command = pci_config_get(function, PCI_COMMAND, 2);
	u32 level = function->intx && !pci_uses_msix(function) && !(command & PCI_COMMAND_INTX_OFF);
	bool moved = level != ck_pr_load_32(&function->wire);

	ck_pr_store_32(&function->wire, level);
	function->config[PCI_STATUS] = (u8)((function->config[PCI_STATUS] & ~STATUS_INTERRUPT) |
					    (function->intx ? STATUS_INTERRUPT : 0));
	return moved;
}

void pci_unlock(struct pci_function *function)
{
	struct msix_entry message[PCI_VECTORS_MAX];
	const struct pci *bus = function->bus;
	u32 others = function->others;
	unsigned count = 0;
	bool moved;

	fire_unmasked(function);
	for (unsigned i = 0; i < function->vectors; i++) {
		if (function->fire & BIT(i))
			message[count++] = function->table[i];
	}
	function->fire = function->others = 0;
	moved = drive_wire(function);
	spin_unlock(&function->lock);
	for (unsigned i = 0; i < count; i++)
		bus->board->message(bus->context, message[i].address_low, message[i].data);
	if (moved)
		bus->board->follow(bus->context, function->slot % PCI_IRQS);
	if (others)
		function->ops->wake(function, others);
}

/* Where each BAR is decoded now. */
static void place_bars(struct pci_function *function)
{
	bool decodes = function->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		u32 at = pci_config_get(function, PCI_BAR + 4 * i, 4) & ~15u;

		ck_pr_store_32(&function->bar[i], decodes ? at : 0);
	}
}

u32 pci_function_config_read(struct pci_function *function, unsigned reg, unsigned size)
{
	if (function->ops->config_reads)
		function->ops->config_reads(function, reg, size);
	return pci_config_get(function, reg, size);
}

/* PCI-2. */
void pci_function_config_write(struct pci_function *function, unsigned reg, unsigned size,
			       u32 value)
{
	for (unsigned i = 0; i < size && reg + i < PCI_CONFIG_SIZE; i++) {
		u8 mask = function->writable[reg + i], byte = (u8)(value >> (8 * i));

		function->config[reg + i] =
			(u8)((function->config[reg + i] & ~mask) | (byte & mask));
	}
	place_bars(function);
	if (function->ops->config_written)
		function->ops->config_written(function, reg, size);
}

static u32 *msix_word(struct pci_function *function, u32 offset)
{
	unsigned number = offset / sizeof(struct msix_entry);
	struct msix_entry *entry;

	if (number >= function->vectors)
		return NULL;
	entry = &function->table[number];
	return (u32 *[]){&entry->address_low, &entry->address_high, &entry->data,
			 &entry->control}[offset / 4 % 4];
}

/* Dwords; a narrower read is a part of one (PCI 3.0, 6.8.3.2). */
static u32 msix_read(struct pci_function *function, u32 offset, unsigned size)
{
	u32 *word = msix_word(function, offset), value = word ? *word : 0;

	if (ALIGN_DOWN(offset, 4u) == MSIX_PENDING)
		value = function->pending;
	value >>= 8 * (offset & 3);
	return size == 4 ? value : value & (u32)BITS(8 * size - 1, 0);
}

static void msix_write(struct pci_function *function, u32 offset, unsigned size, u32 value)
{
	u32 *word = msix_word(function, offset);

	if (!word || size != 4 || offset % 4)
		return;
	*word = word == &function->table[offset / 16].control ? value & MSIX_MASKED : value;
}

u32 pci_function_bar_read(struct pci_function *function, unsigned bar, u32 offset, unsigned size)
{
	return bar == MSIX_BAR ? msix_read(function, offset, size)
			       : function->ops->bar_read(function, offset, size);
}

void pci_function_bar_write(struct pci_function *function, unsigned bar, u32 offset, unsigned size,
			    u32 value)
{
	if (bar == MSIX_BAR)
		msix_write(function, offset, size, value);
	else
		function->ops->bar_write(function, offset, size, value);
}

int pci_attach(struct pci *pci, struct vm *vm, struct pci_function *function)
{
	unsigned slot = 1;
	u32 at;

	while (slot < PCI_SLOTS && pci->function[slot])
		slot++;
	if (slot == PCI_SLOTS)
		return ERR_RANGE;
	function->vm = vm;
	function->bus = pci;
	function->slot = slot;
	at = (u32)PCI_WINDOW_START + slot * PCI_SLOT_WINDOW;
	pci_config_set(function, PCI_BAR, 4, at);
	pci_config_set(function, PCI_BAR + 4, 4, at + PCI_SLOT_WINDOW / 2);
	pci_config_set(function, PCI_INTERRUPT_LINE, 1, PCI_IRQ_FIRST + slot % PCI_IRQS);
	pci->function[slot] = function;
	return 0;
}

void pci_fix_lines(struct pci *pci)
{
	for (unsigned i = 1; i < PCI_SLOTS && pci->function[i]; i++)
		set_writable(pci->function[i], PCI_INTERRUPT_LINE, 1, 0);
}
