/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.h: a PCI bus with its host bridge and nothing on it, by configuration mechanism 1 (PCI Local
 * Bus 3.0, 3.2.2.3.2).
 *
 * Why a bridge: without one systems doubt that the bus is there at all, and say so.
 *
 * Invariants:
 * PCI-1  a function that is not there reads all ones; the address register holds what is written to
 *        it.
 *
 * The caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_PCI_H
#define SAMEPAGE_HV_PCI_H

#include <lib/types.h>

enum pci_port { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc }; /* four bytes each */

struct pci {
	u32 address;
};

void pci_init(struct pci *pci);

/* PCI_ADDRESS to PCI_DATA + 3. */
u8 pci_read(const struct pci *pci, u16 port);
void pci_write(struct pci *pci, u16 port, u8 value);

#endif
