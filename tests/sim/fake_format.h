/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_format.h: a paging format that no CPU has, made to find mistakes of the walker.
 */
#ifndef SAMEPAGE_TESTS_SIM_FAKE_FORMAT_H
#define SAMEPAGE_TESTS_SIM_FAKE_FORMAT_H

#include <arch/pgtable.h>

/*
 * Every flag stands at another bit at each level, so an entry read with the wrong level reads as
 * something else: usually as not present.
 */
extern const struct pgtable_format fake_format;

#endif
