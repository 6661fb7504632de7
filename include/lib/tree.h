/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h: red-black trees, which are libbsd's (tree(3bsd)). Its header needs BSD's __unused, which
 * is defined here after libc's headers, where another meaning would break them.
 */
#ifndef SAMEPAGE_LIB_TREE_H
#define SAMEPAGE_LIB_TREE_H

#include <lib/types.h>

#ifndef __unused
#define __unused __attribute__((__unused__))
#endif
#include <bsd/sys/tree.h>

#endif
