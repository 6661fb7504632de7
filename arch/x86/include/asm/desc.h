/* SPDX-License-Identifier: Apache-2.0 */
/*
 * desc.h: the GDT every CPU has, its TSS, and the registers that point at them (SDM vol.
 * 3A, 3.4-3.5, 8.7).
 *
 *     0x00 null   0x08 code, 64 bit, ring 0   0x10 data, ring 0   0x18 TSS (16 bytes)
 */
#ifndef SAMEPAGE_ASM_DESC_H
#define SAMEPAGE_ASM_DESC_H

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS	 0x18

/* Which stack of the TSS an exception switches to; 0: stay on the current one. */
#define IST_NONE 0
#define IST_NMI	 1
#define IST_DF	 2
#define IST_MC	 3
#define ISTS	 3

#ifndef __ASSEMBLER__

#include <lib/types.h>

enum { GDT_NULL, GDT_CODE, GDT_DATA, GDT_TSS, GDT_TSS_HIGH, GDT_ENTRIES };

struct __packed tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 io_map;
};

_Static_assert(sizeof(struct tss) == 104, "a 64-bit TSS has 104 bytes");

/* What LGDT, LIDT, SGDT and SIDT move. */
struct __packed desc_pointer {
	u16 limit;
	u64 base;
};

static inline struct desc_pointer gdtr_read(void)
{
	struct desc_pointer p;

	asm volatile("sgdt %0" : "=m"(p));
	return p;
}

static inline struct desc_pointer idtr_read(void)
{
	struct desc_pointer p;

	asm volatile("sidt %0" : "=m"(p));
	return p;
}

struct percpu;

/* Fills the IDT, once. */
void idt_init(void);
extern struct idt_gate {
	u16 offset_low;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset_middle;
	u32 offset_high;
	u32 reserved;
} idt[];

/* Where `cpu` takes NMI, #DF and #MC: on one early stack, or on those of <asm/stacks.h>. */
void desc_use_early_stack(struct percpu *cpu);
void desc_use_stacks(struct percpu *cpu);

/* Loads GDT, TSS, IDT, segments and GS base, on the CPU itself. */
void desc_load(struct percpu *cpu);

#endif
#endif
