/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_acpi.c: ACPI tables with right checksums and arbitrary contents (BOOT-1 to
 * BOOT-3).
 *
 * The input is machine memory from address 0 on, with an XSDT at 64 and a MADT at 256. Where their
 * lengths allow it they are given their signature and a good sum, for a fuzzer does not guess sums.
 */
#include <string.h>
#include "boot/parse.h"
#include "fuzz.h"

#define MEMORY_MAX 4096u
#define XSDT	   64u
#define MADT	   256u

struct memory {
	u8 bytes[MEMORY_MAX];
	size_t size;
};

static bool read_memory(void *context, u64 address, void *to, size_t length)
{
	const struct memory *memory = context;

	if (address > memory->size || length > memory->size - address)
		return false;
	memcpy(to, memory->bytes + address, length);
	return true;
}

/* Sets *sum so that the bytes add up to 0. */
static void put_sum(const u8 *bytes, size_t length, u8 *sum)
{
	u8 total = 0;

	*sum = 0;
	for (size_t i = 0; i < length; i++)
		total = (u8)(total + bytes[i]);
	*sum = (u8)-total;
}

static void believe(struct memory *memory, u32 at, const char *signature)
{
	u8 *table = memory->bytes + at;
	u32 length;

	if (memory->size < at + 36)
		return;
	memcpy(table, signature, 4);
	memcpy(&length, table + 4, sizeof(length));
	if (length >= 36 && length <= memory->size - at)
		put_sum(table, length, table + 9);
}

static void give_rsdp(struct boot_info *info)
{
	info->rsdp_length = 36;
	memcpy(info->rsdp, "RSD PTR \0OEMID \2", 16);
	info->rsdp[16] = info->rsdp[24] = XSDT;
	info->rsdp[20] = 36;
	put_sum(info->rsdp, 20, &info->rsdp[8]);
	put_sum(info->rsdp, 36, &info->rsdp[32]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct boot_info info;
	static struct memory memory;
	struct boot_reader reader = {read_memory, &memory};

	fuzz_init();
	memset(&info, 0, sizeof(info));
	memory.size = size < MEMORY_MAX ? size : MEMORY_MAX;
	memcpy(memory.bytes, data, memory.size);
	give_rsdp(&info);
	believe(&memory, MADT, "APIC");
	believe(&memory, XSDT, "XSDT");
	acpi_parse(&reader, &info);
	fuzz_check(info.rsdp_length == 36, "the loader's good RSDP was not taken");
	fuzz_check(info.cpu_count <= BOOT_CPUS_MAX, "BOOT-2: cpu_count");
	fuzz_check(info.ioapic_count <= BOOT_IOAPICS_MAX, "BOOT-2: ioapic_count");
	fuzz_check(info.override_count <= BOOT_IRQ_OVERRIDES_MAX, "BOOT-2: override_count");
	fuzz_check(IS_ALIGNED(info.local_apic.raw, PAGE_SIZE) &&
			   info.local_apic.raw < BOOT_ADDRESS_LIMIT,
		   "BOOT-3: the local APIC's page");
	for (unsigned i = 0; i < info.cpu_count; i++)
		for (unsigned k = 0; k < i; k++)
			fuzz_check(info.cpus[i].apic_id != info.cpus[k].apic_id,
				   "BOOT-3: a CPU twice");
	return 0;
}
