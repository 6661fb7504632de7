/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h: what boot's parsers share: a way to read machine memory that may fail, and the places
 * they fill in.
 *
 * Why: all that is parsed here was written by someone else, a boot loader or a firmware, and any of
 * it may be wrong. The parsers are pure: they see memory through `struct boot_reader` only, so that
 * they build on the host, where tests/unit gives them each known malformation and tests/fuzz random
 * ones.
 *
 * BOOT-1 no pointer, length or count from outside is used before it is checked; no addition of two
 *	  of them may wrap
 * BOOT-2 every loop over outside data is bounded by a constant, not by a count from outside
 * BOOT-3 what is malformed is named in a log line and left out; only a machine without memory, or
 *	  information that is none, is an error
 * (memory.c holds BOOT-4)
 */
#ifndef SAMEPAGE_BOOT_PARSE_H
#define SAMEPAGE_BOOT_PARSE_H

#include <arch/boot_info.h>
#include <lib/types.h>

/* Copies `length` bytes at a machine address; false when not all of them can be read, and then *to
 * is undefined. */
struct boot_reader {
	bool (*read)(void *context, u64 address, void *to, size_t length);
	void *context;
};

static inline bool boot_read(const struct boot_reader *reader, u64 address, void *to, size_t length)
{
	return reader->read(reader->context, address, to, length);
}

/* No x86 CPU has wider machine addresses (SDM vol. 3A, 4.1.4); this one may have fewer bits. */
#define BOOT_ADDRESS_LIMIT BIT(52)

/*
 * The memory map as the loader gave it, in its order; ranges may overlap. None is empty or wraps.
 */
#define BOOT_MAP_MAX 128
struct boot_map {
	struct boot_memory entry[BOOT_MAP_MAX];
	unsigned count;
	bool full; /* an entry was dropped, and that has been said */
	u64 limit; /* [I] machine addresses that the CPU and the direct map can reach end here */
};

/* Adds a range, or says why not. */
void boot_map_add(struct boot_map *map, u64 start, u64 length, u32 type);

/* Adds a module as the loader gave it; memory_check_modules() checks it. NULL when there is no
 * room, which is said. */
struct boot_module *boot_module_add(struct boot_info *info, u32 start, u32 end);

/*
 * Copies a string of at most `limit` bytes, its end included. One that does not end there or is
 * longer than `capacity` is cut, and unprintable characters become '?'; both are said, with `what`
 * for a name.
 */
void boot_copy_string(const struct boot_reader *reader, u64 address, u64 limit, char *to,
		      size_t capacity, const char *what);

/*
 * Fill in loader, command line, modules, RSDP (multiboot 2) and the raw map. `address` is the
 * loader's EBX. ERR_RANGE: the information cannot be read. ERR_FORMAT: it is none. ERR_NOT_FOUND:
 * it does not say what memory there is.
 */
int multiboot1_parse(const struct boot_reader *reader, u32 address, struct boot_info *info,
		     struct boot_map *map) __must_check;
int multiboot2_parse(const struct boot_reader *reader, u32 address, struct boot_info *info,
		     struct boot_map *map) __must_check;

/*
 * ACPI: takes the RSDP the loader gave (info->rsdp) or looks for one where a BIOS puts it, and
 * fills in what the MADT says. Without ACPI it says so and leaves info->cpu_count 0.
 */
void acpi_parse(const struct boot_reader *reader, struct boot_info *info);

/* memory.c, in this order; info->image must be set. */
void memory_sanitize(const struct boot_map *map, struct boot_info *info);
void memory_check_modules(struct boot_info *info);
void memory_find_usable(struct boot_info *info);
void memory_find_trampoline(struct boot_info *info);

/* Sets every option from a command line; reports what is unknown or malformed, and takes the
 * default for it. */
void options_parse(const char *line);

#endif
