/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_elf.c: the guest loader's parsers on a file that is no guest.
 *
 *     byte 0     bits 0 and 1: multiboot, elf, real or bios; the rest, plus one: MiB of memory
 *     the rest   the file
 *
 * Checked for every input: LOAD-1 by ASan (the file is a heap block of its own size) and LOAD-2
 * here.
 */
#include <stdlib.h>
#include <string.h>
#include <hv/bios.h>
#include <hv/loader.h>
#include <hv/ram.h>
#include <lib/error.h>
#include "fuzz.h"

typedef int planner(const void *, size_t, u64, struct load_plan *, const char **);

/* In the ROM, or in the copy below 1 MiB. */
static bool is_bios_place(u64 gpa, u64 size)
{
	return (gpa >= BIOS_ROM_START && gpa + size <= 1ull << 32) ||
	       (gpa >= (1u << 20) - BIOS_COPY_SIZE && gpa + size <= 1u << 20);
}

static void check_plan(const struct load_plan *plan, size_t size, u64 memory, bool bios)
{
	bool entry = false;

	fuzz_check(plan->segments <= LOAD_SEGMENTS_MAX, "LOAD-2: too many segments");
	for (unsigned i = 0; i < plan->segments; i++) {
		const struct load_segment *a = &plan->segment[i];

		fuzz_check(a->file_size <= size && a->offset <= size - a->file_size,
			   "LOAD-2: a segment lies outside the file");
		fuzz_check(a->file_size <= a->size, "LOAD-2: more file than segment");
		fuzz_check(bios ? is_bios_place(a->gpa, a->size)
				: ram_contains(memory, a->gpa, a->size),
			   "LOAD-2: a segment outside RAM");
		fuzz_check(a->gpa + a->size <= plan->end, "LOAD-2: end is before a segment's");
		entry |= plan->entry >= a->gpa && plan->entry < a->gpa + a->size;
		for (unsigned j = 0; j < i; j++) {
			const struct load_segment *b = &plan->segment[j];

			fuzz_check(a->gpa + a->size <= b->gpa || b->gpa + b->size <= a->gpa,
				   "LOAD-2: segments overlap");
		}
	}
	fuzz_check(entry, "LOAD-2: the entry point lies in no segment");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static planner *const planners[] = {load_plan_multiboot, load_plan_elf, load_plan_real,
					    load_plan_bios};
	struct load_plan plan;
	const char *why = NULL;
	u64 memory;
	u8 *file;
	int err;

	if (size < 1)
		return 0;
	fuzz_init();
	memory = ((u64)(data[0] >> 2) + 1) << 20;
	file = malloc(size - 1);
	memcpy(file, data + 1, size - 1);
	err = planners[data[0] & 3](file, size - 1, memory, &plan, &why);
	if (err == 0)
		check_plan(&plan, size - 1, memory, (data[0] & 3) == 3);
	else
		fuzz_check(why && strlen(why) > 0, "a refusal says why");
	free(file);
	return 0;
}
