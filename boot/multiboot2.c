/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multiboot2.c: the boot information of Multiboot2 2.0, section 3.6: a list of tags, each padded to
 * 8 bytes.
 *
 *     total_size, 0 | type, size, ... | type, size, ... | 0, 8
 */
#include <lib/error.h>
#include <lib/log.h>
#include "parse.h"

#define LOG_THIS LOG_BOOT

/* Far above what a loader writes, and far below what would be slow to read. */
#define MB2_SIZE_MAX (1u << 20)

enum mb2_tag_type {
	MB2_TAG_END = 0,
	MB2_TAG_COMMAND_LINE = 1,
	MB2_TAG_LOADER = 2,
	MB2_TAG_MODULE = 3,
	MB2_TAG_SIZES = 4,
	MB2_TAG_MAP = 6,
	MB2_TAG_RSDP_1 = 14,
	MB2_TAG_RSDP_2 = 15,
	MB2_TAG_EFI_RUNNING = 18,
};

struct mb2_tag {
	u32 type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	u32 start, end;
};

struct mb2_sizes {
	struct mb2_tag tag;
	u32 mem_lower, mem_upper; /* KiB from 0 and from 1 MiB */
};

struct mb2_map {
	struct mb2_tag tag;
	u32 entry_size, entry_version;
};

struct mb2_map_entry {
	u64 start, length;
	u32 type, zero;
};

/* One walk over the tags. */
struct mb2_walk {
	const struct boot_reader *reader;
	struct boot_info *info;
	struct boot_map *map;
	struct mb2_sizes sizes; /* size 0: none seen */
};

static void mb2_parse_text(struct mb2_walk *walk, u64 at, u32 size, char *to, size_t capacity,
			   const char *what)
{
	if (*to) {
		log_warn("multiboot2: a second %s: ignored", what);
		return;
	}
	boot_copy_string(walk->reader, at + sizeof(struct mb2_tag), size - sizeof(struct mb2_tag),
			 to, capacity, what);
}

static void mb2_parse_command_line(struct mb2_walk *walk, u64 at, u32 size)
{
	mb2_parse_text(walk, at, size, walk->info->command_line, sizeof(walk->info->command_line),
		       "command line");
}

static void mb2_parse_loader(struct mb2_walk *walk, u64 at, u32 size)
{
	mb2_parse_text(walk, at, size, walk->info->loader, sizeof(walk->info->loader),
		       "loader's name");
}

static void mb2_parse_module(struct mb2_walk *walk, u64 at, u32 size)
{
	struct boot_module *module;
	struct mb2_module raw;

	if (!boot_read(walk->reader, at, &raw, sizeof(raw)))
		return;
	module = boot_module_add(walk->info, raw.start, raw.end);
	if (module)
		boot_copy_string(walk->reader, at + sizeof(raw), size - sizeof(raw),
				 module->command_line, sizeof(module->command_line),
				 "module's command line");
}

static void mb2_parse_sizes(struct mb2_walk *walk, u64 at, u32 size)
{
	if (!boot_read(walk->reader, at, &walk->sizes, sizeof(walk->sizes)))
		walk->sizes.tag.size = 0;
}

static void mb2_parse_map(struct mb2_walk *walk, u64 at, u32 size)
{
	struct mb2_map_entry entry;
	struct mb2_map head;
	u32 left = size - (u32)sizeof(head);

	if (!boot_read(walk->reader, at, &head, sizeof(head)))
		return;
	if (head.entry_size < sizeof(entry)) {
		log_warn("multiboot2: memory map entries of %u bytes, at least %zu needed: map "
			 "ignored",
			 head.entry_size, sizeof(entry));
		return;
	}
	for (at += sizeof(head); left >= head.entry_size && !walk->map->full;
	     left -= head.entry_size) {
		if (!boot_read(walk->reader, at, &entry, sizeof(entry)))
			return;
		boot_map_add(walk->map, entry.start, entry.length, entry.type);
		at += head.entry_size;
	}
	if (left && !walk->map->full)
		log_warn("multiboot2: the memory map ends inside an entry (%u bytes left)", left);
}

/* The tag holds a copy of the firmware's RSDP; the longer of two wins. */
static void mb2_parse_rsdp(struct mb2_walk *walk, u64 at, u32 size)
{
	struct boot_info *info = walk->info;
	u32 length = MIN(size - (u32)sizeof(struct mb2_tag), (u32)sizeof(info->rsdp));

	if (length <= info->rsdp_length)
		return;
	info->rsdp_length = length;
	if (!boot_read(walk->reader, at + sizeof(struct mb2_tag), info->rsdp, length))
		info->rsdp_length = 0;
}

