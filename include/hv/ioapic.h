/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioapic.h: the I/O APIC (Intel 82093AA data sheet, order number 290566), 24 inputs.
 *
 * A model without surroundings: input levels go in, messages to local APICs come out through a
 * function. So it runs in a host test. The caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_IOAPIC_H
#define SAMEPAGE_HV_IOAPIC_H

#include <hv/lapic.h>
#include <lib/types.h>

#define IOAPIC_BASE	  0xfec00000ull
#define IOAPIC_INPUTS	  24
#define IOAPIC_ID	  0 /* after reset; MADT and MP table agree */
#define IOAPIC_VERSION_ID 0x20

/*
 * deliver: passes a message to the local APICs it names. false: none took it, and an edge is lost.
 */
struct ioapic {
	bool (*deliver)(void *context, const struct lapic_ipi *message, bool level);
	void *context;
	u32 id;
	u8 select;
	u32 lines; /* input levels now */
	u64 redirection[IOAPIC_INPUTS];
};

void ioapic_init(struct ioapic *apic, bool (*deliver)(void *, const struct lapic_ipi *, bool),
		 void *context);

/*
 * Offsets 0x00 (IOREGSEL), 0x10 (IOWIN) and 0x40 (EOI, version 0x20) from IOAPIC_BASE; others read
 * 0.
 */
u32 ioapic_read(const struct ioapic *apic, u32 offset);
void ioapic_write(struct ioapic *apic, u32 offset, u32 value);

void ioapic_set_line(struct ioapic *apic, unsigned input, bool level);

/* Where an edge of an input would go now; false: it is masked, or not an edge. */
bool ioapic_route(const struct ioapic *apic, unsigned input, struct lapic_ipi *message);

/* A local APIC has ended a level-triggered `vector`: inputs that are still high are sent again. */
void ioapic_end_of_interrupt(struct ioapic *apic, u8 vector);

#endif
