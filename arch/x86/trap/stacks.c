/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stacks.c: where each stack lies, and which guard page an address is in.
 */
#include <asm/stacks.h>
#include <arch/cpu.h>
#include <asm/image.h>

#define STACKS_STRIDE BIT(20)

static const struct {
	const char *name;
	unsigned pages;
} kinds[STACKS] = {
	[STACK_MAIN] = {"main", STACK_MAIN_PAGES},
	[STACK_NMI] = {"NMI", STACK_IST_PAGES},
	[STACK_DF] = {"#DF", STACK_IST_PAGES},
	[STACK_MC] = {"#MC", STACK_IST_PAGES},
};

struct stack stack_of(unsigned cpu, enum stack_kind kind)
{
	u64 guard = STACK_BASE + cpu * STACKS_STRIDE;

	if (cpu == 0 && kind == STACK_MAIN)
		return (struct stack){(u64)boot_stack_guard, (u64)boot_stack_bottom,
				      (u64)boot_stack_top};
	for (unsigned i = 0; i < kind; i++)
		guard += (1 + kinds[i].pages) * PAGE_SIZE;
	return (struct stack){guard, guard + PAGE_SIZE,
			      guard + (1 + kinds[kind].pages) * PAGE_SIZE};
}

bool stack_guard_find(u64 address, unsigned *cpu, enum stack_kind *kind)
{
	for (*cpu = 0; *cpu < ARCH_CPUS_MAX; ++*cpu) {
		for (*kind = 0; *kind < STACKS; ++*kind) {
			struct stack stack = stack_of(*cpu, *kind);

			if (address >= stack.guard && address < stack.bottom)
				return true;
		}
	}
	return false;
}

const char *stack_name(enum stack_kind kind)
{
	return kinds[kind].name;
}
