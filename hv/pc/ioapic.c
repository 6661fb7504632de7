/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioapic.c: the I/O APIC.
 *
 *     63    56 55          17  16   15     14      13      12      11    10  8 7      0
 *     | dest  | reserved      |mask|level|rem IRR|polarity|status|logical|mode| vector |
 *
 * IOAPIC-1 An edge is sent once when the input rises while unmasked; one that rises while masked is
 *          lost.
 * IOAPIC-2 A level is sent while the input is high and remote IRR is clear; remote IRR is set when
 *          it was taken, and cleared by the EOI for its vector.
 */
#include <hv/ioapic.h>

#define MASKED	   BIT(16)
#define LEVEL	   BIT(15)
#define REMOTE_IRR BIT(14)
#define LOGICAL	   BIT(11)
#define READ_ONLY  (REMOTE_IRR | BIT(12))
#define WRITABLE   (0xff00000000000000ull | 0x1ffffull)
#define VERSION	   (IOAPIC_VERSION_ID | (IOAPIC_INPUTS - 1) << 16)

enum ioapic_offset { OFFSET_SELECT = 0x00, OFFSET_WINDOW = 0x10, OFFSET_EOI = 0x40 };
enum ioapic_reg { REG_ID, REG_VERSION, REG_ARBITRATION, REG_REDIRECTION = 0x10 };

void ioapic_init(struct ioapic *apic, bool (*deliver)(void *, const struct lapic_ipi *, bool),
		 void *context)
{
	*apic = (struct ioapic){.deliver = deliver, .context = context};
	for (unsigned i = 0; i < IOAPIC_INPUTS; i++)
		apic->redirection[i] = MASKED;
}

static struct lapic_ipi message_of(u64 entry)
{
	return (struct lapic_ipi){
		.delivery = entry >> 8 & 7,
		.vector = entry,
		.to = {.id = entry >> 56, .logical = entry & LOGICAL},
	};
}

bool ioapic_route(const struct ioapic *apic, unsigned input, struct lapic_ipi *message)
{
	*message = message_of(apic->redirection[input]);
	return !(apic->redirection[input] & (MASKED | LEVEL));
}

static void send_input(struct ioapic *apic, unsigned input)
{
	u64 entry = apic->redirection[input];
	struct lapic_ipi message = message_of(entry);

	if (apic->deliver(apic->context, &message, entry & LEVEL) && entry & LEVEL)
		apic->redirection[input] |= REMOTE_IRR;
}

/* Sends a level input that is high, unmasked and not in service. */
static void evaluate_level(struct ioapic *apic, unsigned input)
{
	if ((apic->redirection[input] & (LEVEL | MASKED | REMOTE_IRR)) == LEVEL &&
	    apic->lines & BIT(input))
		send_input(apic, input);
}

void ioapic_set_line(struct ioapic *apic, unsigned input, bool level)
{
	bool was;

	if (input >= IOAPIC_INPUTS)
		return;
	was = apic->lines & BIT(input);
	apic->lines = level ? apic->lines | BIT(input) : apic->lines & ~BIT(input);
	if (apic->redirection[input] & LEVEL)
		evaluate_level(apic, input);
	else if (level && !was && !(apic->redirection[input] & MASKED))
		send_input(apic, input);
}

void ioapic_end_of_interrupt(struct ioapic *apic, u8 vector)
{
	for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
		u64 entry = apic->redirection[i];

		if (!(entry & LEVEL) || (u8)entry != vector)
			continue;
		apic->redirection[i] &= ~REMOTE_IRR;
		evaluate_level(apic, i);
	}
}

static void write_redirection(struct ioapic *apic, unsigned input, bool high, u32 value)
{
	u64 old = apic->redirection[input];
	u64 mixed = high ? (u64)value << 32 | (u32)old : (old & ~0xffffffffull) | value;

	apic->redirection[input] = (mixed & WRITABLE & ~READ_ONLY) | (old & READ_ONLY);
	if (!(mixed & LEVEL))
		apic->redirection[input] &= ~REMOTE_IRR; /* Linux ends a stuck level so */
	evaluate_level(apic, input);
}

u32 ioapic_read(const struct ioapic *apic, u32 offset)
{
	unsigned index = apic->select - REG_REDIRECTION;

	if (offset == OFFSET_SELECT)
		return apic->select;
	if (offset != OFFSET_WINDOW)
		return 0;
	if (apic->select == REG_ID || apic->select == REG_ARBITRATION)
		return apic->id << 24;
	if (apic->select == REG_VERSION)
		return VERSION;
	if (apic->select < REG_REDIRECTION || index >= 2 * IOAPIC_INPUTS)
		return 0;
	return apic->redirection[index / 2] >> (index & 1 ? 32 : 0);
}

void ioapic_write(struct ioapic *apic, u32 offset, u32 value)
{
	unsigned index = apic->select - REG_REDIRECTION;

	if (offset == OFFSET_SELECT)
		apic->select = value;
	else if (offset == OFFSET_EOI)
		ioapic_end_of_interrupt(apic, value);
	else if (offset == OFFSET_WINDOW && apic->select == REG_ID)
		apic->id = value >> 24 & 15;
	else if (offset == OFFSET_WINDOW && apic->select >= REG_REDIRECTION &&
		 index < 2 * IOAPIC_INPUTS)
		write_redirection(apic, index / 2, index & 1, value);
}
