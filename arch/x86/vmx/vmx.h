/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmx.h: shared by the files of the VMX back end.
 */
#ifndef SAMEPAGE_VMX_VMX_H
#define SAMEPAGE_VMX_VMX_H

#include "caps.h"
#include "vmcs.h"
#include <arch/virt.h>
#include <asm/guest.h>
#include <lib/types.h>

/*
 * CR0 bits that differ in hardware from the guest's value: NE because VMX requires it, CD and NW
 * because the caches are shared. The guest sees its own values in the read shadow.
 */
#define CR0_OWNED (CR0_NE | CR0_CD | CR0_NW)
/*
 * CR4: VMXE because VMX requires it, MCE because a machine check must exit, not shut down.
 */
#define CR4_OWNED (CR4_VMXE | CR4_MCE)
/* What a guest may set, as far as the CPU has it; every other bit of CR4 raises #GP. */
#define CR4_GUEST                                                                                 \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
	 CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE |        \
	 CR4_SMEP | CR4_SMAP)

/* MSRs no VMX control switches; the hypervisor has no use for them, so load and put do it. */
enum vmx_switched_msr {
	SW_STAR,
	SW_LSTAR,
	SW_CSTAR,
	SW_SFMASK,
	SW_KERNEL_GS_BASE,
	SW_TSC_AUX,
	SW_MSRS
};

/* Bits of ENTRY_INTERRUPTION_INFO, EXIT_INTERRUPTION_INFO and IDT_VECTORING_INFO. */
#define EVENT_VECTOR	    BITS(7, 0)
#define EVENT_TYPE	    BITS(10, 8)
#define EVENT_TYPE_IRQ	    (0u << 8)
#define EVENT_TYPE_NMI	    (2u << 8)
#define EVENT_TYPE_HARD	    (3u << 8) /* hardware exception */
#define EVENT_TYPE_SOFT_INT (4u << 8)
#define EVENT_TYPE_ICEBP    (5u << 8)
#define EVENT_TYPE_SOFT	    (6u << 8) /* INT3, INTO */
#define EVENT_HAS_ERROR	    BIT(11)
#define EVENT_NMI_UNBLOCKED BIT(12) /* exit info only: IRET had unblocked NMIs */
#define EVENT_VALID	    BIT(31)
/* A reserved bit, never in a VMCS: a fault during #DF. The vCPU is not entered again. */
#define EVENT_SHUTDOWN BIT(30)

/* Of GUEST_INTERRUPTIBILITY: ends with the next instruction. */
#define EXT_SHADOWS (GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS)

/*
 * State of the VMCS for entry.S. rsp: HOST_RSP as last written, 0 after VMCLEAR. launched: VMRESUME
 * enters, not VMLAUNCH.
 */
struct vmx_host {
	u64 rsp;
	bool launched;
};

/*
 * struct vmx_vcpu: the back end's own part of a vCPU, in a page of its own.
 *
 * Shadows of VMCS fields spare a VMREAD or VMWRITE where the value is known. Field keys: [I]
 * immutable after vcpu_init, [o] of the vCPU's owner.
 */
struct vmx_vcpu {
	struct arch_vcpu *vcpu; /* [I] */
	struct hpa vmcs;	/* [I] */
	u16 vpid;		/* [I] */
	bool loaded;		/* [o] current on this CPU, MSRs and FPU in the CPU */
	unsigned active;	/* [o] the CPU on which its VMCS is active; NO_CPU: none */
	unsigned cpu;		/* [o] of the host state in the VMCS; NO_CPU: none */
	struct vmx_host host;	/* [o] */
	u64 eptp;		/* [o] EPT_POINTER as last written */
	u32 primary, secondary; /* [o] controls as last written */
	u32 event;		/* [o] ENTRY_INTERRUPTION_INFO of the coming entry, or 0 */
	u32 event_error;	/* [o] its error code */
	u32 event_insn_len;	/* [o] its instruction's length, for software events */
	u64 cr2, dr[4], dr6;	/* [o] while not loaded; then the CPU has them */
	u64 msr[SW_MSRS];	/* [o] while not loaded */
	struct hpa pml;		/* [o] the log's page, or 0 */
};

#define NO_CPU (~0u)

static inline struct vmx_vcpu *vmx_of(struct arch_vcpu *vcpu)
{
	return vcpu->backend;
}

/* [I] after the first vmx_cpu_enable(). */
extern struct vmx_caps vmx_caps;
extern u8 vmx_msr_bitmap[4096], vmx_io_bitmap[2][4096];

/* enable.c */
bool vmx_supported(const char **why);
int vmx_cpu_enable(void);
void vmx_cpu_disable(void);
/* The vCPU that this CPU's current VMCS belongs to, or NULL. */
struct vmx_vcpu **vmx_current(void);

/* bitmap.c: pure. `page` is all ones before. */
void vmx_msr_bitmap_allow(u8 *page, u32 index, bool read, bool write);
void vmx_msr_bitmap_build(u8 *page, const struct msr_passthrough *list);

