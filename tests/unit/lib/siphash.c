/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.c: lib/siphash.c against vectors of the reference implementation, and the key's effect.
 */
#include "sim/sim.h"
#include <lib/siphash.h>

/* The key and the messages of the reference: bytes 0, 1, 2 ... */
static const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
static const u64 message[] = {0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x1716151413121110};

static void the_values_are_those_of_the_reference(void **state)
{
	assert_true(siphash(&key, message, 0) == 0x726fdb47dd0e0e31);
	assert_true(siphash(&key, message, 1) == 0x93f5f5799a932462);
	assert_true(siphash(&key, message, 2) == 0x3f2acc7f57c29bdb);
}

static void each_bit_of_the_key_changes_the_value(void **state)
{
	u64 plain = siphash(&key, message, 3);

	for (unsigned bit = 0; bit < 128; bit++) {
		struct siphash_key other = key;

		other.word[bit / 64] ^= BIT(bit % 64);
		assert_true(siphash(&other, message, 3) != plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_values_are_those_of_the_reference),
		cmocka_unit_test(each_bit_of_the_key_changes_the_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
