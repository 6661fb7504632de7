/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdlib.h: for the hypervisor, in place of libc's. The packages' headers include it and use
 * nothing of it.
 */
#ifndef SAMEPAGE_SHIM_STDLIB_H
#define SAMEPAGE_SHIM_STDLIB_H

#include <stddef.h>

#endif
