/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields.h: every field of the VMCS, once (SDM vol. 3D, appendix B).
 *
 * X(name, encoding, width, area): the enum, the dump and the check of the columns against the
 * encoding all come from this table. Width is W16, W32, W64 or WNAT; area is CONTROL, EXIT, GUEST
 * or HOST. An encoding carries both itself (SDM 25.11.2), so a slip in a column does not compile:
 *
 *     bits 14:13 width: 0 16 bit, 1 64 bit, 2 32 bit, 3 natural      bits 11:10 area, in the order
 *     above      bits 9:1 index      bit 0: the high half of a 64-bit field, for 32-bit hosts
 *
 * Fields of features that no known machine offers together are here all the same: the dump leaves
 * out what the CPU says it does not have.
 */
#ifndef SAMEPAGE_VMX_FIELDS_H
#define SAMEPAGE_VMX_FIELDS_H

/* clang-format off */
#define VMCS_FIELDS(X)                                                                             \
	X(VPID,				0x0000, W16,  CONTROL)                                     \
	X(POSTED_INTERRUPT_VECTOR,	0x0002, W16,  CONTROL)                                     \
	X(EPTP_INDEX,			0x0004, W16,  CONTROL)                                     \
	X(IO_BITMAP_A,			0x2000, W64,  CONTROL)                                     \
	X(IO_BITMAP_B,			0x2002, W64,  CONTROL)                                     \
	X(MSR_BITMAP,			0x2004, W64,  CONTROL)                                     \
	X(EXIT_MSR_STORE_ADDRESS,	0x2006, W64,  CONTROL)                                     \
	X(EXIT_MSR_LOAD_ADDRESS,	0x2008, W64,  CONTROL)                                     \
	X(ENTRY_MSR_LOAD_ADDRESS,	0x200a, W64,  CONTROL)                                     \
	X(EXECUTIVE_VMCS_POINTER,	0x200c, W64,  CONTROL)                                     \
	X(PML_ADDRESS,			0x200e, W64,  CONTROL)                                     \
	X(TSC_OFFSET,			0x2010, W64,  CONTROL)                                     \
	X(VIRTUAL_APIC_ADDRESS,		0x2012, W64,  CONTROL)                                     \
	X(APIC_ACCESS_ADDRESS,		0x2014, W64,  CONTROL)                                     \
	X(POSTED_INTERRUPT_ADDRESS,	0x2016, W64,  CONTROL)                                     \
	X(VM_FUNCTION_CONTROLS,		0x2018, W64,  CONTROL)                                     \
	X(EPT_POINTER,			0x201a, W64,  CONTROL)                                     \
	X(EOI_EXIT_BITMAP_0,		0x201c, W64,  CONTROL)                                     \
	X(EOI_EXIT_BITMAP_1,		0x201e, W64,  CONTROL)                                     \
	X(EOI_EXIT_BITMAP_2,		0x2020, W64,  CONTROL)                                     \
	X(EOI_EXIT_BITMAP_3,		0x2022, W64,  CONTROL)                                     \
	X(EPTP_LIST_ADDRESS,		0x2024, W64,  CONTROL)                                     \
	X(VMREAD_BITMAP,		0x2026, W64,  CONTROL)                                     \
	X(VMWRITE_BITMAP,		0x2028, W64,  CONTROL)                                     \
	X(VE_INFORMATION_ADDRESS,	0x202a, W64,  CONTROL)                                     \
	X(XSS_EXITING_BITMAP,		0x202c, W64,  CONTROL)                                     \
	X(ENCLS_EXITING_BITMAP,		0x202e, W64,  CONTROL)                                     \
	X(SPP_TABLE_POINTER,		0x2030, W64,  CONTROL)                                     \
	X(TSC_MULTIPLIER,		0x2032, W64,  CONTROL)                                     \
	X(TERTIARY_CONTROLS,		0x2034, W64,  CONTROL)                                     \
	X(PIN_CONTROLS,			0x4000, W32,  CONTROL)                                     \
	X(PRIMARY_CONTROLS,		0x4002, W32,  CONTROL)                                     \
	X(EXCEPTION_BITMAP,		0x4004, W32,  CONTROL)                                     \
	X(PAGE_FAULT_MASK,		0x4006, W32,  CONTROL)                                     \
	X(PAGE_FAULT_MATCH,		0x4008, W32,  CONTROL)                                     \
	X(CR3_TARGET_COUNT,		0x400a, W32,  CONTROL)                                     \
	X(EXIT_CONTROLS,		0x400c, W32,  CONTROL)                                     \
	X(EXIT_MSR_STORE_COUNT,		0x400e, W32,  CONTROL)                                     \
	X(EXIT_MSR_LOAD_COUNT,		0x4010, W32,  CONTROL)                                     \
	X(ENTRY_CONTROLS,		0x4012, W32,  CONTROL)                                     \
	X(ENTRY_MSR_LOAD_COUNT,		0x4014, W32,  CONTROL)                                     \
	X(ENTRY_INTERRUPTION_INFO,	0x4016, W32,  CONTROL)                                     \
	X(ENTRY_ERROR_CODE,		0x4018, W32,  CONTROL)                                     \
	X(ENTRY_INSTRUCTION_LENGTH,	0x401a, W32,  CONTROL)                                     \
	X(TPR_THRESHOLD,		0x401c, W32,  CONTROL)                                     \
	X(SECONDARY_CONTROLS,		0x401e, W32,  CONTROL)                                     \
	X(PLE_GAP,			0x4020, W32,  CONTROL)                                     \
	X(PLE_WINDOW,			0x4022, W32,  CONTROL)                                     \
	X(CR0_GUEST_HOST_MASK,		0x6000, WNAT, CONTROL)                                     \
	X(CR4_GUEST_HOST_MASK,		0x6002, WNAT, CONTROL)                                     \
	X(CR0_READ_SHADOW,		0x6004, WNAT, CONTROL)                                     \
	X(CR4_READ_SHADOW,		0x6006, WNAT, CONTROL)                                     \
	X(CR3_TARGET_0,			0x6008, WNAT, CONTROL)                                     \
	X(CR3_TARGET_1,			0x600a, WNAT, CONTROL)                                     \
	X(CR3_TARGET_2,			0x600c, WNAT, CONTROL)                                     \
	X(CR3_TARGET_3,			0x600e, WNAT, CONTROL)                                     \
	X(GUEST_PHYSICAL_ADDRESS,	0x2400, W64,  EXIT)                                        \
	X(INSTRUCTION_ERROR,		0x4400, W32,  EXIT)                                        \
	X(EXIT_REASON,			0x4402, W32,  EXIT)                                        \
	X(EXIT_INTERRUPTION_INFO,	0x4404, W32,  EXIT)                                        \
	X(EXIT_ERROR_CODE,		0x4406, W32,  EXIT)                                        \
	X(IDT_VECTORING_INFO,		0x4408, W32,  EXIT)                                        \
	X(IDT_VECTORING_ERROR_CODE,	0x440a, W32,  EXIT)                                        \
	X(EXIT_INSTRUCTION_LENGTH,	0x440c, W32,  EXIT)                                        \
	X(EXIT_INSTRUCTION_INFO,	0x440e, W32,  EXIT)                                        \
	X(EXIT_QUALIFICATION,		0x6400, WNAT, EXIT)                                        \
	X(IO_RCX,			0x6402, WNAT, EXIT)                                        \
	X(IO_RSI,			0x6404, WNAT, EXIT)                                        \
	X(IO_RDI,			0x6406, WNAT, EXIT)                                        \
	X(IO_RIP,			0x6408, WNAT, EXIT)                                        \
	X(GUEST_LINEAR_ADDRESS,		0x640a, WNAT, EXIT)                                        \
	X(GUEST_ES_SELECTOR,		0x0800, W16,  GUEST)                                       \
	X(GUEST_CS_SELECTOR,		0x0802, W16,  GUEST)                                       \
	X(GUEST_SS_SELECTOR,		0x0804, W16,  GUEST)                                       \
	X(GUEST_DS_SELECTOR,		0x0806, W16,  GUEST)                                       \
	X(GUEST_FS_SELECTOR,		0x0808, W16,  GUEST)                                       \
	X(GUEST_GS_SELECTOR,		0x080a, W16,  GUEST)                                       \
	X(GUEST_LDTR_SELECTOR,		0x080c, W16,  GUEST)                                       \
	X(GUEST_TR_SELECTOR,		0x080e, W16,  GUEST)                                       \
	X(GUEST_INTERRUPT_STATUS,	0x0810, W16,  GUEST)                                       \
	X(GUEST_PML_INDEX,		0x0812, W16,  GUEST)                                       \
	X(VMCS_LINK_POINTER,		0x2800, W64,  GUEST)                                       \
	X(GUEST_DEBUGCTL,		0x2802, W64,  GUEST)                                       \
	X(GUEST_PAT,			0x2804, W64,  GUEST)                                       \
	X(GUEST_EFER,			0x2806, W64,  GUEST)                                       \
	X(GUEST_PERF_GLOBAL_CTRL,	0x2808, W64,  GUEST)                                       \
	X(GUEST_PDPTE0,			0x280a, W64,  GUEST)                                       \
	X(GUEST_PDPTE1,			0x280c, W64,  GUEST)                                       \
	X(GUEST_PDPTE2,			0x280e, W64,  GUEST)                                       \
	X(GUEST_PDPTE3,			0x2810, W64,  GUEST)                                       \
	X(GUEST_BNDCFGS,		0x2812, W64,  GUEST)                                       \
	X(GUEST_RTIT_CTL,		0x2814, W64,  GUEST)                                       \
	X(GUEST_PKRS,			0x2818, W64,  GUEST)                                       \
	X(GUEST_ES_LIMIT,		0x4800, W32,  GUEST)                                       \
	X(GUEST_CS_LIMIT,		0x4802, W32,  GUEST)                                       \
	X(GUEST_SS_LIMIT,		0x4804, W32,  GUEST)                                       \
	X(GUEST_DS_LIMIT,		0x4806, W32,  GUEST)                                       \
	X(GUEST_FS_LIMIT,		0x4808, W32,  GUEST)                                       \
	X(GUEST_GS_LIMIT,		0x480a, W32,  GUEST)                                       \
	X(GUEST_LDTR_LIMIT,		0x480c, W32,  GUEST)                                       \
	X(GUEST_TR_LIMIT,		0x480e, W32,  GUEST)                                       \
	X(GUEST_GDTR_LIMIT,		0x4810, W32,  GUEST)                                       \
	X(GUEST_IDTR_LIMIT,		0x4812, W32,  GUEST)                                       \
	X(GUEST_ES_ATTR,		0x4814, W32,  GUEST)                                       \
	X(GUEST_CS_ATTR,		0x4816, W32,  GUEST)                                       \
	X(GUEST_SS_ATTR,		0x4818, W32,  GUEST)                                       \
	X(GUEST_DS_ATTR,		0x481a, W32,  GUEST)                                       \
	X(GUEST_FS_ATTR,		0x481c, W32,  GUEST)                                       \
	X(GUEST_GS_ATTR,		0x481e, W32,  GUEST)                                       \
	X(GUEST_LDTR_ATTR,		0x4820, W32,  GUEST)                                       \
	X(GUEST_TR_ATTR,		0x4822, W32,  GUEST)                                       \
	X(GUEST_INTERRUPTIBILITY,	0x4824, W32,  GUEST)                                       \
	X(GUEST_ACTIVITY,		0x4826, W32,  GUEST)                                       \
	X(GUEST_SMBASE,			0x4828, W32,  GUEST)                                       \
	X(GUEST_SYSENTER_CS,		0x482a, W32,  GUEST)                                       \
	X(PREEMPTION_TIMER,		0x482e, W32,  GUEST)                                       \
	X(GUEST_CR0,			0x6800, WNAT, GUEST)                                       \
	X(GUEST_CR3,			0x6802, WNAT, GUEST)                                       \
	X(GUEST_CR4,			0x6804, WNAT, GUEST)                                       \
	X(GUEST_ES_BASE,		0x6806, WNAT, GUEST)                                       \
	X(GUEST_CS_BASE,		0x6808, WNAT, GUEST)                                       \
	X(GUEST_SS_BASE,		0x680a, WNAT, GUEST)                                       \
	X(GUEST_DS_BASE,		0x680c, WNAT, GUEST)                                       \
	X(GUEST_FS_BASE,		0x680e, WNAT, GUEST)                                       \
	X(GUEST_GS_BASE,		0x6810, WNAT, GUEST)                                       \
	X(GUEST_LDTR_BASE,		0x6812, WNAT, GUEST)                                       \
	X(GUEST_TR_BASE,		0x6814, WNAT, GUEST)                                       \
	X(GUEST_GDTR_BASE,		0x6816, WNAT, GUEST)                                       \
	X(GUEST_IDTR_BASE,		0x6818, WNAT, GUEST)                                       \
	X(GUEST_DR7,			0x681a, WNAT, GUEST)                                       \
	X(GUEST_RSP,			0x681c, WNAT, GUEST)                                       \
	X(GUEST_RIP,			0x681e, WNAT, GUEST)                                       \
	X(GUEST_RFLAGS,			0x6820, WNAT, GUEST)                                       \
	X(GUEST_PENDING_DEBUG,		0x6822, WNAT, GUEST)                                       \
	X(GUEST_SYSENTER_ESP,		0x6824, WNAT, GUEST)                                       \
	X(GUEST_SYSENTER_EIP,		0x6826, WNAT, GUEST)                                       \
	X(GUEST_S_CET,			0x6828, WNAT, GUEST)                                       \
	X(GUEST_SSP,			0x682a, WNAT, GUEST)                                       \
	X(GUEST_INTERRUPT_SSP_TABLE,	0x682c, WNAT, GUEST)                                       \
	X(HOST_ES_SELECTOR,		0x0c00, W16,  HOST)                                        \
	X(HOST_CS_SELECTOR,		0x0c02, W16,  HOST)                                        \
	X(HOST_SS_SELECTOR,		0x0c04, W16,  HOST)                                        \
	X(HOST_DS_SELECTOR,		0x0c06, W16,  HOST)                                        \
	X(HOST_FS_SELECTOR,		0x0c08, W16,  HOST)                                        \
	X(HOST_GS_SELECTOR,		0x0c0a, W16,  HOST)                                        \
	X(HOST_TR_SELECTOR,		0x0c0c, W16,  HOST)                                        \
	X(HOST_PAT,			0x2c00, W64,  HOST)                                        \
	X(HOST_EFER,			0x2c02, W64,  HOST)                                        \
	X(HOST_PERF_GLOBAL_CTRL,	0x2c04, W64,  HOST)                                        \
	X(HOST_PKRS,			0x2c06, W64,  HOST)                                        \
	X(HOST_SYSENTER_CS,		0x4c00, W32,  HOST)                                        \
	X(HOST_CR0,			0x6c00, WNAT, HOST)                                        \
	X(HOST_CR3,			0x6c02, WNAT, HOST)                                        \
	X(HOST_CR4,			0x6c04, WNAT, HOST)                                        \
	X(HOST_FS_BASE,			0x6c06, WNAT, HOST)                                        \
	X(HOST_GS_BASE,			0x6c08, WNAT, HOST)                                        \
	X(HOST_TR_BASE,			0x6c0a, WNAT, HOST)                                        \
	X(HOST_GDTR_BASE,		0x6c0c, WNAT, HOST)                                        \
	X(HOST_IDTR_BASE,		0x6c0e, WNAT, HOST)                                        \
	X(HOST_SYSENTER_ESP,		0x6c10, WNAT, HOST)                                        \
	X(HOST_SYSENTER_EIP,		0x6c12, WNAT, HOST)                                        \
	X(HOST_RSP,			0x6c14, WNAT, HOST)                                        \
	X(HOST_RIP,			0x6c16, WNAT, HOST)                                        \
	X(HOST_S_CET,			0x6c18, WNAT, HOST)                                        \
	X(HOST_SSP,			0x6c1a, WNAT, HOST)                                        \
	X(HOST_INTERRUPT_SSP_TABLE,	0x6c1c, WNAT, HOST)
/* clang-format on */

#define VMCS_HOST_RSP_ENCODING 0x6c14 /* for entry.S; vmcs.c checks it against the table */

#ifndef __ASSEMBLER__

enum vmcs_width { W16, W64, W32, WNAT };
enum vmcs_area { CONTROL, EXIT, GUEST, HOST };

#define VMCS_ENUM(name, encoding, width, area) VMCS_##name = (encoding),
enum vmcs_field { VMCS_FIELDS(VMCS_ENUM) };

#endif
#endif
