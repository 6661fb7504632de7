/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.c: which bytes of a guest's file go where (System V ABI, chapters 4 and 5).
 *
 * 32 and 64-bit headers differ in widths and in order, so both are first read into one shape; all
 * checks are on that shape. Loading is by physical address (p_paddr). An entry point within a
 * segment's virtual addresses is translated to its physical ones; any other is physical as it
 * stands.
 *
 * Invariants:
 * LOAD-1  whatever the file, nothing outside [file, file + size) is read.
 * LOAD-2  in a plan every segment lies in the VM's RAM (a BIOS': in its ROM and its copy below
 *         1 MiB) and in the file, no two overlap, and the entry point lies in one of them.
 */
#include <abi/machine.h>
#include <abi/multiboot.h>
#include <hv/bios.h>
#include <hv/loader.h>
#include <hv/ram.h>
#include "hv/load/private.h"
#include <lib/error.h>
#include <lib/string.h>

enum {
	ELF_CLASS_32 = 1,
	ELF_CLASS_64 = 2,
	ELF_LITTLE_ENDIAN = 1,
	ELF_EXECUTABLE = 2,
	ELF_MACHINE_386 = 3,
	ELF_MACHINE_X86_64 = 62,
	ELF_LOAD = 1,
};

struct elf_ident {
	u8 magic[4];
	u8 class, data, version, pad[9];
	u16 type, machine;
	u32 version2;
};

