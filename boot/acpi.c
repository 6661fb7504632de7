/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.c: which CPUs and interrupt controllers there are (ACPI 6.4, sections 5.2.5 to 5.2.12).
 *
 *     RSDP --> XSDT or RSDT --> MADT: local APICs, x2APICs, I/O APICs, interrupt source overrides
 *
 * Every table is read through the reader, summed up before it is believed, and bounded by
 * ACPI_TABLE_MAX.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include "parse.h"

#define LOG_THIS LOG_BOOT

#define ACPI_TABLE_MAX	   (1u << 20)
#define LOCAL_APIC_DEFAULT 0xfee00000
#define RSDP_V1_LENGTH	   20u
#define RSDP_V2_LENGTH	   36u
#define EBDA_SEGMENT	   0x40e
#define BIOS_AREA_START	   0xe0000
#define BIOS_AREA_END	   0x100000
#define MADT_CPU_ENABLED   BIT(0)

struct acpi_rsdp {
	char signature[8]; /* "RSD PTR " */
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 checksum_2, reserved[3];
} __packed;
_Static_assert(sizeof(struct acpi_rsdp) == RSDP_V2_LENGTH, "ACPI 5.2.5.3");

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __packed;
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 5.2.6");

struct acpi_table {
	u64 address;
	u32 length;
};

static u8 sum_bytes(const u8 *bytes, size_t count)
{
	u8 sum = 0;

	while (count--)
		sum = (u8)(sum + *bytes++);
	return sum;
}

/* Opens the table at `address` if it is what `signature` says and its bytes add up to 0. */
static bool acpi_open(const struct boot_reader *reader, u64 address, const char *signature,
		      struct acpi_table *table)
{
	struct acpi_header header;
	u8 chunk[64], sum = 0;

	if (address >= BOOT_ADDRESS_LIMIT || !boot_read(reader, address, &header, sizeof(header))) {
		log_warn("acpi: the %s at 0x%lx cannot be read", signature, address);
		return false;
	}
	if (memcmp(header.signature, signature, 4) || header.length < sizeof(header) ||
	    header.length > ACPI_TABLE_MAX) {
		log_warn("acpi: at 0x%lx there is no %s (%u bytes)", address, signature,
			 header.length);
		return false;
	}
	for (u32 at = 0, part; at < header.length; at += part) {
		part = MIN(header.length - at, (u32)sizeof(chunk));
		if (!boot_read(reader, address + at, chunk, part)) {
			log_warn("acpi: the %s at 0x%lx cannot be read to its end", signature,
				 address);
			return false;
		}
		sum = (u8)(sum + sum_bytes(chunk, part));
	}
	if (sum)
		log_warn("acpi: the %s at 0x%lx has a wrong checksum: ignored", signature, address);
	*table = (struct acpi_table){address, header.length};
	return !sum;
}

/* Is this an RSDP? Its first 20 bytes add up to 0, and from revision 2 on all of its bytes. */
static bool rsdp_valid(const struct acpi_rsdp *rsdp, u32 available)
{
	if (available < RSDP_V1_LENGTH || memcmp(rsdp->signature, "RSD PTR ", 8))
		return false;
	if (sum_bytes((const u8 *)rsdp, RSDP_V1_LENGTH))
		return false;
	if (rsdp->revision < 2)
		return true;
	return available >= RSDP_V2_LENGTH && rsdp->length == RSDP_V2_LENGTH &&
	       !sum_bytes((const u8 *)rsdp, RSDP_V2_LENGTH);
}

/* Looks at each 16th byte of [start, end). A short one may lie at the very end. */
static bool rsdp_scan(const struct boot_reader *reader, u64 start, u64 end, struct acpi_rsdp *rsdp)
{
	for (u64 at = start; at + RSDP_V1_LENGTH <= end; at += 16) {
		u32 available = (u32)MIN(end - at, (u64)sizeof(*rsdp));

		if (boot_read(reader, at, rsdp, available) && rsdp_valid(rsdp, available))
			return true;
	}
	return false;
}

/* The loader's copy if it gave a good one, else what the BIOS left in its two places
 * (ACPI 5.2.5.1). */
