/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lapic.h: a guest CPU's local APIC, xAPIC and x2APIC (Intel SDM vol. 3A, chapter 11).
 *
 * A model without surroundings: register writes come in and return their effect outside (an IPI to
 * send, an EOI to pass on); time is a parameter, in ticks of the guest's TSC, which is also the
 * clock of the timer before its divider. So it runs in a host test.
 *
 * Locking: the owner of the vCPU, but for lapic_accept(), which any CPU may call.
 */
#ifndef SAMEPAGE_HV_LAPIC_H
#define SAMEPAGE_HV_LAPIC_H

#include <arch/ticks.h>
#include <ck_pr.h>
#include <lib/types.h>

#define LAPIC_BASE	 0xfee00000ull
#define LAPIC_NONE	 (-1)
#define LAPIC_LVTS	 6
#define LAPIC_VERSION_ID 0x14
#define LAPIC_X2APIC_MSR 0x800

/* Registers by number: xAPIC offset >> 4, x2APIC MSR - 0x800 (SDM table 11-6). */
enum lapic_reg {
	LAPIC_ID = 0x02,
	LAPIC_VERSION = 0x03,
	LAPIC_TPR = 0x08,
	LAPIC_APR = 0x09,
	LAPIC_PPR = 0x0a,
	LAPIC_EOI = 0x0b,
	LAPIC_LDR = 0x0d,
	LAPIC_DFR = 0x0e,
	LAPIC_SVR = 0x0f,
	LAPIC_ISR = 0x10,
	LAPIC_TMR = 0x18,
	LAPIC_IRR = 0x20,
	LAPIC_ESR = 0x28,
	LAPIC_LVT_CMCI = 0x2f,
	LAPIC_ICR = 0x30,
	LAPIC_ICR2 = 0x31,
	LAPIC_LVT_TIMER = 0x32,
	LAPIC_LVT_THERMAL = 0x33,
	LAPIC_LVT_PERF = 0x34,
	LAPIC_LVT_LINT0 = 0x35,
	LAPIC_LVT_LINT1 = 0x36,
	LAPIC_LVT_ERROR = 0x37,
	LAPIC_TIMER_INITIAL = 0x38,
	LAPIC_TIMER_CURRENT = 0x39,
	LAPIC_TIMER_DIVIDE = 0x3e,
	LAPIC_SELF_IPI = 0x3f,
	LAPIC_REGS = 0x40,
};

enum lapic_delivery {
	LAPIC_FIXED,
	LAPIC_LOWEST,
	LAPIC_SMI,
	LAPIC_RESERVED,
	LAPIC_NMI,
	LAPIC_INIT,
	LAPIC_SIPI,
	LAPIC_EXTINT
};

/* A destination as an ICR or an I/O APIC entry names it. */
struct lapic_destination {
	u32 id;
	bool logical;
	u8 shorthand; /* 0 none, 1 self, 2 all, 3 all but self */
};

struct lapic_ipi {
	enum lapic_delivery delivery;
	u8 vector;
	bool level_deassert; /* INIT level de-assert: nothing to do on these CPUs (SDM 11.6.1) */
	struct lapic_destination to;
};

/* irr is written by any CPU, atomically, and isr read; the rest belongs to the vCPU's owner. */
struct lapic {
	u32 id, xapic_id; /* the register's number, and what it reads in xAPIC mode */
	u64 base;	  /* IA32_APIC_BASE */
	bool no_x2apic;	  /* [I] entering x2APIC mode is #GP */
	u32 tpr, ldr, dfr, svr, esr, esr_pending, icr_high, divide, initial;
	u64 icr;
	u32 lvt[LAPIC_LVTS]; /* timer, thermal, performance, LINT0, LINT1, error */
	u32 irr[8], isr[8], tmr[8];
	u64 timer_start;    /* tick at which `initial` was written */
	u64 timer_deadline; /* tick of the next interrupt, TICK_NEVER when off */
} __aligned(64);

/* What is left to the caller of a register write. */
enum lapic_effect { LAPIC_DONE, LAPIC_SEND, LAPIC_END_OF_INTERRUPT, LAPIC_GP };
struct lapic_action {
	enum lapic_effect effect;
	struct lapic_ipi ipi; /* LAPIC_SEND */
	u8 vector;	      /* LAPIC_END_OF_INTERRUPT: a level-triggered one, for the I/O APIC */
};

void lapic_init(struct lapic *apic, u32 id, bool boot_cpu);
/* As INIT does: all registers but the ID and the base. */
void lapic_reset(struct lapic *apic);

static inline bool lapic_is_enabled(const struct lapic *apic)
{
	return apic->base & BIT(11);
}

static inline bool lapic_is_x2apic(const struct lapic *apic)
{
	return apic->base & BIT(10);
}

/* Enabled, with its registers in memory. */
static inline bool lapic_is_xapic(const struct lapic *apic)
{
	return (apic->base & BITS(11, 10)) == BIT(11);
}

/* Does it accept fixed interrupts? Any CPU. */
bool lapic_accepts(const struct lapic *apic);

/* IA32_APIC_BASE: false means #GP (reserved bits, a transition SDM 11.12.5 forbids). */
bool lapic_write_base(struct lapic *apic, u64 value) __must_check;

/* Register access by number, in either mode; false: #GP in x2APIC mode, nothing in xAPIC mode. */
bool lapic_read(struct lapic *apic, unsigned reg, u64 now, u64 *value) __must_check;
/* The same in xAPIC mode; 0 where no register is. `now` is for the timer's current count alone. */
u32 lapic_read_xapic(const struct lapic *apic, unsigned reg, u64 now);

/*
 * Where in a struct lapic the register is that reads as its 32 bits in xAPIC mode; 0: it is
 * computed, or there is none. Pure.
 */
unsigned lapic_place(unsigned reg);

static inline u32 lapic_load(const struct lapic *apic, unsigned place)
{
	return ck_pr_load_32((const u32 *)((const u8 *)apic + place));
}

void lapic_write(struct lapic *apic, unsigned reg, u64 value, u64 now, struct lapic_action *action);

/* CR8, the upper half of TPR (SDM vol. 3A, 11.8.6). false: #GP. */
u64 lapic_read_cr8(const struct lapic *apic);
bool lapic_write_cr8(struct lapic *apic, u64 value) __must_check;

/* IA32_TSC_DEADLINE, which does something in that timer mode only. */
u64 lapic_read_deadline(const struct lapic *apic);
void lapic_write_deadline(struct lapic *apic, u64 value);

/* Any CPU: an interrupt arrives. Vectors below 16 are an error the guest can see (SDM 11.5.3). */
void lapic_accept(struct lapic *apic, u8 vector, bool level);

/* The vector that may be delivered now, LAPIC_NONE when none is or the priority forbids it. */
int lapic_pending(const struct lapic *apic);
/* The CPU takes that vector: from IRR to ISR. */
void lapic_acknowledge(struct lapic *apic, u8 vector);

/* Any CPU: is the vector requested or in service? */
bool lapic_holds(const struct lapic *apic, u8 vector);

/* Does the destination name this APIC? `source` is the sender, for the shorthands. SDM 11.6.2. */
bool lapic_matches(const struct lapic *apic, const struct lapic_destination *to,
		   const struct lapic *source);

/* Does LINT0 let an interrupt of the 8259 through? */
bool lapic_takes_extint(const struct lapic *apic);

/* When the timer is due; and what to do then: true when an interrupt was put into IRR. */
u64 lapic_timer_due(const struct lapic *apic);
bool lapic_timer_expire(struct lapic *apic, u64 now);

#endif
