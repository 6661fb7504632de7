/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compress.c: a page as 512 tags of two bits, and after them what each tag needs.
 *
 *     0 .. 127                          from 128 on
 *     | tag 0 | tag 1 | ... | tag 511 | operands, in the order of the words |
 *
 *     ZERO   nothing                                 the word is 0
 *     SEEN   dictionary index, 1 byte                it is the word at that index
 *     NEAR   dictionary index, 1 byte; low 16 bits   its other 48 bits are those of that word
 *     NEW    8 bytes                                 itself
 *
 * NEAR and NEW put the word into the dictionary, at a place its upper 48 bits choose; so a pointer
 * finds its neighbours. Both sides build the same dictionary as they go.
 */
#include "mm/store/compress.h"
#include <arch/addr.h>
#include <lib/string.h>

#define WORDS	  (PAGE_SIZE / sizeof(u64))
#define TAGS_SIZE (PAGE_SIZE / 32) /* four tags a byte */
#define PLACES	  64
#define LOW_BITS  16

enum tag { TAG_ZERO, TAG_SEEN, TAG_NEAR, TAG_NEW };

static const u8 operand_size[] = {[TAG_SEEN] = 1, [TAG_NEAR] = 3, [TAG_NEW] = 8};

static unsigned place_of(u64 word)
{
	return (unsigned)((word >> LOW_BITS) * 0x9e3779b97f4a7c15ull >> 58);
}

/* Of a word that is not 0. */
static enum tag tag_of(u64 word, u64 known)
{
	if (word == known)
		return TAG_SEEN;
	return word >> LOW_BITS == known >> LOW_BITS ? TAG_NEAR : TAG_NEW;
}

static void write_operand(u8 *out, enum tag tag, u64 word, unsigned place)
{
	u16 low = (u16)word;

	if (tag == TAG_NEW) {
		__builtin_memcpy(out, &word, sizeof(word));
		return;
	}
	out[0] = (u8)place;
	if (tag == TAG_NEAR)
		__builtin_memcpy(out + 1, &low, sizeof(low));
}

static bool four_zeroes(const u64 *word)
{
	return !(word[0] | word[1] | word[2] | word[3]);
}

/* Most words are zeroes, so they are passed over before anything is looked up. */
size_t page_compress(const u64 *page, u8 *out, size_t room)
{
	u64 dictionary[PLACES] = {0};
	size_t used = TAGS_SIZE;

	if (room < TAGS_SIZE)
		return 0;
	memset(out, 0, TAGS_SIZE);
	for (unsigned i = 0; i < WORDS; i++) {
		u64 word = *(const volatile u64 *)&page[i];
		unsigned place;
		enum tag tag;

		if (i % 4 == 0 && four_zeroes(&page[i])) {
			i += 3;
			continue;
		}
		if (!word)
			continue;
		place = place_of(word);
		tag = tag_of(word, dictionary[place]);
		if (used + operand_size[tag] > room)
			return 0;
		out[i / 4] |= (u8)(tag << (i % 4 * 2));
		write_operand(out + used, tag, word, place);
		used += operand_size[tag];
		dictionary[place] = word;
	}
	return used;
}

static u64 read_operand(const u8 *in, enum tag tag, const u64 *dictionary)
{
	u64 word = 0;
	u16 low;

	if (tag == TAG_NEW) {
		__builtin_memcpy(&word, in, sizeof(word));
		return word;
	}
	word = dictionary[in[0] % PLACES];
	if (tag == TAG_SEEN)
		return word;
	__builtin_memcpy(&low, in + 1, sizeof(low));
	return ALIGN_DOWN(word, BIT(LOW_BITS)) | low;
}

void page_decompress(const u8 *in, u64 *page)
{
	u64 dictionary[PLACES] = {0};
	const u8 *operand = in + TAGS_SIZE;

	for (unsigned i = 0; i < WORDS; i++)
		page[i] = 0;
	for (unsigned i = 0; i < WORDS; i++) {
		enum tag tag = in[i / 4] >> (i % 4 * 2) & 3;

		if (i % 4 == 0 && !in[i / 4])
			i += 3;
		if (tag == TAG_ZERO)
			continue;
		page[i] = read_operand(operand, tag, dictionary);
		dictionary[place_of(page[i])] = page[i];
		operand += operand_size[tag];
	}
}
