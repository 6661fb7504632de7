/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.c: SipHash-2-4 of whole 64-bit words.
 */
#include <lib/siphash.h>

static u64 sip_rotate(u64 value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_rounds(u64 v[4], unsigned rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[1] = sip_rotate(v[1], 13) ^ v[0];
		v[0] = sip_rotate(v[0], 32);
		v[2] += v[3];
		v[3] = sip_rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = sip_rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = sip_rotate(v[1], 17) ^ v[2];
		v[2] = sip_rotate(v[2], 32);
	}
}

static void sip_absorb(u64 v[4], u64 word)
{
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
}

u64 siphash(const struct siphash_key *key, const u64 *words, unsigned count)
{
	u64 v[4] = {key->word[0] ^ 0x736f6d6570736575, key->word[1] ^ 0x646f72616e646f6d,
		    key->word[0] ^ 0x6c7967656e657261, key->word[1] ^ 0x7465646279746573};

	for (unsigned i = 0; i < count; i++)
		sip_absorb(v, words[i]);
	sip_absorb(v, (u64)(u8)(count * sizeof(u64)) << 56);
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