static bool rsdp_find(const struct boot_reader *reader, struct boot_info *info,
		      struct acpi_rsdp *rsdp)
{
	u16 segment = 0;

	if (info->rsdp_length) {
		memset(rsdp, 0, sizeof(*rsdp));
		memcpy(rsdp, info->rsdp, info->rsdp_length);
		if (rsdp_valid(rsdp, info->rsdp_length))
			return true;
		log_warn("acpi: the loader's RSDP is broken; looking for the BIOS's");
		info->rsdp_length = 0;
	}
	if (boot_read(reader, EBDA_SEGMENT, &segment, sizeof(segment)) && segment >= 0x400 &&
	    rsdp_scan(reader, (u64)segment << 4, ((u64)segment << 4) + 1024, rsdp))
		return true;
	return rsdp_scan(reader, BIOS_AREA_START, BIOS_AREA_END, rsdp);
}

/* The first table of that name which the root table (entries of `width` bytes) lists and which is
 * whole. */
static bool acpi_find_in(const struct boot_reader *reader, const struct acpi_table *root, u32 width,
			 const char *signature, struct acpi_table *table)
{
	for (u32 at = sizeof(struct acpi_header); at + width <= root->length; at += width) {
		char name[4];
		u64 address = 0;

		if (!boot_read(reader, root->address + at, &address, width))
			return false;
		if (address >= BOOT_ADDRESS_LIMIT ||
		    !boot_read(reader, address, name, sizeof(name))) {
			log_warn("acpi: a table at 0x%lx is listed and cannot be read", address);
			continue;
		}
		if (!memcmp(name, signature, 4) && acpi_open(reader, address, signature, table))
			return true;
	}
	return false;
}

static bool acpi_find(const struct boot_reader *reader, const struct acpi_rsdp *rsdp,
		      const char *signature, struct acpi_table *table)
{
	struct acpi_table root;

	if (rsdp->revision >= 2 && rsdp->xsdt && acpi_open(reader, rsdp->xsdt, "XSDT", &root))
		return acpi_find_in(reader, &root, 8, signature, table);
	return acpi_open(reader, rsdp->rsdt, "RSDT", &root) &&
	       acpi_find_in(reader, &root, 4, signature, table);
}

static void madt_add_cpu(struct boot_info *info, u32 apic_id, u32 uid, u32 flags)
{
	if (!(flags & MADT_CPU_ENABLED))
		return;
	for (unsigned i = 0; i < info->cpu_count; i++) {
		if (info->cpus[i].apic_id != apic_id)
			continue;
		log_debug("acpi: APIC %u is listed twice", apic_id);
		return;
	}
	if (info->cpu_count == BOOT_CPUS_MAX) {
		log_warn("acpi: more than %u CPUs: APIC %u stays off", BOOT_CPUS_MAX, apic_id);
		return;
	}
	info->cpus[info->cpu_count++] = (struct boot_cpu){apic_id, uid};
}

/*
 * The kinds of entry that are read; each begins with its type and its length (ACPI 5.2.12.2 ff.).
 */
union madt_entry {
	struct {
		u8 type, length;
	} head;
	struct {
		u8 type, length, uid, apic_id;
		u32 flags;
	} __packed local_apic;
	struct {
		u8 type, length, id, reserved;
		u32 address, gsi_base;
	} __packed ioapic;
	struct {
		u8 type, length, bus, irq;
		u32 gsi;
		u16 flags;
	} __packed override;
	struct {
		u8 type, length;
		u16 reserved;
		u64 address;
	} __packed apic_address;
	struct {
		u8 type, length;
		u16 reserved;
		u32 apic_id, flags, uid;
	} __packed x2apic;
};

static void madt_local_apic(struct boot_info *info, const union madt_entry *e)
{
	if (e->local_apic.apic_id != 0xff)
		madt_add_cpu(info, e->local_apic.apic_id, e->local_apic.uid, e->local_apic.flags);
}

static void madt_x2apic(struct boot_info *info, const union madt_entry *e)
{
	if (e->x2apic.apic_id != 0xffffffff)
		madt_add_cpu(info, e->x2apic.apic_id, e->x2apic.uid, e->x2apic.flags);
}

