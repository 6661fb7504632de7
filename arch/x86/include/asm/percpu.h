/* SPDX-License-Identifier: Apache-2.0 */
/*
 * percpu.h: what each CPU has of its own, found through the GS base.
 *
 * A back end that loads a guest's GS puts the hypervisor's back before any C code runs.
 * Field keys: [I] immutable once the CPU is up, [c] only the CPU itself, [a] atomic, written by
 * others.
 */
#ifndef SAMEPAGE_ASM_PERCPU_H
#define SAMEPAGE_ASM_PERCPU_H

#include <asm/desc.h>
#include <arch/cpu.h>
#include <lib/types.h>

/*
 * What makes a CPU leave its guest: an interrupt, or an NMI (arch/x86/vmx/run.c: why).
 */
enum guest_ipi { IPI_IRQ, IPI_NMI };

/* clang-format off */
struct percpu {
	struct percpu *self;	/* [I] gs:0 */
	u32 id;			/* [I] dense number, as arch_cpu_id() */
	u32 apic_id;		/* [I] */
	void **inside;		/* [a] another than NULL is stored there while it is in a guest */
	u32 guest_ipi;		/* [I] what a kick is then: the back end's choice */
	u32 asleep;		/* [a] a kick must interrupt it (idle.c) */
	u32 kicked;		/* [a] a kick came since arch_idle() returned last */
	bool nmi_kicked;	/* [c] set and read by the back end, in on_nmi too */
	void (*on_nmi)(void);	/* [I] the back end's part of an NMI; kicks then come as NMI */
	u64 timer_deadline;	/* [c] what the APIC timer is armed for, or TICK_NEVER */
	u64 interrupts;		/* [c] host interrupts taken */
	u64 nmis;		/* [c] */
	u64 gdt[GDT_ENTRIES];	/* [I] */
	struct tss tss;		/* [I] */
} __aligned(64);
/* clang-format on */

extern struct percpu percpu_area[ARCH_CPUS_MAX];

static __always_inline struct percpu *percpu(void)
{
	struct percpu *self;

	asm("mov %%gs:0, %0" : "=r"(self));
	return self;
}

/* This CPU's number in one instruction. */
static __always_inline unsigned percpu_id(void)
{
	unsigned id;

	asm("movl %%gs:%c1, %0" : "=r"(id) : "i"(offsetof(struct percpu, id)));
	return id;
}

/* Is this CPU's timer armed for `deadline`? Called at every entry to a guest: two instructions. */
static __always_inline bool percpu_timer_armed_for(u64 deadline)
{
	bool equal;

	asm volatile("cmpq %2, %%gs:%c1"
		     : "=@cce"(equal)
		     : "i"(offsetof(struct percpu, timer_deadline)), "r"(deadline));
	return equal;
}

#endif
