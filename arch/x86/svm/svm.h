/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svm.h: shared by the files of the AMD-V back end (AMD APM vol. 2, chapter 15).
 *
 *     svm.c        the ops table, turning SVM on     vcpu.c   create, load and put a vCPU
 *     run.c        entry, exit, skipping             exit.c   exit code -> struct hv_exit
 *     event.c      injection and windows             insn.c   lengths and operands without NRIPS
 *     state.c      the slow view of a guest CPU      cr.c     writes to control registers
 *     permmap.c    I/O and MSR permission maps       asid.c   TLB tags
 *     intercept.c  what exits, and why               dump.c   every VMCB field by name
 *
 * Field keys: [I] immutable after init, [o] the owner of the vCPU, [c] only the CPU itself.
 */
#ifndef SAMEPAGE_SVM_SVM_H
#define SAMEPAGE_SVM_SVM_H

#include <arch/cpu.h>
#include <arch/virt.h>
#include "asid.h"
#include "vmcb.h"

/*
 * What a CPU has of its own for SVM.
 *
 * hsave	[I] where VMRUN puts the host's state (VM_HSAVE_PA)
 * host_vmcb	[I] the host's FS, GS, TR, LDTR and syscall MSRs, saved once by VMSAVE: they do not
 *		change after boot, so an exit only has to load them
 * asids	[c] the ASIDs in use
 * deadline	[c] what run() armed the timer for last
 */
struct svm_cpu {
	struct hpa hsave;
	struct hpa host_vmcb;
	struct asid_pool asids;
	u64 deadline;
};

/* What CPUID 8000_000A EDX offers that this back end uses; the same on every CPU. [I] */
extern u32 svm_features;

/* Redundant prefixes, found by reading the code, for CPUs without NRIPS: insn.c. */
#define INSN_CACHE   16
#define INSN_NOWHERE (~0ull) /* no RIP: not canonical */
struct insn_prefixes {
	u64 rip, cr3;
	u64 count;
	u64 pad; /* makes the index a shift */
};

/*
 * A guest CPU: two frames, the first of which is the VMCB.
 *
 * cpu		[o] the CPU it is loaded on, NULL when it is not
 * last_cpu	[o] the CPU it was last loaded on: on another one no clean bit may be set
 * serial	[o] names the translations made so far; a new one invalidates them (asid.h)
 * dr		[o] DR0 to DR3 while not loaded: VMRUN switches only DR6 and DR7
 * dr7		[o] the guest's, where errata.no_breakpoints keeps it out of the VMCB
 * tsc_aux	[o] while not loaded
 * shut_down	[o] by an exception that could not be delivered: event.c
 * nmi_blocked	[o] an NMI was injected and its IRET has not been seen
 * nmi_window	[o] hv waits for the NMI window
 * nmi_step	[o] single-stepping over the IRET, because an NMI waits for its end
 * nmi_step_tf	[o] the guest's own TF while nmi_step
 * virq_held	[o] the virtual interrupt is delivered behind its window
 */
struct svm_vcpu {
	struct vmcb vmcb;
	struct hpa vmcb_pa;	/* [I] */
	struct hpa host_vmcb;	/* [o] of the CPU it is loaded on */
	struct arch_vcpu *vcpu; /* [I] */
	struct svm_cpu *cpu;
	struct svm_cpu *last_cpu;
	u64 serial;
	u64 dr[4];
	u64 dr7;
	u64 tsc_aux;
	bool shut_down;
	bool lme; /* the guest's EFER.LME: the VMCB has it only while paging is on, see cr.c */
	bool nmi_blocked;
	bool nmi_window;
	bool nmi_step;
	bool nmi_step_tf;
	bool virq_held;
	unsigned (*fetch)(struct arch_vcpu *vcpu, struct gva linear, void *bytes, unsigned len);
	struct insn_prefixes insn[INSN_CACHE];
};

#define SVM_VCPU_ORDER 1
_Static_assert(sizeof(struct svm_vcpu) <= PAGE_SIZE << SVM_VCPU_ORDER, "outgrew its frames");

static inline struct svm_vcpu *svm_of(struct arch_vcpu *vcpu)
{
	return vcpu->backend;
}

/* The CPU may no longer take these parts of the VMCB from its cache (CLEAN_...). */
static inline void svm_dirty(struct svm_vcpu *svm, u32 parts)
{
	svm->vmcb.control.clean &= ~parts;
}

/* vcpu.c */
int svm_vcpu_init(struct arch_vcpu *vcpu, const struct vcpu_setup *setup);
void svm_vcpu_fini(struct arch_vcpu *vcpu);
void svm_vcpu_load(struct arch_vcpu *vcpu);
void svm_vcpu_put(struct arch_vcpu *vcpu);
void svm_set_stage2(struct arch_vcpu *vcpu, struct hpa root);
void svm_flush_stage2(struct arch_vcpu *vcpu);
/* The part of load and put that needs no CPU: which CPU it is on, and under which ASID. */
void svm_bind(struct svm_vcpu *svm, struct svm_cpu *cpu);
void svm_unbind(struct svm_vcpu *svm);
/* Invalidates every translation of the vCPU, its own paging included. The vCPU may be unloaded. */
void svm_drop_translations(struct svm_vcpu *svm);
/* This CPU's record; CPU 0's exists before any other. */
struct svm_cpu *svm_this_cpu(void);

/* run.c */
void svm_run(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit);
void svm_skip_insn(struct arch_vcpu *vcpu, const struct hv_exit *exit);

