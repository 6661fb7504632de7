/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.c: a guest's ACPI tables. acpi.h has the picture.
 *
 * Why written byte by byte: the layouts are a specification's, unaligned and fixed for ever; a
 * writer that appends fields in order shows them as the specification's tables do, and has one
 * bounds check.
 *
 * ACPI-1 Every table's bytes sum to zero, and every pointer names a table inside the buffer.
 */
#include <hv/acpi.h>
#include <hv/ioapic.h>
#include <hv/lapic.h>
#include <hv/pci.h>
#include <lib/error.h>
#include <lib/string.h>

struct writer {
	u8 *bytes;
	size_t size, at;
	struct gpa base;
};

/* Appends the low `size` bytes of a number. Past the end it only counts. */
static void acpi_put(struct writer *w, u64 value, unsigned size)
{
	for (unsigned i = 0; i < size; i++, w->at++) {
		if (w->at < w->size)
			w->bytes[w->at] = value >> (8 * i);
	}
}

static void put_text(struct writer *w, const char *text, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		acpi_put(w, (u8)text[i], 1);
}

static u64 acpi_address(const struct writer *w, size_t offset)
{
	return w->base.raw + offset;
}

static void set_checksum(struct writer *w, size_t start, size_t end, size_t place)
{
	u8 sum = 0;

	if (end > w->size)
		return;
	for (size_t i = start; i < end; i++)
		sum += w->bytes[i];
	w->bytes[place] -= sum;
}

/* The common header (5.2.6). end_table fills in length and checksum. */
static size_t begin_table(struct writer *w, const char *signature, u8 revision)
{
	size_t start;

	w->at = ALIGN_UP(w->at, 16);
	start = w->at;
	put_text(w, signature, 4);
	acpi_put(w, 0, 4); /* length */
	acpi_put(w, revision, 1);
	acpi_put(w, 0, 1); /* checksum */
	put_text(w, "SAMEPG", 6);
	put_text(w, "SAMEPAGE", 8);
	acpi_put(w, 1, 4);
	put_text(w, "SMPG", 4);
	acpi_put(w, 1, 4);
	return start;
}

static void end_table(struct writer *w, size_t start)
{
	size_t end = w->at;

	w->at = start + 4;
	acpi_put(w, end - start, 4);
	w->at = end;
	set_checksum(w, start, end, start + 9);
}

/* AML (chapter 20): a package length in its two-byte form, filled in when the block ends. */
static size_t begin_block(struct writer *w, unsigned opcode, unsigned opcode_size)
{
	size_t start;

	acpi_put(w, opcode, opcode_size);
	start = w->at;
	acpi_put(w, 0, 2);
	return start;
}

static void end_block(struct writer *w, size_t start)
{
	size_t end = w->at, length = end - start;

	w->at = start;
	acpi_put(w, 0x40 | (length & 15) | length >> 4 << 8, 2);
	w->at = end;
}

enum aml {
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_DEVICE = 0x825b
};

static void put_name(struct writer *w, const char *name)
{
	acpi_put(w, AML_NAME, 1);
	put_text(w, name, 4);
}

/* A compressed EISA id, as "PNP0501" (19.3.4). */
static void put_eisa_id(struct writer *w, const char *id)
{
	u32 value = (u32)(id[0] - '@') << 26 | (u32)(id[1] - '@') << 21 | (u32)(id[2] - '@') << 16;

	for (unsigned i = 3; i < 7; i++) {
		u32 digit = id[i] <= '9' ? id[i] - '0' : id[i] - 'A' + 10;

		value |= digit << (24 - 4 * i);
	}
	acpi_put(w, AML_DWORD, 1);
	acpi_put(w, __builtin_bswap32(value), 4);
}

