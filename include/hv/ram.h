/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram.h: where a VM's memory lies in its guest-physical address space.
 *
 *     0        640 KiB     1 MiB             3 GiB            4 GiB
 *     | RAM     | ROM, VGA  | RAM  ...........| APICs, BARs    | RAM ....
 *
 * `memory`, the size that the VM's line names, counts the hole below 1 MiB and leaves out the one
 * below 4 GiB: what does not lie below 3 GiB begins at 4 GiB. The same with and without a board.
 *
 * Invariants:
 * RAM-1  The ranges ascend, are not empty and do not touch; no byte of them lies in a hole.
 *
 * Pure; any context.
 */
#ifndef SAMEPAGE_HV_RAM_H
#define SAMEPAGE_HV_RAM_H

#include <lib/types.h>

#define RAM_RANGES_MAX 3

struct ram_range {
	u64 start, end;
};

/* Range `n` of a VM of `memory` bytes; false: it has no more. */
bool ram_range(u64 memory, unsigned n, struct ram_range *out);

/* Does [gpa, gpa + size) lie in one range? */
bool ram_contains(u64 memory, u64 gpa, u64 size);

/* The end of RAM below 4 GiB; the end of all of it. */
u64 ram_low_end(u64 memory);
u64 ram_end(u64 memory);

#endif
