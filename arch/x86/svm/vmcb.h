/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmcb.h: the virtual machine control block, as structs (AMD APM vol. 2, appendix B).
 *
 *     0x000  control area: what to intercept, why the guest stopped, what to inject
 *     0x400  state save area: the guest's registers, less the general ones
 *
 * VMCB_FIELDS and VMCB_SEGMENTS name every field once with its offset: the asserts below and the
 * dump are made from them.
 */
#ifndef SAMEPAGE_SVM_VMCB_H
#define SAMEPAGE_SVM_VMCB_H

#include <arch/addr.h>
#include <lib/types.h>

struct vmcb_control {
	u32 intercept[6]; /* CR, DR, exceptions, misc 1, misc 2, misc 3: enum svm_intercept_word */
	u32 reserved0[9];
	u16 pause_filter_threshold;
	u16 pause_filter_count;
	u64 iopm_pa;
	u64 msrpm_pa;
	u64 tsc_offset;
	u32 asid;
	u32 tlb_control;
	u64 virq;
	u64 interrupt_shadow;
	u64 exit_code;
	u64 exit_info1;
	u64 exit_info2;
	u64 exit_int_info;
	u64 nested_ctl;
	u64 avic_bar;
	u64 ghcb;
	u64 event_inj;
	u64 nested_cr3;
	u64 virt_ext;
	u32 clean;
	u32 reserved1;
	u64 next_rip;
	u8 insn_len;
	u8 insn_bytes[15];
	u64 avic_backing_page;
	u64 reserved2;
	u64 avic_logical_table;
	u64 avic_physical_table;
	u8 reserved3[0x400 - 0x100];
};

struct vmcb_segment {
	u16 selector;
	u16 attrib; /* descriptor bits 40-47 and 52-55, pushed together (APM 15.5.1) */
	u32 limit;
	u64 base;
};

struct vmcb_save {
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved0[0x4cb - 0x4a0];
	u8 cpl;
	u32 reserved1;
	u64 efer;
	u8 reserved2[0x548 - 0x4d8];
	u64 cr4, cr3, cr0;
	u64 dr7, dr6;
	u64 rflags, rip;
	u8 reserved3[0x5d8 - 0x580];
	u64 rsp;
	u64 s_cet, ssp, isst_addr;
	u64 rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved4[0x668 - 0x648];
	u64 g_pat;
	u64 dbgctl, br_from, br_to, lastexcp_from, lastexcp_to;
	u8 reserved5[0xc00 - 0x298];
};

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
} __aligned(4096);

#define VMCB_FIELDS(X)                           \
	X(control.intercept[0], 0x000)           \
	X(control.intercept[1], 0x004)           \
	X(control.intercept[2], 0x008)           \
	X(control.intercept[3], 0x00c)           \
	X(control.intercept[4], 0x010)           \
	X(control.intercept[5], 0x014)           \
	X(control.pause_filter_threshold, 0x03c) \
	X(control.pause_filter_count, 0x03e)     \
	X(control.iopm_pa, 0x040)                \
	X(control.msrpm_pa, 0x048)               \
	X(control.tsc_offset, 0x050)             \
	X(control.asid, 0x058)                   \
	X(control.tlb_control, 0x05c)            \
	X(control.virq, 0x060)                   \
	X(control.interrupt_shadow, 0x068)       \
	X(control.exit_code, 0x070)              \
	X(control.exit_info1, 0x078)             \
	X(control.exit_info2, 0x080)             \
	X(control.exit_int_info, 0x088)          \
	X(control.nested_ctl, 0x090)             \
	X(control.avic_bar, 0x098)               \
	X(control.ghcb, 0x0a0)                   \
	X(control.event_inj, 0x0a8)              \
	X(control.nested_cr3, 0x0b0)             \
	X(control.virt_ext, 0x0b8)               \
	X(control.clean, 0x0c0)                  \
	X(control.next_rip, 0x0c8)               \
	X(control.insn_len, 0x0d0)               \
	X(control.insn_bytes[0], 0x0d1)          \
	X(control.insn_bytes[1], 0x0d2)          \
	X(control.insn_bytes[2], 0x0d3)          \
	X(control.avic_backing_page, 0x0e0)      \
	X(control.avic_logical_table, 0x0f0)     \
	X(control.avic_physical_table, 0x0f8)    \
	X(save.cpl, 0x4cb)                       \
	X(save.efer, 0x4d0)                      \
	X(save.cr4, 0x548)                       \
	X(save.cr3, 0x550)                       \
	X(save.cr0, 0x558)                       \
	X(save.dr7, 0x560)                       \
	X(save.dr6, 0x568)                       \
	X(save.rflags, 0x570)                    \
	X(save.rip, 0x578)                       \
	X(save.rsp, 0x5d8)                       \
	X(save.s_cet, 0x5e0)                     \
	X(save.ssp, 0x5e8)                       \
	X(save.isst_addr, 0x5f0)                 \
	X(save.rax, 0x5f8)                       \
	X(save.star, 0x600)                      \
	X(save.lstar, 0x608)                     \
	X(save.cstar, 0x610)                     \
	X(save.sfmask, 0x618)                    \
	X(save.kernel_gs_base, 0x620)            \
	X(save.sysenter_cs, 0x628)               \
	X(save.sysenter_esp, 0x630)              \
	X(save.sysenter_eip, 0x638)              \
	X(save.cr2, 0x640)                       \
	X(save.g_pat, 0x668)                     \
	X(save.dbgctl, 0x670)                    \
	X(save.br_from, 0x678)                   \
	X(save.br_to, 0x680)                     \
	X(save.lastexcp_from, 0x688)             \
	X(save.lastexcp_to, 0x690)

