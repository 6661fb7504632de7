/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poison.c: debug builds fill free frames with a pattern and look at it when the frame is
 * handed out again.
 *
 * Why: a write through a stale mapping of a freed frame is otherwise seen much later, in somebody
 * else's data. Frames that were never handed out hold what the firmware left there and are not
 * looked at.
 *
 * Invariants:
 *   POISON-1  a frame that is FRAME_IS_POISONED shows the pattern, or was written to after it was
 * freed
 */
#include <arch/cpu.h>
#include <lib/log.h>

#include "mm/frame/internal.h"

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
			panic("frame 0x%llx was written to while it was free: word %u is 0x%llx",
			      (unsigned long long)mfn, i, (unsigned long long)words[i]);
	frame->state &= (u8)~FRAME_IS_POISONED;
}
