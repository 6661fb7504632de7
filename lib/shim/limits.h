/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h: for the hypervisor, in place of libc's: what the packages' headers use of it.
 */
#ifndef SAMEPAGE_SHIM_LIMITS_H
#define SAMEPAGE_SHIM_LIMITS_H

#define CHAR_BIT  8
#define INT_MAX	  __INT_MAX__
#define UINT_MAX  (INT_MAX * 2u + 1u)
#define LONG_MAX  __LONG_MAX__
#define ULONG_MAX (LONG_MAX * 2ul + 1ul)

#endif