/* A legacy device: its id, its ports and its interrupt (resource descriptors of 6.4.2). */
static void put_isa_device(struct writer *w, const char *name, const char *id, u16 port, u8 ports,
			   u8 irq)
{
	size_t device = begin_block(w, AML_DEVICE, 2), buffer;

	put_text(w, name, 4);
	put_name(w, "_HID");
	put_eisa_id(w, id);
	put_name(w, "_CRS");
	buffer = begin_block(w, AML_BUFFER, 1);
	acpi_put(w, AML_BYTE, 1);
	acpi_put(w, 8 + 3 + 2, 1);
	acpi_put(w, 0x0147, 2); /* I/O, decodes 16 bits */
	acpi_put(w, port, 2);
	acpi_put(w, port, 2);
	acpi_put(w, 1, 1);
	acpi_put(w, ports, 1);
	acpi_put(w, 0x22, 1); /* IRQ */
	acpi_put(w, 1u << irq, 2);
	acpi_put(w, 0x0079, 2); /* end tag */
	end_block(w, buffer);
	end_block(w, device);
}

/* Where the bus is: its number, its ports, the window of its BARs (6.4.2.5, 6.4.3.5). */
static void put_pci_resources(struct writer *w)
{
	size_t buffer;

	put_name(w, "_CRS");
	buffer = begin_block(w, AML_BUFFER, 1);
	acpi_put(w, AML_BYTE, 1);
	acpi_put(w, 16 + 8 + 26 + 2, 1);
	acpi_put(w, 0x000d88, 3);    /* a word address space */
	acpi_put(w, 0x000c02, 3);    /* bus numbers, minimum and maximum fixed */
	acpi_put(w, 0, 8);	     /* granularity, minimum, maximum, translation */
	acpi_put(w, 1, 2);	     /* length */
	acpi_put(w, 0x0147, 2);	     /* I/O, decodes 16 bits */
	acpi_put(w, PCI_ADDRESS, 2); /* minimum, maximum */
	acpi_put(w, PCI_ADDRESS, 2);
	acpi_put(w, 0x0801, 2);	  /* alignment, length */
	acpi_put(w, 0x001787, 3); /* a double word address space */
	acpi_put(w, 0x010c00, 3); /* memory, fixed, read-write */
	acpi_put(w, 0, 4);
	acpi_put(w, PCI_WINDOW_START, 4);
	acpi_put(w, PCI_WINDOW_START + PCI_WINDOW_SIZE - 1, 4);
	acpi_put(w, 0, 4);
	acpi_put(w, PCI_WINDOW_SIZE, 4);
	acpi_put(w, 0x0079, 2); /* end tag */
	end_block(w, buffer);
}

/* INTA of each device to an input of the I/O APIC (6.2.13). */
static void put_pci_routes(struct writer *w)
{
	size_t all, one;

	put_name(w, "_PRT");
	all = begin_block(w, AML_PACKAGE, 1);
	acpi_put(w, PCI_SLOTS, 1);
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		one = begin_block(w, AML_PACKAGE, 1);
		acpi_put(w, 4, 1);
		acpi_put(w, AML_DWORD, 1);
		acpi_put(w, slot << 16 | 0xffff, 4);
		acpi_put(w, AML_BYTE, 1);
		acpi_put(w, 0, 1); /* INTA */
		acpi_put(w, AML_BYTE, 1);
		acpi_put(w, 0, 1); /* the source is the next number itself */
		acpi_put(w, AML_BYTE, 1);
		acpi_put(w, PCI_IRQ_FIRST + slot % PCI_IRQS, 1);
		end_block(w, one);
	}
	end_block(w, all);
}

static void put_pci_bus(struct writer *w)
{
	size_t device = begin_block(w, AML_DEVICE, 2);

	put_text(w, "PCI0", 4);
	put_name(w, "_HID");
	put_eisa_id(w, "PNP0A03");
	put_name(w, "_UID");
	acpi_put(w, AML_BYTE, 1);
	acpi_put(w, 0, 1);
	put_pci_resources(w);
	put_pci_routes(w);
	end_block(w, device);
}

static void put_cpu(struct writer *w, unsigned number)
{
	static const char digits[] = "0123456789ABCDEF";
	const char name[4] = {'C', 'P', digits[number >> 4 & 15], digits[number & 15]};
	size_t device = begin_block(w, AML_DEVICE, 2);

	put_text(w, name, 4);
	put_name(w, "_HID");
	acpi_put(w, AML_STRING, 1);
	put_text(w, "ACPI0007", 9);
	put_name(w, "_UID");
	acpi_put(w, AML_BYTE, 1);
	acpi_put(w, number, 1);
	end_block(w, device);
}

