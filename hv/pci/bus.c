/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.c: the bus of pci.h: which function an access is for. Its host bridge is bus 0, device 0,
 * function 0; without one systems doubt that the bus is there at all, and say so.
 */
#include <hv/pci.h>
#include <ck_pr.h>
#include <hv/vcpu.h>
#include <lib/error.h>

#define ADDRESS_ENABLE	 BIT(31)
#define ADDRESS_BUS	 0xff0000u
#define ADDRESS_SLOT(a)	 ((a) >> 11 & 31)
#define ADDRESS_FUNCTION 0x700u
#define ADDRESS_REGISTER 0xfcu

void pci_init(struct pci *pci, const struct pci_board *board, void *context)
{
	*pci = (struct pci){.board = board, .context = context};
}

bool pci_wire(const struct pci *pci, unsigned wire)
{
	bool level = false;

	for (unsigned i = wire; i < PCI_SLOTS; i += PCI_IRQS) {
		if (pci->function[i])
			level |= ck_pr_load_32(&pci->function[i]->wire);
	}
	return level;
}

void pci_destroy(struct pci *pci)
{
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		if (pci->function[i])
			pci->function[i]->ops->destroy(pci->function[i]);
		pci->function[i] = NULL;
	}
}

u8 pci_read(const struct pci *pci, u16 port)
{
	return (u8)(ck_pr_load_32(&pci->address) >> (8 * (port & 3)));
}

void pci_write(struct pci *pci, u16 port, u8 value)
{
	unsigned shift = 8 * (port & 3);

	ck_pr_store_32(&pci->address, (pci->address & ~(0xffu << shift)) | (u32)value << shift);
}

/* Vendor 1b36h, device 0008h (a host bridge of no vendor's chipset), class 06h. */
static u32 read_bridge(unsigned reg, unsigned size)
{
	static const u8 header[] = {0x36, 0x1b, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 6};
	u32 value = 0;

	for (unsigned i = 0; i < size && reg + i < sizeof(header); i++)
		value |= (u32)header[reg + i] << (8 * i);
	return value;
}

/* The function that the address register names; *bridge: it is the host bridge. */
static struct pci_function *addressed(const struct pci *pci, unsigned *reg, bool *bridge)
{
	u32 address = ck_pr_load_32(&pci->address);
	bool here = address & ADDRESS_ENABLE && !(address & (ADDRESS_BUS | ADDRESS_FUNCTION));

	*reg = address & ADDRESS_REGISTER;
	*bridge = here && ADDRESS_SLOT(address) == 0;
	return here ? pci->function[ADDRESS_SLOT(address)] : NULL;
}

/*
 * Which vCPU wrote is not known here: each passes its entry check once more, the writer among them.
 */
static void request_work(struct pci_function *function)
{
	struct vm *vm = function->vm;

	if (!ck_pr_load_32(&function->work))
		return;
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		vcpu_request(vm->vcpu[i], REQUEST_DEVICES);
}

void pci_request_work(struct pci_function *function, u32 bits)
{
	struct vcpu *vcpu = function->vm->vcpu[0];

	ck_pr_or_32(&function->work, bits);
	vcpu_request(vcpu, REQUEST_DEVICES);
	vcpu_notify(vcpu);
}

unsigned pci_data_read(struct pci *pci, u16 port, unsigned size, u32 *value)
{
	unsigned bytes = MIN(size, PCI_DATA + 4u - port), reg;
	u32 ones = (u32)BITS(8 * size - 1, 0), got = (u32)BITS(8 * bytes - 1, 0);
	struct pci_function *function;
	bool bridge;

	function = addressed(pci, &reg, &bridge);
	reg += port & 3;
	if (bridge)
		got = read_bridge(reg, bytes);
	if (function) {
		spin_lock(&function->lock);
		got = pci_function_config_read(function, reg, bytes);
		pci_unlock(function);
	}
	*value = (ones & ~(u32)BITS(8 * bytes - 1, 0)) | got;
	return bytes;
}

