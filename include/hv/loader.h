/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.h: from a boot module to a guest that can be entered.
 *
 * In two steps, because the file is not to be trusted: a plan is made by pure parsers that read
 * nothing past the file and promise that all of it lies in the VM's memory; then the plan is
 * carried out.
 */
#ifndef SAMEPAGE_HV_LOADER_H
#define SAMEPAGE_HV_LOADER_H

#include <lib/types.h>

#define LOAD_SEGMENTS_MAX 16
#define LOAD_MODULES_MAX  8

/* `size` bytes at `gpa`; the first `file_size` come from the file at `offset`, the rest is zero. */
struct load_segment {
	u64 offset, file_size, gpa, size;
};

struct load_plan {
	struct load_segment segment[LOAD_SEGMENTS_MAX];
	unsigned segments;
	u64 entry;
	bool entry_32; /* VM_LINUX: by the 32-bit boot protocol */
	u64 end;       /* first byte after the highest segment */
};

/*
 * The parsers: pure, any input. ERR_FORMAT with *why, a static sentence. `memory` is the VM's size;
 * a segment lies in one range of RAM (ram.h), a BIOS' beside it.
 *
 * elf: 32-bit, or 64-bit with all addresses below 4 GiB, x86, executable.
 * multiboot: an ELF file with a multiboot 1 header with no required flag that is unknown here.
 * real: a flat image that fits between MACHINE_REAL_ENTRY and the hole.
 * bios: an image that ends with a reset vector; its places are those of bios.h.
 */
int load_plan_elf(const void *file, size_t size, u64 memory, struct load_plan *out,
		  const char **why) __must_check;
int load_plan_multiboot(const void *file, size_t size, u64 memory, struct load_plan *out,
			const char **why) __must_check;
int load_plan_real(const void *file, size_t size, u64 memory, struct load_plan *out,
		   const char **why) __must_check;
int load_plan_bios(const void *file, size_t size, u64 memory, struct load_plan *out,
		   const char **why) __must_check;

/* A file for the guest beside its kernel. */
struct load_module {
	const void *file;
	size_t size;
	const char *arg;
};

struct vm;

/*
 * Loads `file` into the VM as its config says and sets vCPU 0 up to enter it. Errors are logged
 * with the VM's name. ERR_FORMAT, ERR_NO_MEMORY, ERR_RANGE (a module does not fit).
 */
int load_guest(struct vm *vm, const void *file, size_t size, const struct load_module *modules,
	       unsigned module_count) __must_check;

#endif