static size_t put_dsdt(struct writer *w, const struct acpi_machine *machine)
{
	size_t start = begin_table(w, "DSDT", 2), block;

	put_name(w, "_S5_");
	block = begin_block(w, AML_PACKAGE, 1);
	acpi_put(w, 4, 1);
	for (unsigned i = 0; i < 4; i++) {
		acpi_put(w, AML_BYTE, 1);
		acpi_put(w, i < 2 ? ACPI_S5_TYPE : 0, 1);
	}
	end_block(w, block);
	block = begin_block(w, AML_SCOPE, 1);
	put_text(w, "_SB_", 4);
	for (unsigned i = 0; i < machine->vcpus; i++)
		put_cpu(w, i);
	put_isa_device(w, "COM1", "PNP0501", 0x3f8, 8, 4);
	put_isa_device(w, "RTC_", "PNP0B00", 0x70, 2, 8);
	if (machine->pci)
		put_pci_bus(w);
	end_block(w, block);
	end_table(w, start);
	return start;
}

static size_t put_facs(struct writer *w)
{
	size_t start;

	w->at = ALIGN_UP(w->at, 64);
	start = w->at;
	put_text(w, "FACS", 4);
	acpi_put(w, 64, 4);
	for (unsigned i = 8; i < 64; i++)
		acpi_put(w, i == 32 ? 2 : 0, 1); /* version */
	return start;
}

/* A generic address in I/O space (5.2.3.2). */
static void put_port(struct writer *w, u16 port, u8 bytes)
{
	acpi_put(w, port ? 1 : 0, 1);
	acpi_put(w, bytes * 8, 1);
	acpi_put(w, 0, 1);
	acpi_put(w, bytes == 4 ? 3 : bytes, 1);
	acpi_put(w, port, 8);
}

/* The 32-bit register blocks of the FADT (5.2.9), from SMI_CMD to GPE1_BASE. */
static void put_fadt_blocks(struct writer *w)
{
	acpi_put(w, 0, 4); /* no SMI command port: the machine is in ACPI mode from the start */
	acpi_put(w, 0, 4); /* ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT */
	acpi_put(w, ACPI_PM1_EVENT, 4);
	acpi_put(w, 0, 4);
	acpi_put(w, ACPI_PM1_CONTROL, 4);
	acpi_put(w, 0, 8); /* PM1b, PM2 control */
	acpi_put(w, ACPI_PM_TIMER, 4);
	acpi_put(w, 0, 8); /* no GPE */
	acpi_put(w, 4, 1);
	acpi_put(w, 2, 1);
	acpi_put(w, 0, 1);
	acpi_put(w, 4, 1);
	acpi_put(w, 0, 4);
}

enum fadt_flags {
	FADT_WBINVD = BIT(0),
	FADT_C1 = BIT(2),
	FADT_NO_POWER_BUTTON = BIT(4),
	FADT_NO_SLEEP_BUTTON = BIT(5),
	FADT_TIMER_32 = BIT(8),
	FADT_RESET = BIT(10)
};
enum fadt_boot { BOOT_LEGACY = BIT(0), BOOT_NO_VGA = BIT(2), BOOT_NO_ASPM = BIT(4) };

static size_t put_fadt(struct writer *w, size_t facs, size_t dsdt)
{
	size_t start = begin_table(w, "FACP", 4);

	acpi_put(w, acpi_address(w, facs), 4);
	acpi_put(w, acpi_address(w, dsdt), 4);
	acpi_put(w, 0, 2);
	acpi_put(w, ACPI_SCI, 2);
	put_fadt_blocks(w);
	acpi_put(w, 0xfff, 2); /* no C2 */
	acpi_put(w, 0xfff, 2); /* no C3 */
	acpi_put(w, 0, 8);     /* flush, duty, alarms */
	acpi_put(w, 0x32, 1);  /* the century's place in the clock's RAM */
	acpi_put(w, BOOT_LEGACY | BOOT_NO_VGA | BOOT_NO_ASPM, 2);
	acpi_put(w, 0, 1);
	acpi_put(w,
		 FADT_WBINVD | FADT_C1 | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			 FADT_TIMER_32 | FADT_RESET,
		 4);
	put_port(w, ACPI_RESET_PORT, 1);
	acpi_put(w, ACPI_RESET_VALUE, 1);
	acpi_put(w, 0, 3);
	acpi_put(w, acpi_address(w, facs), 8);
	acpi_put(w, acpi_address(w, dsdt), 8);
	put_port(w, ACPI_PM1_EVENT, 4);
	put_port(w, 0, 0);
	put_port(w, ACPI_PM1_CONTROL, 2);
	put_port(w, 0, 0);
	put_port(w, 0, 0);
	put_port(w, ACPI_PM_TIMER, 4);
	put_port(w, 0, 0);
	put_port(w, 0, 0);
	end_table(w, start);
	return start;
}

