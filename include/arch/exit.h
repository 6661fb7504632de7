/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.h: the reason of an exit, in terms of neither Intel nor AMD.
 *
 * A back end decodes its hardware's exit into one struct hv_exit before hv sees it. Only the union
 * member that the reason names is valid; the others are not cleared, because an exit costs
 * instructions.
 */
#ifndef SAMEPAGE_ARCH_EXIT_H
#define SAMEPAGE_ARCH_EXIT_H

#include <arch/addr.h>
#include <lib/types.h>

enum hv_exit_reason {
	HV_EXIT_INTERRUPT, /* a host interrupt or kick: already dealt with, nothing for hv but its entry check */
	HV_EXIT_TIMESLICE, /* the slice given to run() is over */
	HV_EXIT_SHADOW, /* one of the two, in an interrupt shadow: complete_exit() makes it HLT, or TIMESLICE */
	HV_EXIT_CPUID,
	HV_EXIT_HYPERCALL, /* VMCALL or VMMCALL, whichever the machine has; the other one raises #UD in the guest */
	HV_EXIT_PIO,	  /* .pio */
	HV_EXIT_MSR_READ, /* index in guest RCX */
	HV_EXIT_MSR_WRITE,
	HV_EXIT_STAGE2, /* .stage2: EPT violation or #NPF */
	HV_EXIT_STAGE2_BROKEN, /* .stage2: EPT misconfiguration or reserved bit in an NPT entry: a bug of the hypervisor */
	HV_EXIT_HLT,
	HV_EXIT_PAUSE,
	HV_EXIT_TSC, /* RDTSC, while trap() has it exit */
	HV_EXIT_CR,  /* .cr: a MOV to a CR bit that hv owns, CLTS, LMSW */
	HV_EXIT_DR, /* a MOV to or from DR7 that complete_exit() carries out, or makes UNKNOWN: #GP(0) */
	HV_EXIT_XSETBV,
	HV_EXIT_TASK_SWITCH, /* .task: by hardware; nothing of it is done */
	HV_EXIT_CACHE,	     /* INVD or WBINVD */
	HV_EXIT_VIRT_INSN, /* an instruction of VMX or SVM itself, or one the policy refuses: #UD */
	HV_EXIT_EXCEPTION, /* .exception: one that hv intercepts */
	HV_EXIT_IRQ_WINDOW, /* the guest can take an interrupt now: set_irq_window() */
	HV_EXIT_NMI_WINDOW,
	HV_EXIT_PML_FULL, /* the page-modification log is full, SDM 28.3.6 */
	HV_EXIT_SHUTDOWN, /* triple fault */
	HV_EXIT_INIT_SIPI,
	HV_EXIT_ENTRY_FAILED, /* the CPU refused the guest state; .raw says how */
	HV_EXIT_UNKNOWN,      /* .raw: a hardware reason outside the table */
	HV_EXIT_REASONS
};

enum hv_access { HV_READ = 1, HV_WRITE = 2, HV_EXEC = 4 };

struct hv_exit_pio {
	u16 port;
	u8 size; /* 1, 2, 4 bytes */
	bool in;
	bool string; /* INS, OUTS: hv decodes the instruction */
};

struct hv_exit_stage2 {
	struct gpa gpa;
	u8 access;	 /* HV_READ | HV_WRITE | HV_EXEC of the failed access */
	bool table_walk; /* the access was the CPU's own, to the guest's page tables */
	bool delivery;	 /* it was part of an event's delivery; the event is queued again */
};

struct hv_exit_cr {
	u8 cr; /* 0, 3, 4, 8 */
	bool write;
	u8 gpr; /* index into the guest's registers; for LMSW and CLTS the value is ready in `value` */
	bool has_value;
	u64 value;
};

struct hv_exit_exception {
	u8 vector;
	bool has_error_code;
	u32 error_code;
	u64 address; /* #PF */
};

/*
 * A switch to the TSS of `selector`. GATE: an event arrived by a task gate, and is queued again;
 * the switch replaces its delivery. insn_len is that of CALL, JMP, IRET or of an INT instruction.
 */
enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

struct hv_exit_task {
	u16 selector;
	u8 source; /* enum task_source */
	bool nmi;
	bool has_error_code;
	u32 error_code;
};

struct hv_exit_raw {
	u64 reason, info1, info2;
};

/*
 * insn_len: length of the instruction that exited, where skipping it makes sense; the back end has
 * it even where the hardware does not report it (no NRIPS). For a HV_EXIT_STAGE2 the emulation of
 * the access sets it, prefixes included. insn_exact: no prefix has to be added. raw.reason is
 * always valid, the infos where the hardware has some.
 */
struct hv_exit {
	enum hv_exit_reason reason;
	u8 insn_len;
	bool insn_exact;
	struct hv_exit_raw raw;
	union {
		struct hv_exit_pio pio;
		struct hv_exit_stage2 stage2;
		struct hv_exit_cr cr;
		struct hv_exit_exception exception;
		struct hv_exit_task task;
	};
};

#endif
