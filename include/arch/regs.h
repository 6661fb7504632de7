/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regs.h: bits of the control registers, EFER, RFLAGS, XCR0 and of segment attributes (SDM vol. 3A
 * 2.3, 2.5; APM vol. 2 3.1), and the exception vectors. Constants only: the instructions that
 * access such registers are in <asm/regs.h>.
 */
#ifndef SAMEPAGE_ARCH_REGS_H
#define SAMEPAGE_ARCH_REGS_H

#include <lib/types.h>

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME	       BIT(0)
#define CR4_PVI	       BIT(1)
#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_PCE	       BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)

#define EFER_SCE   BIT(0)
#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define EFER_NXE   BIT(11)
#define EFER_SVME  BIT(12)
#define EFER_LMSLE BIT(13)
#define EFER_FFXSR BIT(14)
#define EFER_TCE   BIT(15)

#define RFLAGS_CF BIT(0)
#define RFLAGS_R1 BIT(1) /* always 1 */
#define RFLAGS_ZF BIT(6)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_DF BIT(10)
#define RFLAGS_NT BIT(14)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

/*
 * The attributes of a segment in VMX's layout (SDM 25.4.1): the access byte, AVL, L, D/B, G, and
 * bit 16 for a segment that is unusable.
 */
#define SEG_ATTR_TYPE(attr) ((attr)&15)
#define SEG_ATTR_S	    BIT(4)
#define SEG_ATTR_DPL(attr)  ((attr) >> 5 & 3)
#define SEG_ATTR_DPL_BITS   BITS(6, 5)
#define SEG_ATTR_P	    BIT(7)
#define SEG_ATTR_L	    BIT(13)
#define SEG_ATTR_DB	    BIT(14)
#define SEG_ATTR_G	    BIT(15)
#define SEG_ATTR_UNUSABLE   BIT(16)

/* Attributes of whole segments. Code and data: present, accessed, ring 0, limit 4 GiB. */
#define SEG_CODE_64  0xa09b
#define SEG_CODE_32  0xc09b
#define SEG_DATA_32  0xc093
#define SEG_BUSY_TSS 0x8b

enum vector {
	VECTOR_DE = 0,
	VECTOR_DB = 1,
	VECTOR_NMI = 2,
	VECTOR_BP = 3,
	VECTOR_OF = 4,
	VECTOR_BR = 5,
	VECTOR_UD = 6,
	VECTOR_NM = 7,
	VECTOR_DF = 8,
	VECTOR_TS = 10,
	VECTOR_NP = 11,
	VECTOR_SS = 12,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MF = 16,
	VECTOR_AC = 17,
	VECTOR_MC = 18,
	VECTOR_XM = 19,
	VECTOR_VE = 20,
	VECTOR_CP = 21,
};

#endif
