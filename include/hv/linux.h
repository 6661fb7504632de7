/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.h: writes a Linux kernel's boot parameters, tables and RAM disk into a VM. bzimage.h has
 * the memory map.
 */
#ifndef SAMEPAGE_HV_LINUX_H
#define SAMEPAGE_HV_LINUX_H

#include <arch/virt.h>
#include <hv/loader.h>

struct vm;

/*
 * Writes boot parameters, command line, tables and the initial RAM disk (the first module) of a
 * kernel with all its segments written. ERR_RANGE with a message: something does not fit.
 * ERR_NO_MEMORY.
 */
int linux_write(struct vm *vm, const struct load_plan *plan, const void *file,
		const struct load_module *modules, unsigned count) __must_check;

/* The CPU state of the 64-bit entry point. */
void linux_state(struct guest_state *state, const struct load_plan *plan);

#endif