#define VMCB_SEGMENTS(X) \
	X(es, 0x400)     \
	X(cs, 0x410)     \
	X(ss, 0x420)     \
	X(ds, 0x430)     \
	X(fs, 0x440)     \
	X(gs, 0x450)     \
	X(gdtr, 0x460)   \
	X(ldtr, 0x470)   \
	X(idtr, 0x480)   \
	X(tr, 0x490)

#define VMCB_ASSERT_FIELD(field, offset) \
	_Static_assert(offsetof(struct vmcb, field) == (offset), "VMCB offset of " #field);
#define VMCB_ASSERT_SEGMENT(name, offset) \
	_Static_assert(offsetof(struct vmcb, save.name) == (offset), "VMCB offset of " #name);
VMCB_FIELDS(VMCB_ASSERT_FIELD)
VMCB_SEGMENTS(VMCB_ASSERT_SEGMENT)
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "a VMCB is one page");

/* control.intercept[]: which word; bits of the words follow (APM table B-1). */
enum svm_intercept_word {
	INTERCEPT_CR, /* bit n: read of CRn; bit 16 + n: write */
	INTERCEPT_DR,
	INTERCEPT_EXCEPTION,
	INTERCEPT_MISC1,
	INTERCEPT_MISC2,
	INTERCEPT_MISC3,
	INTERCEPT_WORDS
};

/* control.tlb_control, APM 15.16.1. */
enum svm_tlb_control { TLB_FLUSH_NONE = 0, TLB_FLUSH_ALL = 1 };

/* control.virq, APM table B-1 offset 060h. */
#define VIRQ_TPR_MASK	  0xffull
#define VIRQ_PENDING	  BIT(8)
#define VIRQ_PRIORITY_MAX (0xfull << 16)
#define VIRQ_IGNORE_TPR	  BIT(20)
#define VIRQ_MASKING	  BIT(24)
#define VIRQ_EVENT	  (VIRQ_PENDING | VIRQ_PRIORITY_MAX | VIRQ_IGNORE_TPR)
#define VIRQ_VECTOR_SHIFT 32
#define VIRQ_VECTOR	  (0xffull << VIRQ_VECTOR_SHIFT)

#define NESTED_CTL_NP BIT(0)

/* control.event_inj and exit_int_info, APM 15.20. */
#define EVENT_VECTOR	 0xffull
#define EVENT_TYPE	 (7ull << 8)
#define EVENT_IRQ	 (0ull << 8)
#define EVENT_NMI	 (2ull << 8)
#define EVENT_EXCEPTION	 (3ull << 8)
#define EVENT_SOFT_INT	 (4ull << 8)
#define EVENT_HAS_ERROR	 BIT(11)
#define EVENT_VALID	 BIT(31)
#define EVENT_ERROR_CODE BITS(63, 32)

/* exit_info2 of a task switch, APM 15.14.1; its low half is the error code. */
#define TASK_EXIT_IRET	    BIT(36)
#define TASK_EXIT_JMP	    BIT(38)
#define TASK_EXIT_HAS_ERROR BIT(44)
#define TASK_EXIT_RF	    BIT(48)

/* control.clean, APM 15.15.3: a bit set says "unchanged since the last exit on this CPU". */
#define CLEAN_INTERCEPTS BIT(0)
#define CLEAN_ASID	 BIT(2)
#define CLEAN_TPR	 BIT(3)
#define CLEAN_NP	 BIT(4)
#define CLEAN_CR	 BIT(5)
#define CLEAN_DR	 BIT(6)
#define CLEAN_DT	 BIT(7)
#define CLEAN_SEG	 BIT(8)
#define CLEAN_CR2	 BIT(9)
#define CLEAN_ALL	 0x3ffull /* all that this back end ever changes */

/* vmcb_segment.attrib */
#define VMCB_SEG_PRESENT BIT(7)
#define VMCB_SEG_LONG	 BIT(9)
#define VMCB_SEG_BIG	 BIT(10)

/* exit_info1 of IOIO, APM 15.10.2. */
#define IOIO_IN		BIT(0)
#define IOIO_STRING	BIT(2)
#define IOIO_SIZE(info) ((info) >> 4 & 7)
#define IOIO_PORT(info) ((u16)((info) >> 16))

/* exit_info1 of #NPF, APM 15.25.6. */
#define NPF_WRITE      BIT(1)
#define NPF_RESERVED   BIT(3)
#define NPF_EXEC       BIT(4)
#define NPF_TABLE_WALK BIT(33)

/* exit_info1 of a MOV to or from a CR, with decode assists (APM 15.8.1). */
#define CR_EXIT_MOV BIT(63)
#define CR_EXIT_GPR 0xfull

/* CPUID 8000_000A EDX. */
#define SVM_FEATURE_NP		  BIT(0)
#define SVM_FEATURE_NRIPS	  BIT(3)
#define SVM_FEATURE_CLEAN	  BIT(5)
#define SVM_FEATURE_DECODE_ASSIST BIT(7)
#define SVM_FEATURE_PAUSE_FILTER  BIT(10)

/* Exit codes, APM appendix C. */
enum svm_exit_code {
	SVM_EXIT_CR_READ = 0x00,
	SVM_EXIT_CR_WRITE = 0x10,
	SVM_EXIT_DR_READ = 0x20,
	SVM_EXIT_DR_WRITE = 0x30,
	SVM_EXIT_EXCEPTION = 0x40,
	SVM_EXIT_INTR = 0x60,
	SVM_EXIT_NMI,
	SVM_EXIT_SMI,
	SVM_EXIT_INIT,
	SVM_EXIT_VINTR,
	SVM_EXIT_CR0_SEL_WRITE,
	SVM_EXIT_IDTR_READ,
	SVM_EXIT_GDTR_READ,
	SVM_EXIT_LDTR_READ,
	SVM_EXIT_TR_READ,
	SVM_EXIT_IDTR_WRITE,
	SVM_EXIT_GDTR_WRITE,
	SVM_EXIT_LDTR_WRITE,
	SVM_EXIT_TR_WRITE,
	SVM_EXIT_RDTSC,
	SVM_EXIT_RDPMC,
	SVM_EXIT_PUSHF = 0x70,
	SVM_EXIT_POPF,
	SVM_EXIT_CPUID,
	SVM_EXIT_RSM,
	SVM_EXIT_IRET,
	SVM_EXIT_SWINT,
	SVM_EXIT_INVD,
	SVM_EXIT_PAUSE,
	SVM_EXIT_HLT,
	SVM_EXIT_INVLPG,
	SVM_EXIT_INVLPGA,
	SVM_EXIT_IOIO,
	SVM_EXIT_MSR,
	SVM_EXIT_TASK_SWITCH,
	SVM_EXIT_FERR_FREEZE,
	SVM_EXIT_SHUTDOWN,
	SVM_EXIT_VMRUN = 0x80,
	SVM_EXIT_VMMCALL,
	SVM_EXIT_VMLOAD,
	SVM_EXIT_VMSAVE,
	SVM_EXIT_STGI,
	SVM_EXIT_CLGI,
	SVM_EXIT_SKINIT,
	SVM_EXIT_RDTSCP,
	SVM_EXIT_ICEBP,
	SVM_EXIT_WBINVD,
	SVM_EXIT_MONITOR,
	SVM_EXIT_MWAIT,
	SVM_EXIT_MWAIT_ARMED,
	SVM_EXIT_XSETBV,
	SVM_EXIT_RDPRU,
	SVM_EXIT_EFER_WRITE_TRAP,
	SVM_EXIT_CR_WRITE_TRAP = 0x90,
	SVM_EXIT_INVLPGB = 0xa0,
	SVM_EXIT_INVLPGB_ILLEGAL,
	SVM_EXIT_INVPCID,
	SVM_EXIT_MCOMMIT,
	SVM_EXIT_TLBSYNC,
	SVM_EXIT_BUSLOCK,
	SVM_EXIT_IDLE_HLT,
	SVM_EXIT_LOW_END,
	SVM_EXIT_NPF = 0x400,
	SVM_EXIT_AVIC_INCOMPLETE_IPI,
	SVM_EXIT_AVIC_NOACCEL,
	SVM_EXIT_VMGEXIT,
	SVM_EXIT_HIGH_END,
};

/* VMEXIT_INVALID is -1; the upper half is not always written (QEMU 7.2), so only the lower counts.
 */
#define SVM_EXIT_INVALID 0xffffffffu

#endif
