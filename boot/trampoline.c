/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trampoline.c: fills the page an application processor starts in. trampoline.S is what runs there.
 */
#include <asm/trampoline.h>
#include <arch/cpu.h>
#include <asm/regs.h>
#include <lib/log.h>
#include <lib/string.h>

_Static_assert(offsetof(struct trampoline_start, efer) == TRAMPOLINE_EFER, "trampoline.S");
_Static_assert(offsetof(struct trampoline_start, cr3) == TRAMPOLINE_CR3, "trampoline.S");
_Static_assert(offsetof(struct trampoline_start, stack) == TRAMPOLINE_STACK, "trampoline.S");
_Static_assert(offsetof(struct trampoline_start, entry) == TRAMPOLINE_ENTRY, "trampoline.S");
_Static_assert(offsetof(struct trampoline_start, argument) == TRAMPOLINE_ARGUMENT, "trampoline.S");

extern const char trampoline_code[], trampoline_code_end[];

void trampoline_prepare(struct hpa page, const struct trampoline_start *start)
{
	struct trampoline_start copy = *start;
	char *to = arch_hpa_to_virt(page);

	CHECK(IS_ALIGNED(page.raw, PAGE_SIZE) && page.raw && page.raw < 0xa0000);
	CHECK(trampoline_code_end - trampoline_code <= TRAMPOLINE_START);
	copy.efer = (copy.efer | EFER_LME) & ~EFER_LMA;
	memcpy(to, trampoline_code, (size_t)(trampoline_code_end - trampoline_code));
	memcpy(to + TRAMPOLINE_START, &copy, sizeof(copy));
}