static void madt_ioapic(struct boot_info *info, const union madt_entry *e)
{
	if (info->ioapic_count == BOOT_IOAPICS_MAX) {
		log_warn("acpi: more than %u I/O APICs: one at 0x%x is ignored", BOOT_IOAPICS_MAX,
			 e->ioapic.address);
		return;
	}
	info->ioapics[info->ioapic_count++] = (struct boot_ioapic){
		.id = e->ioapic.id,
		.address = {e->ioapic.address},
		.gsi_base = e->ioapic.gsi_base,
	};
}

static void madt_override(struct boot_info *info, const union madt_entry *e)
{
	if (info->override_count == BOOT_IRQ_OVERRIDES_MAX || e->override.irq >= 16) {
		log_warn("acpi: the override of interrupt %u is ignored", e->override.irq);
		return;
	}
	info->overrides[info->override_count++] = (struct boot_irq_override){
		.isa_irq = e->override.irq,
		.gsi = e->override.gsi,
		.flags = e->override.flags,
	};
}

static void madt_apic_address(struct boot_info *info, const union madt_entry *e)
{
	if (e->apic_address.address >= BOOT_ADDRESS_LIMIT ||
	    !IS_ALIGNED(e->apic_address.address, PAGE_SIZE))
		log_warn("acpi: the local APIC cannot be at 0x%lx: ignored",
			 e->apic_address.address);
	else
		info->local_apic.raw = e->apic_address.address;
}

static const struct madt_handler {
	u8 type;
	u8 length;
	void (*parse)(struct boot_info *info, const union madt_entry *entry);
} madt_handlers[] = {
	{0, 8, madt_local_apic},    {1, 12, madt_ioapic}, {2, 10, madt_override},
	{5, 12, madt_apic_address}, {9, 16, madt_x2apic},
};

static void madt_parse_entry(struct boot_info *info, const union madt_entry *entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(madt_handlers); i++) {
		if (madt_handlers[i].type != entry->head.type)
			continue;
		if (entry->head.length < madt_handlers[i].length)
			log_warn("acpi: a MADT entry of type %u has %u bytes, %u needed: ignored",
				 entry->head.type, entry->head.length, madt_handlers[i].length);
		else
			madt_handlers[i].parse(info, entry);
	}
}

static void madt_parse(const struct boot_reader *reader, const struct acpi_table *madt,
		       struct boot_info *info)
{
	u32 at = sizeof(struct acpi_header), left;
	u32 local_apic;

	if (madt->length < at + 8 ||
	    !boot_read(reader, madt->address + at, &local_apic, sizeof(local_apic))) {
		log_warn("acpi: the MADT ends before its first entry");
		return;
	}
	if (local_apic && IS_ALIGNED(local_apic, PAGE_SIZE))
		info->local_apic.raw = local_apic;
	for (at += 8; at < madt->length;) {
		union madt_entry entry = {.head = {0xff, 0}};

		left = madt->length - at;
		if (!boot_read(reader, madt->address + at, &entry, MIN(left, (u32)sizeof(entry))) ||
		    entry.head.length < 2 || entry.head.length > left) {
			log_warn("acpi: the MADT entry at offset %u says it has %u bytes: table "
				 "ends here",
				 at, entry.head.length);
			return;
		}
		madt_parse_entry(info, &entry);
		at += entry.head.length;
	}
}

void acpi_parse(const struct boot_reader *reader, struct boot_info *info)
{
	struct acpi_rsdp rsdp;
	struct acpi_table madt;

	info->local_apic.raw = LOCAL_APIC_DEFAULT;
	if (!rsdp_find(reader, info, &rsdp)) {
		log_warn("acpi: no RSDP: going on with one CPU");
		return;
	}
	info->rsdp_length = rsdp.revision < 2 ? RSDP_V1_LENGTH : RSDP_V2_LENGTH;
	memcpy(info->rsdp, &rsdp, info->rsdp_length);
	if (!acpi_find(reader, &rsdp, "APIC", &madt)) {
		log_warn("acpi: no MADT (signature APIC): going on with one CPU");
		return;
	}
	madt_parse(reader, &madt, info);
	if (!info->cpu_count)
		log_warn("acpi: the MADT lists no CPU that is enabled: going on with one");
}