static size_t put_madt(struct writer *w, unsigned vcpus)
{
	size_t start = begin_table(w, "APIC", 4);

	acpi_put(w, LAPIC_BASE, 4);
	acpi_put(w, 1, 4); /* the 8259 pair is there too */
	for (unsigned i = 0; i < vcpus; i++) {
		acpi_put(w, 0x0800, 2);	    /* local APIC */
		acpi_put(w, i | i << 8, 2); /* processor UID, APIC id */
		acpi_put(w, 1, 4);	    /* enabled */
	}
	acpi_put(w, 0x0c01, 2); /* I/O APIC */
	acpi_put(w, 0, 2);
	acpi_put(w, IOAPIC_BASE, 4);
	acpi_put(w, 0, 4);
	acpi_put(w, 0x0a02, 2); /* IRQ 0 arrives on input 2 */
	acpi_put(w, 0, 2);
	acpi_put(w, 2, 4);
	acpi_put(w, 0, 2);
	acpi_put(w, 0x0a02, 2); /* IRQ 9, the SCI: active high, level */
	acpi_put(w, ACPI_SCI << 8, 2);
	acpi_put(w, ACPI_SCI, 4);
	acpi_put(w, 0x000d, 2);
	acpi_put(w, 0x0604, 2); /* NMI on every LINT1 */
	acpi_put(w, 0xff, 1);
	acpi_put(w, 0, 2);
	acpi_put(w, 1, 1);
	end_table(w, start);
	return start;
}

/*
 * The root pointer at the start of the buffer, when the addresses of RSDT and XSDT are known
 * (5.2.5.3).
 */
static void put_rsdp(struct writer *w, size_t rsdt, size_t xsdt)
{
	size_t end = w->at;

	w->at = 0;
	put_text(w, "RSD PTR ", 8);
	acpi_put(w, 0, 1);
	put_text(w, "SAMEPG", 6);
	acpi_put(w, 2, 1);
	acpi_put(w, acpi_address(w, rsdt), 4);
	acpi_put(w, 36, 4);
	acpi_put(w, acpi_address(w, xsdt), 8);
	acpi_put(w, 0, 4);
	set_checksum(w, 0, 20, 8);
	set_checksum(w, 0, 36, 32);
	w->at = end;
}

int acpi_build(const struct acpi_machine *machine, void *buffer, size_t size, struct gpa at,
	       size_t *used)
{
	struct writer w = {.bytes = buffer, .size = size, .at = 36, .base = at};
	size_t facs, dsdt, fadt, madt, rsdt, xsdt;

	memset(buffer, 0, size);
	facs = put_facs(&w);
	dsdt = put_dsdt(&w, machine);
	fadt = put_fadt(&w, facs, dsdt);
	madt = put_madt(&w, machine->vcpus);
	rsdt = begin_table(&w, "RSDT", 1); /* the same for systems of ACPI 1.0 */
	acpi_put(&w, acpi_address(&w, fadt), 4);
	acpi_put(&w, acpi_address(&w, madt), 4);
	end_table(&w, rsdt);
	xsdt = begin_table(&w, "XSDT", 1);
	acpi_put(&w, acpi_address(&w, fadt), 8);
	acpi_put(&w, acpi_address(&w, madt), 8);
	end_table(&w, xsdt);
	put_rsdp(&w, rsdt, xsdt);
	*used = w.at;
	return w.at <= size ? 0 : ERR_RANGE;
}
