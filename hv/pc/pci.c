/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.c: the empty bus of pci.h. Its host bridge is bus 0, device 0, function 0.
 */
#include <hv/pci.h>

#define ADDRESS_ENABLE	 BIT(31)
#define ADDRESS_FUNCTION 0xffff00u /* bus, device, function: all 0 for the bridge */
#define ADDRESS_REGISTER 0xfcu

void pci_init(struct pci *pci)
{
	pci->address = 0;
}

/* Vendor 1b36h, device 0008h (a host bridge of no vendor's chipset), class 06h. */
static u8 read_bridge(unsigned reg)
{
	static const u8 header[] = {0x36, 0x1b, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 6};

	return reg < sizeof(header) ? header[reg] : 0;
}

u8 pci_read(const struct pci *pci, u16 port)
{
	if (port < PCI_DATA)
		return (u8)(pci->address >> (8 * (port & 3)));
	if (!(pci->address & ADDRESS_ENABLE) || pci->address & ADDRESS_FUNCTION)
		return 0xff;
	return read_bridge((pci->address & ADDRESS_REGISTER) | (port & 3));
}

void pci_write(struct pci *pci, u16 port, u8 value)
{
	unsigned shift = 8 * (port & 3);

	if (port < PCI_DATA)
		pci->address = (pci->address & ~(0xffu << shift)) | (u32)value << shift;
}
