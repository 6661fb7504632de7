/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c: blocks of an image and over it. disk.h has the table.
 */
#include "hv/virtio/disk.h"
#include <arch/cpu.h>
#include <hv/memory.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>

#define TABLE_WORDS (PAGE_SIZE / sizeof(u64))
#define WORD_ZEROES 1u
#define WORD_FRAME  2u

static u64 count_blocks(const struct disk *disk)
{
	return ALIGN_UP(disk->bytes, DISK_BLOCK) / DISK_BLOCK;
}

static u64 count_tables(const struct disk *disk)
{
	return ALIGN_UP(count_blocks(disk), TABLE_WORDS) / TABLE_WORDS;
}

int disk_init(struct disk *disk, const void *image, u64 bytes)
{
	*disk = (struct disk){.image = image, .bytes = ALIGN_DOWN(bytes, DISK_SECTOR)};
	if (!disk->bytes || disk->bytes > DISK_BYTES_MAX)
		return ERR_RANGE;
	disk->top = hv_alloc(count_tables(disk) * sizeof(*disk->top));
	return disk->top ? 0 : ERR_NO_MEMORY;
}

static void free_word(u64 word)
{
	if (word & WORD_FRAME)
		frame_free((struct mfn){word >> PAGE_SHIFT}, 0);
}

void disk_fini(struct disk *disk)
{
	u64 tables = disk->top ? count_tables(disk) : 0;

	for (u64 i = 0; i < tables; i++) {
		u64 *table = disk->top[i];

		for (u64 word = 0; table && word < TABLE_WORDS; word++)
			free_word(table[word]);
		if (table)
			hv_free(table, PAGE_SIZE);
	}
	if (disk->top)
		hv_free(disk->top, tables * sizeof(*disk->top));
	disk->top = NULL;
}

static u64 word_of(const struct disk *disk, u64 block)
{
	const u64 *table;

	CHECK(block < count_blocks(disk));
	table = disk->top[block / TABLE_WORDS];
	return table ? table[block % TABLE_WORDS] : 0;
}

static u8 *frame_bytes(u64 word)
{
	return arch_hpa_to_virt((struct hpa){ALIGN_DOWN(word, PAGE_SIZE)});
}

const u8 *disk_block(const struct disk *disk, u64 block)
{
	u64 word = word_of(disk, block);

	if (word & WORD_ZEROES)
		return NULL;
	return word & WORD_FRAME ? frame_bytes(word) : disk->image + block * DISK_BLOCK;
}

bool disk_is_image(const struct disk *disk, u64 block)
{
	return !word_of(disk, block);
}

/* The place of the block's word, with its table. */
static int make_word(struct disk *disk, u64 block, u64 **out)
{
	u64 **table = &disk->top[block / TABLE_WORDS];

	CHECK(block < count_blocks(disk));
	if (!*table) {
		*table = hv_alloc(PAGE_SIZE);
		disk->tables += *table != NULL;
	}
	if (!*table)
		return ERR_NO_MEMORY;
	*out = &(*table)[block % TABLE_WORDS];
	return 0;
}

/* DISK-2. The last block of the image may be a part of one. */
static void copy_block(const struct disk *disk, u64 block, u8 *to)
{
	const u8 *from = disk_block(disk, block);
	u64 bytes = from ? MIN((u64)DISK_BLOCK, disk->bytes - block * DISK_BLOCK) : 0;

	if (bytes)
		memcpy(to, from, bytes);
	memset(to + bytes, 0, DISK_BLOCK - bytes);
}

int disk_own(struct disk *disk, u64 block, struct disk_page *out)
{
	struct mfn mfn;
	u64 *word;
	int err = make_word(disk, block, &word);

	if (err)
		return err;
	if (*word & WORD_FRAME) {
		*out = (struct disk_page){frame_bytes(*word), false};
		return 0;
	}
	err = frame_alloc(0, FRAME_HYPERVISOR, 0, &mfn);
	if (err)
		return err;
	*out = (struct disk_page){arch_hpa_to_virt(mfn_to_hpa(mfn)), true};
	copy_block(disk, block, out->bytes);
	return 0;
}

static struct mfn page_frame(const struct disk_page *page)
{
	return hpa_to_mfn(arch_virt_to_hpa(page->bytes));
}

void disk_keep(struct disk *disk, u64 block, const struct disk_page *page)
{
	u64 *table = disk->top[block / TABLE_WORDS];

	if (!page->fresh)
		return;
	table[block % TABLE_WORDS] = page_frame(page).raw << PAGE_SHIFT | WORD_FRAME;
	disk->frames++;
}

void disk_drop(struct disk *disk, const struct disk_page *page)
{
	if (page->fresh)
		frame_free(page_frame(page), 0);
}

int disk_zero(struct disk *disk, u64 block)
{
	u64 *word;
	int err = make_word(disk, block, &word);

	if (err)
		return err;
	disk->frames -= (*word & WORD_FRAME) != 0;
	free_word(*word);
	*word = WORD_ZEROES;
	return 0;
}
