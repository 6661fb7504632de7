/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mptable.c: the MP tables of mptable.h. Each entry is a packed struct of the specification.
 *
 * MPTABLE-1 Both tables' bytes sum to zero, and the entries are as many and as long as the header
 *           says.
 */
#include <hv/mptable.h>
#include <hv/acpi.h>
#include <hv/ioapic.h>
#include <hv/lapic.h>
#include <lib/string.h>

#define ISA_IRQS      16
#define ISA_BUS	      0
#define CASCADE	      2
#define CPU_SIGNATURE 0x600u
#define CPU_FEATURES  0x201u /* FPU, APIC */
#define LEVEL_HIGH    0x0du  /* of an interrupt that does not follow its bus */

enum entry_type { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum interrupt_type { INTERRUPT_VECTORED, INTERRUPT_NMI, INTERRUPT_SMI, INTERRUPT_EXTINT };
enum cpu_flags { CPU_ENABLED = 1, CPU_BOOT = 2 };

struct mp_pointer {
	char signature[4];
	u32 table;
	u8 paragraphs, revision, checksum, features[5];
};

struct mp_header {
	char signature[4];
	u16 length;
	u8 revision, checksum;
	char oem[8], product[12];
	u32 oem_table;
	u16 oem_size, entries;
	u32 lapic;
	u16 extended_length;
	u8 extended_checksum, reserved;
};

struct mp_cpu {
	u8 type, apic_id, apic_version, flags;
	u32 signature, features, reserved[2];
};

struct mp_bus {
	u8 type, id;
	char name[6];
};

struct mp_ioapic {
	u8 type, id, version, flags;
	u32 address;
};

struct mp_interrupt {
	u8 type, kind;
	u16 flags;
	u8 bus, irq, apic, pin;
};

struct mp_tables {
	struct mp_pointer pointer;
	struct mp_header header;
	u8 entries[MPTABLE_SIZE - sizeof(struct mp_pointer) - sizeof(struct mp_header)];
};
_Static_assert(sizeof(struct mp_tables) == MPTABLE_SIZE && sizeof(struct mp_header) == 44 &&
		       sizeof(struct mp_cpu) == 20 && sizeof(struct mp_interrupt) == 8,
	       "MP specification 1.4, chapter 4");

static void add_entry(struct mp_tables *tables, const void *entry, size_t size)
{
	u8 *at = (u8 *)&tables->header + tables->header.length;

	memcpy(at, entry, size);
	tables->header.length += (u16)size;
	tables->header.entries++;
}

static void add_cpus(struct mp_tables *tables, unsigned vcpus)
{
	for (unsigned i = 0; i < vcpus; i++) {
		const struct mp_cpu cpu = {
			.type = ENTRY_CPU,
			.apic_id = (u8)i,
			.apic_version = LAPIC_VERSION_ID,
			.flags = CPU_ENABLED | (i == 0 ? CPU_BOOT : 0),
			.signature = CPU_SIGNATURE,
			.features = CPU_FEATURES,
		};

		add_entry(tables, &cpu, sizeof(cpu));
	}
}

static void add_interrupt(struct mp_tables *tables, enum entry_type type, enum interrupt_type kind,
			  u8 irq, u8 apic, u8 pin)
{
	const struct mp_interrupt interrupt = {
		.type = (u8)type,
		.kind = (u8)kind,
		.flags = type == ENTRY_INTERRUPT && irq == ACPI_SCI ? LEVEL_HIGH : 0,
		.bus = ISA_BUS,
		.irq = irq,
		.apic = apic,
		.pin = pin,
	};

	add_entry(tables, &interrupt, sizeof(interrupt));
}

/* IRQ 0 arrives on input 2, the others on their own; LINT0 is the 8259's, LINT1 the NMI's. */
static void add_interrupts(struct mp_tables *tables)
{
	for (u8 irq = 0; irq < ISA_IRQS; irq++) {
		if (irq != CASCADE)
			add_interrupt(tables, ENTRY_INTERRUPT, INTERRUPT_VECTORED, irq, IOAPIC_ID,
				      irq == 0 ? CASCADE : irq);
	}
	add_interrupt(tables, ENTRY_LOCAL, INTERRUPT_EXTINT, 0, 0xff, 0);
	add_interrupt(tables, ENTRY_LOCAL, INTERRUPT_NMI, 0, 0xff, 1);
}

static u8 complement(const void *from, size_t size)
{
	const u8 *bytes = from;
	u8 sum = 0;

	for (size_t i = 0; i < size; i++)
		sum -= bytes[i];
	return sum;
}

size_t mptable_build(unsigned vcpus, void *buffer, struct gpa at)
{
	static const struct mp_bus bus = {.type = ENTRY_BUS, .id = ISA_BUS, .name = "ISA   "};
	static const struct mp_ioapic ioapic = {.type = ENTRY_IOAPIC,
						.id = IOAPIC_ID,
						.version = IOAPIC_VERSION_ID,
						.flags = 1,
						.address = (u32)IOAPIC_BASE};
	struct mp_tables *tables = buffer;

	*tables = (struct mp_tables){
		.pointer = {.signature = "_MP_",
			    .table = (u32)(at.raw + sizeof(tables->pointer)),
			    .paragraphs = 1,
			    .revision = 4},
		.header = {.signature = "PCMP",
			   .length = sizeof(tables->header),
			   .revision = 4,
			   .oem = "SAMEPG  ",
			   .product = "SAMEPAGE    ",
			   .lapic = (u32)LAPIC_BASE},
	};
	add_cpus(tables, vcpus);
	add_entry(tables, &bus, sizeof(bus));
	add_entry(tables, &ioapic, sizeof(ioapic));
	add_interrupts(tables);
	tables->header.checksum = complement(&tables->header, tables->header.length);
	tables->pointer.checksum = complement(&tables->pointer, sizeof(tables->pointer));
	return sizeof(tables->pointer) + tables->header.length;
}