unsigned pci_data_write(struct pci *pci, u16 port, unsigned size, u32 value)
{
	unsigned bytes = MIN(size, PCI_DATA + 4u - port), reg;
	struct pci_function *function;
	bool bridge;

	function = addressed(pci, &reg, &bridge);
	if (function) {
		spin_lock(&function->lock);
		pci_function_config_write(function, reg + (port & 3), bytes, value);
		pci_unlock(function);
		request_work(function);
	}
	return bytes;
}

/* The BAR with all `size` bytes at gpa. */
static struct pci_function *decode(const struct pci *pci, struct gpa gpa, unsigned size,
				   unsigned *bar, u32 *offset)
{
	for (unsigned i = 1; i < PCI_SLOTS && pci->function[i]; i++) {
		struct pci_function *function = pci->function[i];

		for (*bar = 0; *bar < PCI_BARS; ++*bar) {
			u32 at = ck_pr_load_32(&function->bar[*bar]);

			if (!at || gpa.raw < at || gpa.raw - at > function->bar_size[*bar] - size)
				continue;
			*offset = (u32)(gpa.raw - at);
			return function;
		}
	}
	return NULL;
}

/* An operand that crosses a page comes in two parts of any size: no register is written so. */
static bool is_register_size(unsigned size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static u64 read_bar(struct pci_function *function, unsigned bar, u32 offset, unsigned size)
{
	u64 value = pci_function_bar_read(function, bar, offset, MIN(size, 4u));

	if (size == 8)
		value |= (u64)pci_function_bar_read(function, bar, offset + 4, 4) << 32;
	return value;
}

static void write_bar(struct pci_function *function, unsigned bar, u32 offset, unsigned size,
		      u64 value)
{
	pci_function_bar_write(function, bar, offset, MIN(size, 4u), (u32)value);
	if (size == 8)
		pci_function_bar_write(function, bar, offset + 4, 4, (u32)(value >> 32));
}

bool pci_mmio_read(struct pci *pci, struct gpa gpa, unsigned size, u64 *value)
{
	struct pci_function *function;
	unsigned bar;
	u32 offset;

	function = decode(pci, gpa, size, &bar, &offset);
	if (!function)
		return false;
	*value = ~0ull;
	if (!is_register_size(size))
		return true;
	spin_lock(&function->lock);
	*value = read_bar(function, bar, offset, size);
	pci_unlock(function);
	return true;
}

bool pci_mmio_update(struct pci *pci, struct vcpu *vcpu, struct gpa gpa, unsigned size,
		     device_update update, void *context)
{
	struct pci_function *function;
	unsigned bar;
	u32 offset;
	u64 value;

	function = decode(pci, gpa, size, &bar, &offset);
	if (!function || !is_register_size(size))
		return false;
	spin_lock(&function->lock);
	value = read_bar(function, bar, offset, size);
	if (update(context, &value))
		write_bar(function, bar, offset, size, value);
	pci_unlock(function);
	if (ck_pr_load_32(&function->work))
		ck_pr_or_32(&vcpu->requests, REQUEST_DEVICES);
	return true;
}

bool pci_mmio_write(struct pci *pci, struct vcpu *vcpu, struct gpa gpa, unsigned size, u64 value)
{
	struct pci_function *function;
	unsigned bar;
	u32 offset;

	function = decode(pci, gpa, size, &bar, &offset);
	if (!function || !is_register_size(size))
		return function != NULL;
	spin_lock(&function->lock);
	write_bar(function, bar, offset, size, value);
	pci_unlock(function);
	if (ck_pr_load_32(&function->work))
		ck_pr_or_32(&vcpu->requests, REQUEST_DEVICES);
	return true;
}

/* A piece of one function's work; true: some is left. */
static bool run_function(struct pci_function *function, bool *starved)
{
	int err;

	spin_lock(&function->lock);
	err = function->ops->work(function);
	pci_unlock(function);
	*starved |= err == ERR_NO_MEMORY;
	return ck_pr_load_32(&function->work) != 0;
}

bool pci_run(struct pci *pci, bool *starved)
{
	bool more = false;

	*starved = false;
	for (unsigned i = 1; i < PCI_SLOTS && pci->function[i]; i++) {
		struct pci_function *function = pci->function[i];

		if (ck_pr_load_32(&function->work))
			more |= run_function(function, starved);
	}
	return more;
}
