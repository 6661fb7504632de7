/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage2.c: the counters of a VM's stage 2 and of its view, as one.
 */
#include <hv/vm.h>
#include <lib/types.h>

/* All members are counts of 64 bits. */
static void add_counts(struct stage2_stats *to, const struct stage2_stats *from)
{
	const u64 *add = (const u64 *)from;
	u64 *sum = (u64 *)to;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += add[i];
}

void vm_stage2_stats(const struct vm *vm, struct stage2_stats *out)
{
	struct stage2_stats view;

	stage2_stats(vm->stage2, out);
	if (!vm->view)
		return;
	stage2_stats(vm->view, &view);
	add_counts(out, &view);
}
