/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_bzimage.c: the Linux loader's parser on a file that is no kernel.
 *
 *     byte 0     the VM's memory in units of 16 MiB, less one
 *     1 to 4     the initial RAM disk's size
 *     the rest   the file
 *
 * Checked for every input: LINUX-1 by ASan (the file is a heap block of its own size) and LINUX-2
 * here.
 */
#include <arch/addr.h>
#include <hv/bzimage.h>
#include <stdlib.h>
#include <string.h>
#include <lib/error.h>
#include "fuzz.h"

#define LOW_END 0x100000ull

#define SYSSIZE 0x1f4 /* in the setup header: paragraphs of code */

static void check_plan(const u8 *file, const struct load_plan *plan, size_t size, u64 memory)
{
	const struct load_segment *kernel = &plan->segment[0];
	u32 paragraphs;

	memcpy(&paragraphs, file + SYSSIZE, sizeof(paragraphs));
	fuzz_check((kernel->file_size + 15) / 16 >= paragraphs, "LINUX-2: the code is cut short");
	fuzz_check(plan->segments == 1, "LINUX-2: a kernel is one piece");
	fuzz_check(kernel->file_size <= size && kernel->offset <= size - kernel->file_size,
		   "LINUX-2: the code lies outside the file");
	fuzz_check(kernel->file_size <= kernel->size, "LINUX-2: more file than room");
	fuzz_check(kernel->gpa >= LOW_END && kernel->gpa < memory &&
			   kernel->size <= memory - kernel->gpa,
		   "LINUX-2: the kernel lies outside RAM");
	fuzz_check(plan->end == kernel->gpa + kernel->size, "LINUX-2: end");
	fuzz_check(plan->entry >= kernel->gpa && plan->entry - kernel->gpa < kernel->file_size,
		   "LINUX-2: the entry point lies outside the code");
}

static void check_initrd(const u8 *file, const struct load_plan *plan, u64 memory, u64 size)
{
	u64 gpa;

	if (linux_place_initrd(file, plan, memory, size, &gpa) != 0)
		return;
	fuzz_check(IS_ALIGNED(gpa, PAGE_SIZE) && gpa >= plan->end, "LINUX-2: it hits the kernel");
	fuzz_check(gpa <= memory && size <= memory - gpa && gpa + size <= 1ull << 32,
		   "LINUX-2: the RAM disk lies outside RAM");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 params[LINUX_PARAMS_SIZE];
	struct linux_boot boot = {0};
	struct load_plan plan;
	const char *why = NULL;
	u32 initrd;
	u8 *file;

	if (size < 5)
		return 0;
	fuzz_init();
	boot.memory = ((u64)data[0] + 1) << 24;
	memcpy(&initrd, data + 1, sizeof(initrd));
	size -= 5;
	file = malloc(size ? size : 1);
	memcpy(file, data + 5, size);
	if (load_plan_linux(file, size, boot.memory, &plan, &why) == 0) {
		check_plan(file, &plan, size, boot.memory);
		check_initrd(file, &plan, boot.memory, initrd);
		linux_fill_params(file, &boot, params);
	} else {
		fuzz_check(why && strlen(why) > 0, "a refusal says why");
	}
	free(file);
	return 0;
}