static void mb2_parse_efi_running(struct mb2_walk *walk, u64 at, u32 size)
{
	log_warn("multiboot2: the loader left UEFI's boot services running; their memory is not "
		 "safe from them");
}

static const struct mb2_handler {
	u32 type;
	u32 min_size;
	void (*parse)(struct mb2_walk *walk, u64 at, u32 size);
} mb2_handlers[] = {
	{MB2_TAG_COMMAND_LINE, sizeof(struct mb2_tag) + 1, mb2_parse_command_line},
	{MB2_TAG_LOADER, sizeof(struct mb2_tag) + 1, mb2_parse_loader},
	{MB2_TAG_MODULE, sizeof(struct mb2_module) + 1, mb2_parse_module},
	{MB2_TAG_SIZES, sizeof(struct mb2_sizes), mb2_parse_sizes},
	{MB2_TAG_MAP, sizeof(struct mb2_map), mb2_parse_map},
	{MB2_TAG_RSDP_1, sizeof(struct mb2_tag) + 20, mb2_parse_rsdp},
	{MB2_TAG_RSDP_2, sizeof(struct mb2_tag) + 36, mb2_parse_rsdp},
	{MB2_TAG_EFI_RUNNING, sizeof(struct mb2_tag), mb2_parse_efi_running},
};

static void mb2_parse_tag(struct mb2_walk *walk, u64 at, const struct mb2_tag *tag)
{
	for (size_t i = 0; i < ARRAY_SIZE(mb2_handlers); i++) {
		if (mb2_handlers[i].type != tag->type)
			continue;
		if (tag->size >= mb2_handlers[i].min_size)
			mb2_handlers[i].parse(walk, at, tag->size);
		else
			log_warn("multiboot2: a tag of type %u has %u bytes, at least %u needed: "
				 "ignored",
				 tag->type, tag->size, mb2_handlers[i].min_size);
	}
}

static void mb2_parse_tags(struct mb2_walk *walk, u64 address, u32 total)
{
	u32 offset = 8;
	struct mb2_tag tag;

	while (total - offset >= sizeof(tag)) {
		if (!boot_read(walk->reader, address + offset, &tag, sizeof(tag)))
			break;
		if (tag.type == MB2_TAG_END)
			return;
		if (tag.size < sizeof(tag) || tag.size > total - offset) {
			log_warn("multiboot2: the tag at offset %u (type %u) says it has %u bytes: "
				 "list ends here",
				 offset, tag.type, tag.size);
			return;
		}
		mb2_parse_tag(walk, address + offset, &tag);
		if (total - offset <= ALIGN_UP(tag.size, 8))
			break;
		offset += ALIGN_UP(tag.size, 8);
	}
	log_warn("multiboot2: the list of tags has no end tag");
}

int multiboot2_parse(const struct boot_reader *reader, u32 address, struct boot_info *info,
		     struct boot_map *map)
{
	struct mb2_walk walk = {.reader = reader, .info = info, .map = map};
	u32 total;

	if (!boot_read(reader, address, &total, sizeof(total))) {
		log_error("multiboot2: the information at 0x%x cannot be read", address);
		return ERR_RANGE;
	}
	if (!IS_ALIGNED(address, 8)) {
		log_error("multiboot2: the information at 0x%x is not aligned to 8 bytes", address);
		return ERR_FORMAT;
	}
	if (total < 16 || total > MB2_SIZE_MAX) {
		log_error(
			"multiboot2: the information at 0x%x says it has %u bytes: that cannot be",
			address, total);
		return ERR_FORMAT;
	}
	mb2_parse_tags(&walk, address, total);
	if (!map->count && walk.sizes.tag.size) {
		log_warn("multiboot2: no memory map; going by its two sizes, %u and %u KiB",
			 walk.sizes.mem_lower, walk.sizes.mem_upper);
		boot_map_add(map, 0, (u64)walk.sizes.mem_lower << 10, BOOT_MEMORY_USABLE);
		boot_map_add(map, 0x100000, (u64)walk.sizes.mem_upper << 10, BOOT_MEMORY_USABLE);
	}
	if (map->count)
		return 0;
	log_error("multiboot2: the loader does not say what memory there is");
	return ERR_NOT_FOUND;
}
