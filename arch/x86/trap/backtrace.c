/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtrace.c: the callers of a function, by the frame pointers they saved.
 *
 *     rbp -> | caller's rbp | return address |
 *
 * A function that needs no stack gets no frame from gcc, and a call through a bad pointer has not
 * saved anything yet: then the return address is still on top of the stack. What an interrupt
 * interrupted stands in the frame that traps.S made.
 */
#include <asm/backtrace.h>
#include <arch/cpu.h>
#include <asm/image.h>
#include <asm/stacks.h>
#include <asm/symbols.h>
#include <asm/traps.h>
#include <lib/string.h>

#define FRAMES_MAX 32

static bool in_text(u64 address)
{
	return address >= (u64)image_text_start && address < (u64)image_text_end;
}

/* push %rbp; mov %rsp, %rbp */
static const u8 prologue[] = {0x55, 0x48, 0x89, 0xe5};

static bool has_frame(u64 rip)
{
	u64 offset;

	return symbol_find(rip, &offset) && offset >= sizeof(prologue) &&
	       !memcmp((const u8 *)rip - offset, prologue, sizeof(prologue));
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

void backtrace_walk(const struct place *from, void (*visit)(u64 address, bool returned))
{
	u64 rbp = from->rbp;

	visit(from->rip, false);
	if (!has_frame(from->rip) && on_stack(from->rsp, 1) && in_text(*(const u64 *)from->rsp))
		visit(*(const u64 *)from->rsp, true);
	for (unsigned i = 0; i < FRAMES_MAX && on_stack(rbp, 2); i++) {
		const u64 *frame = (const u64 *)rbp;

		if (!in_text(frame[1]))
			return;
		visit(frame[1], true);
		if (frame[1] == (u64)trap_return)
			visit(((const struct trap_frame *)(frame + 2))->rip, false);
		rbp = frame[0];
	}
}