/* Lets pending host interrupts in; the exit is HV_EXIT_TIMESLICE if one ended the slice. svm.c */
void svm_host_window(struct svm_vcpu *svm, struct hv_exit *exit);

/* intercept.c */
void svm_intercept_init(struct vmcb_control *control);

/*
 * exit.c: one row for each exit code. It begins like struct hv_exit, so that the head is copied at
 * once. decode fills in what the reason's union member needs, or deals with the exit
 * inside the back end and then changes the reason.
 */
struct svm_exit_row {
	enum hv_exit_reason reason;
	u8 insn_len;	 /* of the shortest encoding; 0 where skipping makes no sense */
	bool insn_exact; /* decode, or the emulation of the access, sets insn_len */
	void (*decode)(struct svm_vcpu *svm, struct hv_exit *exit);
	const char *name;
} __aligned(32);

#define SVM_EXIT_HEAD offsetof(struct hv_exit, raw)
_Static_assert(SVM_EXIT_HEAD == offsetof(struct svm_exit_row, decode) &&
		       offsetof(struct hv_exit, insn_len) ==
			       offsetof(struct svm_exit_row, insn_len) &&
		       offsetof(struct hv_exit, insn_exact) ==
			       offsetof(struct svm_exit_row, insn_exact),
	       "a row begins like struct hv_exit");

extern const struct svm_exit_row svm_exits_low[SVM_EXIT_LOW_END];
extern const struct svm_exit_row svm_exits_high[SVM_EXIT_HIGH_END - SVM_EXIT_NPF];
extern const struct svm_exit_row svm_exit_invalid, svm_exit_unknown;
/* From the VMCB's exit fields to struct hv_exit, by a row. Inlined in run(): the exit path. */
static __always_inline void svm_exit_by_row(struct svm_vcpu *svm, const struct svm_exit_row *row,
					    u64 code, struct hv_exit *exit)
{
	const struct vmcb_control *control = &svm->vmcb.control;

	exit->raw.reason = code;
	__builtin_memcpy(exit, row, SVM_EXIT_HEAD);
	if (row->decode) {
		exit->raw.info1 = control->exit_info1;
		exit->raw.info2 = control->exit_info2;
		row->decode(svm, exit);
	}
}

const struct svm_exit_row *svm_exit_row(u64 code);
/* By the row of any exit code. */
void svm_exit_decode(struct svm_vcpu *svm, struct hv_exit *exit);

/* event.c */
bool svm_can_inject(struct arch_vcpu *vcpu, enum guest_event_type type);
void svm_inject(struct arch_vcpu *vcpu, const struct guest_event *event);
void svm_set_irq_window(struct arch_vcpu *vcpu, bool on);
void svm_set_nmi_window(struct arch_vcpu *vcpu, bool on);
void svm_drop_events(struct arch_vcpu *vcpu);
void svm_trap(struct arch_vcpu *vcpu, unsigned traps);
/* event_inj for `new` on top of a queued `old`; 0: shutdown. */
u64 svm_event_combine(u64 old, u64 new);
/* The exit interrupted the delivery of an event: queue it again unless its instruction will. */
void svm_event_requeue(struct svm_vcpu *svm);
bool svm_event_is_queued(const struct svm_vcpu *svm);
void svm_single_step(struct svm_vcpu *svm);
void svm_block_nmi(struct svm_vcpu *svm, bool blocked);
void svm_end_nmi_step(struct svm_vcpu *svm);
void svm_exit_db(struct svm_vcpu *svm, struct hv_exit *exit);
void svm_exit_ac(struct svm_vcpu *svm, struct hv_exit *exit);
void svm_exit_iret(struct svm_vcpu *svm, struct hv_exit *exit);
void svm_exit_rdpmc(struct svm_vcpu *svm, struct hv_exit *exit);
/* A host interrupt ended the entry that an NMI waited for: its window, if none is blocked. */
void svm_open_nmi_window(struct svm_vcpu *svm, struct hv_exit *exit);
void svm_exit_vintr(struct svm_vcpu *svm, struct hv_exit *exit);

/* insn.c */
void svm_insn_init(struct svm_vcpu *svm);
unsigned svm_insn_measure(struct svm_vcpu *svm, const struct hv_exit *exit);
void svm_complete_exit(struct arch_vcpu *vcpu, struct hv_exit *exit);

/* state.c, cr.c */
void svm_get_state(struct arch_vcpu *vcpu, struct guest_state *state);
int svm_set_state(struct arch_vcpu *vcpu, const struct guest_state *state);
int svm_write_cr(struct arch_vcpu *vcpu, unsigned cr, u64 value);
/* EFER as the guest sees it, and into the VMCB. */
u64 svm_efer(const struct svm_vcpu *svm);
void svm_set_efer(struct svm_vcpu *svm, u64 cr0, u64 efer);
bool svm_control_valid(const struct guest_state *state);
/* Reads from CPUID what svm_control_valid() needs. Once, before any vCPU. */
void svm_cr_init(void);

/* permmap.c: shared by all guests, built once. */
void svm_permmap_init(void);
struct hpa svm_iopm(void);
struct hpa svm_msrpm(void);
/* Clears the bits of one MSR in a map of MSRPM_SIZE bytes; false: the maps do not cover it. */
#define MSRPM_SIZE 0x2000
bool svm_msrpm_allow(u8 *map, u32 index, bool read, bool write);

/* dump.c */
void svm_dump(struct arch_vcpu *vcpu);
const char *svm_exit_name(u64 code);

#endif
