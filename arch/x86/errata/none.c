/* SPDX-License-Identifier: Apache-2.0 */
/*
 * none.c: a build for machines without known faults.
 */
#include <asm/errata.h>

struct errata errata;

void errata_init(void)
{
}