/* vcpu.c */
int vmx_vcpu_init(struct arch_vcpu *vcpu, const struct vcpu_setup *setup);
void vmx_vcpu_fini(struct arch_vcpu *vcpu);
void vmx_vcpu_load(struct arch_vcpu *vcpu);
void vmx_vcpu_put(struct arch_vcpu *vcpu);
/* VMCLEAR, after which the VMCS is launched anew. */
void vmx_clear(struct vmx_vcpu *v);
/* Makes the vCPU's VMCS current for a moment where it is not loaded; returns what was before. */
struct vmx_vcpu *vmx_borrow(struct vmx_vcpu *v);
void vmx_return(struct vmx_vcpu *v, struct vmx_vcpu *before);

/* run.c, entry.S */
void vmx_run(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit);
/* Called by the NMI handler of a CPU that has VMX on: see run.c. */
void vmx_nmi(void);
/* The guest has exited for the kick. */
void vmx_kick_taken(struct vmx_vcpu *v);
extern const char vmx_exit_point[];

/*
 * exit.c: one line for each basic exit reason (SDM appendix C), all of them named.
 *
 * reason	in hv's words
 * kind		an instruction that hv emulates (only its length is read), or another exit
 * decode	of another exit: fills in the rest, or handles it altogether; NULL for an EPT
 *		violation, which run.c decodes
 */
struct vmx_exit_info {
	const char *name;
	void (*decode)(struct vmx_vcpu *v, struct hv_exit *exit);
	u8 reason;
	u8 kind;
};

enum vmx_exit_kind { VMX_EXIT_OTHER, VMX_EXIT_INSN };

#define VMX_EXITS 64
extern const struct vmx_exit_info vmx_exits[VMX_EXITS], vmx_exit_unknown;

static inline const struct vmx_exit_info *vmx_exit_info(u64 reason)
{
	if (likely(reason < VMX_EXITS))
		return &vmx_exits[reason];
	/* The high half has flags, such as that the entry failed. */
	return (u16)reason < VMX_EXITS ? &vmx_exits[(u16)reason] : &vmx_exit_unknown;
}

/* The IRET that unblocked NMIs faulted before it was done: they are blocked again (28.2.3). */
void vmx_block_nmi_again(void) __cold;

/* state.c */
void vmx_get_state(struct arch_vcpu *vcpu, struct guest_state *state);
int vmx_set_state(struct arch_vcpu *vcpu, const struct guest_state *state);
void vmx_write_reset_state(struct vmx_vcpu *v);
void vmx_explain_entry_failure(struct vmx_vcpu *v, const struct hv_exit *exit);
/* A general register, RSP too: the VMCS is current. */
u64 *vmx_gpr(struct vmx_vcpu *v, unsigned gpr);
void vmx_dump(struct arch_vcpu *vcpu);
const char *vmx_exit_name(u64 reason);
unsigned vmx_cpl(struct arch_vcpu *vcpu);
u64 vmx_cr4(struct arch_vcpu *vcpu);

/* cr.c */
int vmx_write_cr(struct arch_vcpu *vcpu, unsigned cr, u64 value);

/* event.c */
bool vmx_can_inject(struct arch_vcpu *vcpu, enum guest_event_type type);
void vmx_inject(struct arch_vcpu *vcpu, const struct guest_event *event);
void vmx_set_irq_window(struct arch_vcpu *vcpu, bool on);
void vmx_set_nmi_window(struct arch_vcpu *vcpu, bool on);
void vmx_drop_events(struct arch_vcpu *vcpu);
/* Queues the event of these IDT-vectoring information bits. */
void vmx_requeue(struct vmx_vcpu *v, u32 info) __cold;
/* Queues an event in the form the three fields share; `insn_len` counts for software events. */
void vmx_queue_event(struct vmx_vcpu *v, u32 info, u32 error_code, u32 insn_len);

/* Queues the event that the exit interrupted; false: there was none. */
static __always_inline bool vmx_requeue_event(struct vmx_vcpu *v)
{
	u32 info = vmcs_read(VMCS_IDT_VECTORING_INFO);

	if (likely(!(info & EVENT_VALID)))
		return false;
	vmx_requeue(v, info);
	return true;
}

/* insn.c */
void vmx_get_code(struct arch_vcpu *vcpu, struct guest_code *code);
bool vmx_skip_code(struct arch_vcpu *vcpu, const struct guest_code *code,
		   const struct hv_exit *exit);
void vmx_skip_insn(struct arch_vcpu *vcpu, const struct hv_exit *exit);
/* Is the guest's code 64-bit? The VMCS is current. */
bool vmx_in_64_bit_code(void);

/* stage2.c */
u64 vmx_eptp(struct hpa root);
void vmx_set_stage2(struct arch_vcpu *vcpu, struct hpa root);
void vmx_flush_stage2(struct arch_vcpu *vcpu);
int vmx_pml_enable(struct arch_vcpu *vcpu, bool on);
unsigned vmx_pml_drain(struct arch_vcpu *vcpu, struct gpa *out, unsigned max);

#endif