struct elf32_header {
	struct elf_ident ident;
	u32 entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_header {
	struct elf_ident ident;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_segment {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

/* The file, and its header in one shape. */
struct elf {
	const u8 *file;
	size_t size;
	u64 memory;
	bool wide;
	u64 entry, table;
	unsigned count, stride;
};

static bool in_file(const struct elf *elf, u64 offset, u64 len)
{
	return offset <= elf->size && len <= elf->size - offset;
}

static int read_ident(struct elf *elf, const char **why)
{
	struct elf_ident ident;
	bool good_machine;

	if (!in_file(elf, 0, sizeof(ident)))
		return load_refuse(why, "the file is too short for an ELF header");
	memcpy(&ident, elf->file, sizeof(ident));
	if (memcmp(ident.magic, "\177ELF", 4) != 0)
		return load_refuse(why, "the file is not ELF");
	if (ident.class != ELF_CLASS_32 && ident.class != ELF_CLASS_64)
		return load_refuse(why, "the ELF class is neither 32 nor 64 bit");
	elf->wide = ident.class == ELF_CLASS_64;
	good_machine = ident.machine == (elf->wide ? ELF_MACHINE_X86_64 : ELF_MACHINE_386);
	if (ident.data != ELF_LITTLE_ENDIAN || !good_machine)
		return load_refuse(why, "the ELF file is not for x86");
	if (ident.type != ELF_EXECUTABLE)
		return load_refuse(why, "the ELF file is not an executable at fixed addresses");
	return 0;
}

static int read_header(struct elf *elf, const char **why)
{
	struct elf32_header narrow;
	struct elf64_header wide;

	if (!in_file(elf, 0, elf->wide ? sizeof(wide) : sizeof(narrow)))
		return load_refuse(why, "the file is too short for an ELF header");
	if (elf->wide) {
		memcpy(&wide, elf->file, sizeof(wide));
		elf->entry = wide.entry;
		elf->table = wide.phoff;
		elf->count = wide.phnum;
		elf->stride = wide.phentsize;
	} else {
		memcpy(&narrow, elf->file, sizeof(narrow));
		elf->entry = narrow.entry;
		elf->table = narrow.phoff;
		elf->count = narrow.phnum;
		elf->stride = narrow.phentsize;
	}
	if (elf->stride < (elf->wide ? sizeof(struct elf64_segment) : sizeof(struct elf32_segment)))
		return load_refuse(why, "the ELF program header's entries are too short");
	if (!in_file(elf, elf->table, (u64)elf->count * elf->stride))
		return load_refuse(why, "the ELF program header lies outside the file");
	return 0;
}

/* Program header `i`; false when it is not to be loaded. *vaddr: its virtual address. */
static bool read_segment(const struct elf *elf, unsigned i, struct load_segment *out, u64 *vaddr)
{
	const u8 *at = elf->file + elf->table + (u64)i * elf->stride;
	struct elf32_segment narrow;
	struct elf64_segment wide;

	if (elf->wide) {
		memcpy(&wide, at, sizeof(wide));
		*out = (struct load_segment){wide.offset, wide.filesz, wide.paddr, wide.memsz};
		*vaddr = wide.vaddr;
		return wide.type == ELF_LOAD && wide.memsz > 0;
	}
	memcpy(&narrow, at, sizeof(narrow));
	*out = (struct load_segment){narrow.offset, narrow.filesz, narrow.paddr, narrow.memsz};
	*vaddr = narrow.vaddr;
	return narrow.type == ELF_LOAD && narrow.memsz > 0;
}

static bool segment_overlaps(const struct load_plan *plan, const struct load_segment *segment)
{
	for (unsigned i = 0; i < plan->segments; i++) {
		const struct load_segment *other = &plan->segment[i];

		if (segment->gpa < other->gpa + other->size &&
		    other->gpa < segment->gpa + segment->size)
			return true;
	}
	return false;
}

static int add_segment(const struct elf *elf, const struct load_segment *segment,
		       struct load_plan *plan, const char **why)
{
	if (plan->segments == LOAD_SEGMENTS_MAX)
		return load_refuse(why, "the ELF file has more than 16 segments to load");
	if (segment->file_size > segment->size)
		return load_refuse(why, "an ELF segment is longer in the file than in memory");
	if (!in_file(elf, segment->offset, segment->file_size))
		return load_refuse(why, "an ELF segment lies outside the file");
	if (!ram_contains(elf->memory, segment->gpa, segment->size))
		return load_refuse(why, "an ELF segment lies outside the VM's memory");
	if (segment_overlaps(plan, segment))
		return load_refuse(why, "two ELF segments overlap");
	plan->segment[plan->segments++] = *segment;
	plan->end = MAX(plan->end, segment->gpa + segment->size);
	return 0;
}

static bool holds_entry(const struct load_plan *plan)
{
	for (unsigned i = 0; i < plan->segments; i++) {
		const struct load_segment *segment = &plan->segment[i];

		if (plan->entry >= segment->gpa && plan->entry - segment->gpa < segment->file_size)
			return true;
	}
	return false;
}

int load_plan_elf(const void *file, size_t size, u64 memory, struct load_plan *out,
		  const char **why)
{
	struct elf elf = {.file = file, .size = size, .memory = memory};
	int err = read_ident(&elf, why);

	if (!err)
		err = read_header(&elf, why);
	if (err)
		return err;
	*out = (struct load_plan){.entry = elf.entry};
	for (unsigned i = 0; i < elf.count; i++) {
		struct load_segment segment;
		u64 vaddr;

		if (!read_segment(&elf, i, &segment, &vaddr))
			continue;
		/* An entry point by its virtual address, as GRUB and QEMU translate it. */
		if (elf.entry - vaddr < segment.file_size && vaddr <= elf.entry)
			out->entry = elf.entry - vaddr + segment.gpa;
		err = add_segment(&elf, &segment, out, why);
		if (err)
			return err;
	}
	if (!holds_entry(out) || out->end > 1ull << 32)
		return load_refuse(why, "the ELF entry point lies in no segment below 4 GiB");
	return 0;
}

/* Multiboot Specification 3.1.1: three words that sum to zero, at a multiple of four. */
static bool find_header(const u8 *file, size_t size, struct multiboot_header *out)
{
	size_t limit = MIN(size, (size_t)MULTIBOOT_HEADER_SEARCH);

	for (size_t at = 0; at + sizeof(*out) <= limit; at += 4) {
		memcpy(out, file + at, sizeof(*out));
		if (out->magic == MULTIBOOT_HEADER_MAGIC &&
		    (u32)(out->magic + out->flags + out->checksum) == 0)
			return true;
	}
	return false;
}

int load_plan_multiboot(const void *file, size_t size, u64 memory, struct load_plan *out,
			const char **why)
{
	struct multiboot_header header;
	u32 known = MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY;

	if (!find_header(file, size, &header))
		return load_refuse(why, "there is no multiboot header in the first 8192 bytes");
	if (header.flags & MULTIBOOT_REQUIRED & ~known)
		return load_refuse(why, "the multiboot header requires what is not offered");
	return load_plan_elf(file, size, memory, out, why);
}

int load_plan_real(const void *file, size_t size, u64 memory, struct load_plan *out,
		   const char **why)
{
	if (size == 0 || size > MACHINE_HOLE_START - MACHINE_REAL_ENTRY)
		return load_refuse(why, "a real-mode image has 1 to 623 KiB");
	if (!ram_contains(memory, MACHINE_REAL_ENTRY, size))
		return load_refuse(why, "the real-mode image does not fit the VM's memory");
	*out = (struct load_plan){
		.segment = {{0, size, MACHINE_REAL_ENTRY, size}},
		.segments = 1,
		.entry = MACHINE_REAL_ENTRY,
		.end = MACHINE_REAL_ENTRY + size,
	};
	return 0;
}

/* A jump, perhaps behind NOPs: near or far. */
static bool is_reset_vector(const u8 *code)
{
	const u8 *end = code + BIOS_RESET_VECTOR;

	while (code < end && *code == 0x90)
		code++;
	return code < end && (*code == 0xea || *code == 0xe9 || *code == 0xeb);
}

int load_plan_bios(const void *file, size_t size, u64 memory, struct load_plan *out,
		   const char **why)
{
	const size_t most = MACHINE_DEVICES_END - BIOS_ROM_START;
	const size_t copy = MIN(size, (size_t)BIOS_COPY_SIZE);

	if (size == 0 || size > most || !IS_ALIGNED(size, BIOS_SIZE_UNIT))
		return load_refuse(why, "a BIOS has 64 KiB to 1 MiB, in steps of 64 KiB");
	if (!is_reset_vector((const u8 *)file + size - BIOS_RESET_VECTOR))
		return load_refuse(why, "a BIOS has a jump 16 bytes before its end");
	*out = (struct load_plan){
		.segment = {{0, size, MACHINE_DEVICES_END - size, size},
			    {size - copy, copy, MACHINE_HOLE_END - copy, copy}},
		.segments = 2,
		.entry = MACHINE_DEVICES_END - BIOS_RESET_VECTOR,
		.end = MACHINE_DEVICES_END,
	};
	return 0;
}
