/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h: what the fuzzers share.
 */
#ifndef SAMEPAGE_TESTS_FUZZ_H
#define SAMEPAGE_TESTS_FUZZ_H

#include <lib/types.h>

/* What libFuzzer calls for each input. Returns 0. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* Gives lib a console that drops everything and a panic that libFuzzer sees. Once is enough. */
void fuzz_init(void);

/* A property that must hold for every input: ends the run with the input kept, and says which. */
void fuzz_check(bool holds, const char *what);

#endif
