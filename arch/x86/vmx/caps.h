/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.h: what this CPU's VMX can do, and which of it the back end uses.
 *
 * vmx_select() is a pure function from the capability MSRs to the control words, so that every
 * refusal is tested on the host.
 */
#ifndef SAMEPAGE_VMX_CAPS_H
#define SAMEPAGE_VMX_CAPS_H

#include <lib/types.h>

/* The five words of controls, SDM 25.6 to 25.8. */
enum vmx_word { PIN, PRIMARY, SECONDARY, ON_EXIT, ON_ENTRY, VMX_WORDS };

/* Pin-based, SDM 25.6.1. */
#define PIN_EXTERNAL_INTERRUPT BIT(0)
#define PIN_NMI		       BIT(3)
#define PIN_VIRTUAL_NMI	       BIT(5)
#define PIN_PREEMPTION_TIMER   BIT(6)

/* Primary processor-based, 25.6.2. */
#define PRIMARY_IRQ_WINDOW   BIT(2)
#define PRIMARY_TSC_OFFSET   BIT(3)
#define PRIMARY_HLT	     BIT(7)
#define PRIMARY_MWAIT	     BIT(10)
#define PRIMARY_RDPMC	     BIT(11)
#define PRIMARY_CR3_LOAD     BIT(15)
#define PRIMARY_CR3_STORE    BIT(16)
#define PRIMARY_CR8_LOAD     BIT(19)
#define PRIMARY_CR8_STORE    BIT(20)
#define PRIMARY_NMI_WINDOW   BIT(22)
#define PRIMARY_IO_BITMAPS   BIT(25)
#define PRIMARY_MSR_BITMAPS  BIT(28)
#define PRIMARY_MONITOR	     BIT(29)
#define PRIMARY_SECONDARY_ON BIT(31)

/* Secondary processor-based. */
#define SECONDARY_EPT		     BIT(1)
#define SECONDARY_RDTSCP	     BIT(3)
#define SECONDARY_VPID		     BIT(5)
#define SECONDARY_WBINVD	     BIT(6)
#define SECONDARY_UNRESTRICTED_GUEST BIT(7)
#define SECONDARY_PAUSE_LOOP	     BIT(10)
#define SECONDARY_INVPCID	     BIT(12)
#define SECONDARY_PML		     BIT(17)

/* Exit, 25.7.1. */
#define ON_EXIT_SAVE_DEBUG BIT(2)
#define ON_EXIT_HOST_64	   BIT(9)
#define ON_EXIT_ACK_IRQ	   BIT(15)
#define ON_EXIT_SAVE_PAT   BIT(18)
#define ON_EXIT_LOAD_PAT   BIT(19)
#define ON_EXIT_SAVE_EFER  BIT(20)
#define ON_EXIT_LOAD_EFER  BIT(21)
#define ON_EXIT_SAVE_TIMER BIT(22)

/* Entry, 25.8.1. */
#define ON_ENTRY_LOAD_DEBUG BIT(2)
#define ON_ENTRY_GUEST_64   BIT(9)
#define ON_ENTRY_LOAD_PAT   BIT(14)
#define ON_ENTRY_LOAD_EFER  BIT(15)

/* IA32_VMX_EPT_VPID_CAP, appendix A.10. */
#define EPT_CAP_WALK_4	    BIT(6)
#define EPT_CAP_WB	    BIT(14)
#define EPT_CAP_2M	    BIT(16)
#define EPT_CAP_1G	    BIT(17)
#define EPT_CAP_INVEPT	    BIT(20)
#define EPT_CAP_AD	    BIT(21)
#define EPT_CAP_INVEPT_ONE  BIT(25)
#define EPT_CAP_INVEPT_ALL  BIT(26)
#define EPT_CAP_INVVPID	    BIT(32)
#define EPT_CAP_INVVPID_ONE BIT(41)

/* IA32_VMX_BASIC, A.1. */
#define BASIC_TRUE_CONTROLS BIT(55)
#define BASIC_REVISION	    BITS(30, 0)

/* The capability MSRs as read, appendix A. allowed[]: low half must be 1, high half may be 1. */
struct vmx_capability {
	u64 basic, misc, ept;
	u64 allowed[VMX_WORDS];
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

/* What the back end works with. */
struct vmx_caps {
	u32 control[VMX_WORDS]; /* what every vCPU starts with */
	u32 revision;
	u8 timer_shift; /* the preemption timer ticks once in 2^this TSC ticks */
	bool ept_ad;
	bool pml;	 /* may be turned on */
	bool invept_one; /* else all contexts */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

/* False, and *why names what is missing and why it is needed, when the back end cannot work. */
bool vmx_select(const struct vmx_capability *cap, struct vmx_caps *out, const char **why);

#endif
