/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virt.h: the contract a virtualization back end (arch/x86/vmx, arch/x86/svm) fulfils: one const
 * table of operations, chosen once at boot by CPUID.
 *
 * Context, unless an operation says otherwise: interrupts are off on this CPU; the caller owns the
 * vCPU (no other CPU runs it); no lock is needed and none is taken; nothing is allocated but in
 * cpu_enable and vcpu_init.
 */
#ifndef SAMEPAGE_ARCH_VIRT_H
#define SAMEPAGE_ARCH_VIRT_H

#include <arch/addr.h>
#include <arch/exit.h>
#include <arch/pgtable.h>
#include <arch/ticks.h>
#include <lib/types.h>

/* The guest's general registers in the encoding order of the instruction set (SDM vol. 2A, table
 * 2-2). */
enum guest_gpr {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_R9,
	GPR_R10,
	GPR_R11,
	GPR_R12,
	GPR_R13,
	GPR_R14,
	GPR_R15,
	GPRS
};

enum guest_segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEGS };

/* attr: bits 0-7 access byte, 12-15 flags (G, D/B, L, AVL), 16 unusable: the VMX layout
 * (SDM 25.4.1). */
struct guest_segment_state {
	u16 selector;
	u32 limit;
	u32 attr;
	u64 base;
};

/* guest_state.interruptibility. */
#define GUEST_BLOCKED_BY_STI	BIT(0)
#define GUEST_BLOCKED_BY_MOV_SS BIT(1)
#define GUEST_BLOCKED_BY_SMI	BIT(2)
#define GUEST_BLOCKED_BY_NMI	BIT(3)

/* The slow view of a guest CPU: everything that is not in `struct arch_vcpu`. For start, dumps,
 * tests, emulation. */
struct guest_state {
	u64 rip, rflags;
	u64 cr0, cr2, cr3, cr4, efer;
	u64 dr6, dr7;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip, pat;
	u64 pdpte[4]; /* with PAE paging, on VMX: the CPU's copy of the top table (SDM 4.4.1) */
	struct guest_segment_state seg[SEGS];
	struct {
		u64 base;
		u32 limit;
	} gdtr, idtr;
	u32 interruptibility; /* GUEST_BLOCKED_BY_..., the VMX layout (SDM 25.4.2) */
};

/*
 * Where a guest's code is fetched from. mode: the back end's own, equal only while what chooses
 * paging and code size is equal: CR0.PE and PG, CR4.PSE and PAE, EFER.LMA, and L and D of CS.
 */
struct guest_code {
	u64 rip, cr3, base, mode;
};

enum guest_event_type { GUEST_EVENT_IRQ, GUEST_EVENT_NMI, GUEST_EVENT_EXCEPTION };

struct guest_event {
	enum guest_event_type type;
	u8 vector;
	bool has_error_code;
	u32 error_code;
	u64 address; /* CR2 of a #PF */
};

/*
 * struct arch_vcpu: the part of a guest CPU that both back ends share and hv may touch while the
 * vCPU is not running.
 *
 * gpr		[o] fifteen of them always; RSP as rip below
 * rip, rflags	[o] brought here by get_state; only set_state changes them, and takes RSP from gpr.
 *		Else they stay where the hardware keeps them: no exit pays for moving them
 * backend	[I] the back end's own state (VMCS, VMCB), NULL before vcpu_init
 * cpl		[I] a byte that is 0 only at CPL 0; where it is not, virt->cpl() says
 * armed	[o] the deadline that a timer in guest time (VT-x) counts down to; 0: run() sets it
 *		anew. Cleared after an exit that took long, which such a timer did not count
 * (o: of the vCPU's owner)
 */
struct arch_vcpu {
	u64 gpr[GPRS];
	u64 rip, rflags;
	void *backend;
	const u8 *cpl;
	u64 armed;
	void *xsave;	/* [I] guest FPU and XSAVE area, 64-byte aligned */
	u64 xcr0;	/* while not loaded; see arch_xcr0() */
	u64 tsc_offset; /* taken over at vcpu_load */
};

