/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.h: single instructions that have no home among the registers (<asm/regs.h>) and MSRs
 * (<asm/msr.h>).
 */
#ifndef SAMEPAGE_ASM_INSN_H
#define SAMEPAGE_ASM_INSN_H

#include <lib/types.h>

static inline void cpu_irq_off(void)
{
	asm volatile("cli" : : : "memory");
}

/* Lets pending host interrupts in: STI holds them off for one instruction, the nop, and they come
 * before the cli. */
static inline void cpu_irq_window(void)
{
	asm volatile("sti; nop; cli" : : : "memory");
}

static inline void cpu_pause(void)
{
	asm volatile("pause" : : : "memory");
}

static inline u64 tsc_read(void)
{
	u64 low, high; /* RDTSC clears the high halves of both */

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return high << 32 | low;
}

static inline void tlb_flush_page(u64 address)
{
	asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

#endif
