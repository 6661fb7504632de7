/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poison.c: debug builds fill a freed frame with a pattern and check it at the next allocation.
 *
 * Why: a write through a stale mapping of a freed frame otherwise shows much later, in the data of
 * the frame's next user. Frames never allocated hold what the firmware left and are not checked.
 *
 * Invariants:
 *   POISON-1  a frame that is FRAME_IS_POISONED shows the pattern, or was written to after it was
 *             freed
 */
#include "mm/frame/internal.h"
#include <arch/cpu.h>
#include <lib/log.h>

#define POISON 0x5a5afee15a5afee1ull

static u64 *frame_words(u64 mfn)
{
	return arch_hpa_to_virt(mfn_to_hpa((struct mfn){mfn}));
}

void frame_poison(u64 mfn)
{
	u64 *words = frame_words(mfn);

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		words[i] = POISON;
	frame_record((struct mfn){mfn})->state |= FRAME_IS_POISONED;
}

void frame_check_poison(u64 mfn)
{
	struct frame *frame = frame_record((struct mfn){mfn});
	const u64 *words = frame_words(mfn);

	if (!(frame->state & FRAME_IS_POISONED))
		return;
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		if (words[i] != POISON)
			panic("frame 0x%lx was written to while it was free: word %u is 0x%lx", mfn,
			      i, words[i]);
	frame->state &= (u8)~FRAME_IS_POISONED;
}