/*
 * Arguments of vcpu_init. root: the stage-2 table the vCPU starts with.
 *
 * fetch: copies up to `len` bytes of guest code at a linear address, as the guest's own paging maps
 * it now, and returns how many it could. For a back end on hardware that does not say which
 * register or length an instruction had. Called by complete_exit and skip_insn only, never inside
 * run(), so it may take locks. NULL: the back end assumes the shortest encoding.
 */
struct vcpu_setup {
	struct hpa stage2_root;
	u32 address_space_id; /* unique for each VM, never 0; the back end derives ASID or VPID */
	unsigned (*fetch)(struct arch_vcpu *vcpu, struct gva linear, void *bytes, unsigned len);
};

/*
 * A guest's MSRs that the hardware may hand through without an exit, [0] ends the list. A back end
 * builds its permission map from it; every MSR not listed exits.
 */
struct msr_passthrough {
	u32 index;
	bool read, write;
	const char *why;
};

enum virt_trap { TRAP_PAUSE = 1, TRAP_TSC = 2 };

struct virt_ops {
	const char *name;    /* "vmx", "svm" */
	const char *feature; /* what was looked for: "VMX with EPT (CPUID.1:ECX.5)" */
	const struct pgtable_format *stage2;

	/* Does this CPU have it, with all that the back end needs? Else *why is a static sentence.
	 */
	bool (*supported)(const char **why);
	/* Turns it on, on this CPU. ERR_NO_MEMORY, ERR_UNSUPPORTED (disabled by firmware). Off
	 * again: cpu_disable. */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);

	/*
	 * vcpu_init: allocates; state as after RESET. ERR_NO_MEMORY. vcpu_fini undoes it; the vCPU
	 * is not loaded.
	 */
	int (*vcpu_init)(struct arch_vcpu *vcpu, const struct vcpu_setup *setup);
	void (*vcpu_fini)(struct arch_vcpu *vcpu);
	/* Binds the vCPU to this CPU (current VMCS, FPU state, ASID) and unbinds it. Loads do not
	 * nest. */
	void (*vcpu_load)(struct arch_vcpu *vcpu);
	void (*vcpu_put)(struct arch_vcpu *vcpu);

	/*
	 * Enters the guest until it exits; the vCPU is loaded. Once arch_ticks() is past `deadline`
	 * the exit is HV_EXIT_TIMESLICE; TICK_NEVER never comes. A deadline, not a length: the
	 * same value costs nothing at the next entry. Host interrupts and NMIs that ended the run
	 * have been handled when it returns. An exit that interrupted the delivery of an event has
	 * queued that event again: see can_inject.
	 */
	void (*run)(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit);

	/* The privilege level the guest exited at. 0 in real mode, 3 in virtual-8086 mode. */
	unsigned (*cpl)(struct arch_vcpu *vcpu);

	/* CR4 as the guest sees it, of the loaded vCPU: what CPUID's answer depends on. */
	u64 (*cr4)(struct arch_vcpu *vcpu);

	/* The code that the loaded vCPU was at. skip_code: skips its instruction, as skip_insn, if
	 * the vCPU is at this code; else nothing is done. */
	void (*get_code)(struct arch_vcpu *vcpu, struct guest_code *code);
	bool (*skip_code)(struct arch_vcpu *vcpu, const struct guest_code *code,
			  const struct hv_exit *exit);

	/* The slow view. set_state: ERR_INVALID for a state no guest may have, and then nothing
	 * changed. */
	void (*get_state)(struct arch_vcpu *vcpu, struct guest_state *state);
	int (*set_state)(struct arch_vcpu *vcpu, const struct guest_state *state);

	/*
	 * Event injection at the next entry. can_inject: would the guest take such an event now
	 * (nothing queued, not masked, not shadowed)? An exception injected over a queued event
	 * replaces it, or becomes #DF or a shutdown, as the manual's table of double faults says;
	 * so an exception needs no can_inject. For an exception the result is false while an event
	 * is queued, such as the trap of an instruction that was skipped with TF set.
	 */
	bool (*can_inject)(struct arch_vcpu *vcpu, enum guest_event_type type);
	void (*inject)(struct arch_vcpu *vcpu, const struct guest_event *event);
	void (*set_irq_window)(struct arch_vcpu *vcpu, bool on);
	void (*set_nmi_window)(struct arch_vcpu *vcpu, bool on);
	/* As INIT: no event is queued, no NMI blocked, no window open. */
	void (*drop_events)(struct arch_vcpu *vcpu);
	/*
	 * Instructions that exit from now on: bits of enum virt_trap, for a guest that waits and
	 * must not read a time behind a deadline that has not ended the run yet. NULL where a
	 * deadline is never late by the guest's own clock (VMX: its timer counts down in the guest,
	 * and needs no interrupt).
	 */
	void (*trap)(struct arch_vcpu *vcpu, unsigned traps);
	/*
	 * Fills in what run() cannot find out without reading guest code: hv calls it before it
	 * looks at .cr or carries out a SHADOW, TSC, DR or TASK_SWITCH. NULL where the hardware
	 * reports all of it.
	 */
	void (*complete_exit)(struct arch_vcpu *vcpu, struct hv_exit *exit);
	/* Skips the instruction that exited: RIP, interrupt shadow, and RF. */
	void (*skip_insn)(struct arch_vcpu *vcpu, const struct hv_exit *exit);
	/* A CR write that exited, checked and carried out as the manual says; ERR_INVALID: raise
	 * #GP(0). */
	int (*write_cr)(struct arch_vcpu *vcpu, unsigned cr, u64 value);

	/* Another stage-2 root (view switch) from the next entry on. */
	void (*set_stage2)(struct arch_vcpu *vcpu, struct hpa root);
	/* Before the next entry on this CPU, drop every translation made through the stage 2 of
	 * the vCPU, which is loaded. */
	void (*flush_stage2)(struct arch_vcpu *vcpu);
	/* Hardware dirty log (PML) into one page of 512 gpa; NULL where the CPU has none. Drained
	 * by pml_drain. */
	int (*pml_enable)(struct arch_vcpu *vcpu, bool on);
	unsigned (*pml_drain)(struct arch_vcpu *vcpu, struct gpa *out, unsigned max);
	/* Everything the hardware keeps of the vCPU, to the log. */
	void (*dump)(struct arch_vcpu *vcpu);
	/* The manual's name of an exit, by raw.reason. */
	const char *(*exit_name)(u64 reason);
};

