/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtrace.c: the callers of a function, by the frame pointers they saved.
 *
 *     rbp -> | caller's rbp | return address |
 *
 * A call through a bad pointer has not saved anything yet: then the return address is on top of the
 * stack.
 */
#include <arch/cpu.h>
#include <asm/backtrace.h>
#include <asm/image.h>
#include <asm/stacks.h>

#define FRAMES_MAX 32

static bool in_text(u64 address)
{
	return address >= (u64)image_text_start && address < (u64)image_text_end;
}

/* Are there `words` words at `address`, on a stack of this CPU? */
static bool on_stack(u64 address, unsigned words)
{
	if (!IS_ALIGNED(address, sizeof(u64)))
		return false;
	for (enum stack_kind kind = 0; kind < STACKS; kind++) {
		struct stack stack = stack_of(arch_cpu_id(), kind);

		if (address >= stack.bottom && address + words * sizeof(u64) <= stack.top)
			return true;
	}
	return false;
}

void backtrace_walk(const struct place *from, void (*visit)(u64 address))
{
	u64 rbp = from->rbp;

	visit(from->rip);
	if (!in_text(from->rip) && on_stack(from->rsp, 1))
		visit(*(const u64 *)from->rsp);
	for (unsigned i = 0; i < FRAMES_MAX && on_stack(rbp, 2); i++) {
		const u64 *frame = (const u64 *)rbp;

		if (!in_text(frame[1]))
			return;
		visit(frame[1]);
		rbp = frame[0];
	}
}
