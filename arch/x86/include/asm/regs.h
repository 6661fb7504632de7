/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regs.h: the instructions that read and write control, debug and flag registers.
 */
#ifndef SAMEPAGE_ASM_REGS_H
#define SAMEPAGE_ASM_REGS_H

#include <arch/regs.h>
#include <lib/types.h>

#define DR6_BS	  BIT(14)
#define DR6_RESET 0xffff0ff0ull
#define DR7_GD	  BIT(13)
#define DR7_RESET 0x400ull

#define DEFINE_READ(reg)                                          \
	static inline u64 read_##reg(void)                        \
	{                                                         \
		u64 value;                                        \
                                                                  \
		asm volatile("mov %%" #reg ", %0" : "=r"(value)); \
		return value;                                     \
	}
#define DEFINE_WRITE(reg)                                                  \
	static inline void write_##reg(u64 value)                          \
	{                                                                  \
		asm volatile("mov %0, %%" #reg : : "r"(value) : "memory"); \
	}

DEFINE_READ(cr0)
DEFINE_WRITE(cr0)
DEFINE_READ(cr2)
DEFINE_WRITE(cr2)
DEFINE_READ(cr3)
DEFINE_WRITE(cr3)
DEFINE_READ(cr4)
DEFINE_WRITE(cr4)
DEFINE_READ(cr8)
DEFINE_READ(dr0)
DEFINE_WRITE(dr0)
DEFINE_READ(dr1)
DEFINE_WRITE(dr1)
DEFINE_READ(dr2)
DEFINE_WRITE(dr2)
DEFINE_READ(dr3)
DEFINE_WRITE(dr3)
DEFINE_READ(dr6)
DEFINE_WRITE(dr6)
DEFINE_READ(dr7)
DEFINE_WRITE(dr7)

static inline u64 read_rflags(void)
{
	u64 value;

	asm volatile("pushfq; popq %0" : "=r"(value));
	return value;
}

static inline u64 xgetbv(u32 index)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static inline void xsetbv(u32 index, u64 value)
{
	asm volatile("xsetbv" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

#endif