extern const struct virt_ops vmx_ops, svm_ops;

/* The back end of this machine, or NULL before arch_virt_init() or where there is none. */
extern const struct virt_ops *virt;

/*
 * Chooses the back end by CPUID and turns it on, on the boot CPU; the others call virt->cpu_enable
 * as they come up. ERR_UNSUPPORTED after a message that says what was looked for and how to get it.
 */
int arch_virt_init(void) __must_check;

/*
 * The CPUs, a bit each, on which a vCPU runs that does not name any: all, but for errata of the
 * machine (errata/). Never 0. After arch_virt_init() and when all CPUs are up. Any context.
 */
u64 arch_guest_cpus(void);

/*
 * XSETBV by the guest, checked as SDM vol. 1 13.3 says and against arch_xcr0_allowed(); the
 * vCPU is loaded. ERR_INVALID: raise #GP(0). The caller skips the instruction.
 */
int arch_xsetbv(struct arch_vcpu *vcpu, u32 index, u64 value) __must_check;

/*
 * XMM register `reg` of the loaded vCPU, the low half first. Slow: all vector registers go through
 * memory, as the hypervisor uses none.
 */
void arch_xmm_get(struct arch_vcpu *vcpu, unsigned reg, u64 value[2]);
void arch_xmm_set(struct arch_vcpu *vcpu, unsigned reg, const u64 value[2]);

/*
 * XCR0 of the vCPU that is loaded on this CPU; 0 where the CPU has no XSAVE. Read from the CPU:
 * under QEMU 7.2 a guest of SVM executes XSETBV without an exit.
 */
u64 arch_xcr0(void);

/* The XCR0 bits a guest may set; 0 where the CPU has no XSAVE. For the CPUID policy's leaf 0xD. */
u64 arch_xcr0_allowed(void);

/* The MSRs hv lets through, for the back end to build its permission map from. Defined by
 * arch/x86/msr_policy.c. */
extern const struct msr_passthrough msr_passthrough[];

#endif
