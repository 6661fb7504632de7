/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extable.h: instructions of the hypervisor's own that may fault, and where to go on when they do.
 *
 * Each entry is a struct extable_entry in the section .extable; linker.ld bounds it by
 * __extable_start and
 * __extable_end. The handler of #GP, #PF and #UD taken in the hypervisor calls extable_fixup()
 * before it panics.
 */
#ifndef SAMEPAGE_ASM_EXTABLE_H
#define SAMEPAGE_ASM_EXTABLE_H

#include <lib/types.h>

struct extable_entry {
	u64 insn;
	u64 fixup;
};

#define EXTABLE(insn, fixup) \
	".pushsection .extable, \"a\"; .quad " insn ", " fixup "; .popsection\n"

extern const struct extable_entry __extable_start[], __extable_end[];

/* Where execution goes on after a fault at `rip`; 0: no fault is expected there. Any context. */
static inline u64 extable_fixup(u64 rip)
{
	for (const struct extable_entry *e = __extable_start; e < __extable_end; e++) {
		if (e->insn == rip)
			return e->fixup;
	}
	return 0;
}

#endif
