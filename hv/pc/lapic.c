/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lapic.c: a guest CPU's local APIC. lapic.h has the contract.
 *
 *      accept(v) --> IRR --pending(): class above PPR?--> acknowledge: ISR --EOI--> done
 *
 * LAPIC-1 A vector is pending only if its priority class is above that of PPR = max(TPR, highest in
 *         service).
 * LAPIC-2 An EOI ends the highest vector in service, and names it when it was level-triggered. From
 *         its acceptance to its EOI it is in IRR or ISR at every moment: lapic_holds() sees it from
 *         any CPU.
 * LAPIC-3 In x2APIC mode a reserved register or bit is #GP; in xAPIC mode it reads 0 and writes are
 *         lost.
 */
#include <hv/lapic.h>
#include <ck_pr.h>

enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR };

#define LVT_MASKED	    BIT(16)
#define LVT_STATUS	    (BIT(12) | BIT(14)) /* delivery status, remote IRR: read-only */
#define LVT_MODE(lvt)	    ((lvt) >> 17 & 3)
#define SVR_ENABLED	    BIT(8)
#define ESR_RECEIVE_ILLEGAL BIT(6)
#define ESR_SEND_ILLEGAL    BIT(5)
#define ESR_ILLEGAL_REG	    BIT(7)
#define BASE_BSP	    BIT(8)
#define BASE_X2APIC	    BIT(10)
#define BASE_ENABLED	    BIT(11)
#define VERSION		    (LAPIC_VERSION_ID | (LAPIC_LVTS - 1) << 16)

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

static u32 x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 15);
}

void lapic_reset(struct lapic *apic)
{
	u32 id = apic->id;
	u64 base = apic->base;
	bool no_x2apic = apic->no_x2apic;

	*apic = (struct lapic){.id = id,
			       .xapic_id = id << 24,
			       .base = base,
			       .no_x2apic = no_x2apic,
			       .dfr = ~0u,
			       .svr = 0xff};
	apic->timer_deadline = TICK_NEVER;
	for (unsigned i = 0; i < LAPIC_LVTS; i++)
		apic->lvt[i] = LVT_MASKED;
	if (lapic_is_x2apic(apic))
		apic->ldr = x2apic_ldr(id);
}

void lapic_init(struct lapic *apic, u32 id, bool boot_cpu)
{
	apic->id = id;
	apic->base = LAPIC_BASE | BASE_ENABLED | (boot_cpu ? BASE_BSP : 0);
	apic->no_x2apic = false;
	lapic_reset(apic);
	/* Virtual wire, as the BIOS leaves it: the 8259 reaches the boot CPU through LINT0. */
	if (boot_cpu) {
		apic->lvt[LVT_LINT0] = LAPIC_EXTINT << 8;
		apic->lvt[LVT_LINT1] = LAPIC_NMI << 8;
	}
}

/* All but these stays as it was (SDM 11.12.5.1). */
static void enter_x2apic(struct lapic *apic)
{
	apic->ldr = x2apic_ldr(apic->id);
	apic->icr = (u32)apic->icr;
	apic->icr_high = 0;
}

bool lapic_write_base(struct lapic *apic, u64 value)
{
	bool enable = value & BASE_ENABLED, x2apic = value & BASE_X2APIC;
	bool was_x2apic = lapic_is_x2apic(apic);

	/* The page stays where it is: moving it is #GP. */
	if ((value & ~(BASE_BSP | BASE_X2APIC | BASE_ENABLED)) != LAPIC_BASE || (x2apic && !enable))
		return false;
	if (x2apic && apic->no_x2apic)
		return false;
	if ((was_x2apic && enable && !x2apic) || (!lapic_is_enabled(apic) && x2apic))
		return false; /* SDM figure 11-27 has no such arrow */
	apic->base = (value & ~BASE_BSP) | (apic->base & BASE_BSP);
	if (!enable)
		lapic_reset(apic);
	if (x2apic && !was_x2apic)
		enter_x2apic(apic);
	return true;
}

static int highest_vector(const u32 bits[8])
{
	for (int i = 7; i >= 0; i--) {
		u32 word = ck_pr_load_32(&bits[i]);

		if (word)
			return i * 32 + 31 - __builtin_clz(word);
	}
	return LAPIC_NONE;
}

static u32 processor_priority(const struct lapic *apic)
{
	int in_service = highest_vector(apic->isr);
	u32 service_class = in_service < 0 ? 0 : in_service & 0xf0;

	return (apic->tpr & 0xf0) >= service_class ? apic->tpr : service_class;
}

int lapic_pending(const struct lapic *apic)
{
	int vector = highest_vector(apic->irr);

	if (vector < 0 || (u32)(vector & 0xf0) <= (processor_priority(apic) & 0xf0))
		return LAPIC_NONE;
	return vector;
}

void lapic_acknowledge(struct lapic *apic, u8 vector)
{
	u32 bit = 1u << vector % 32;

	ck_pr_store_32(&apic->isr[vector / 32], apic->isr[vector / 32] | bit);
	ck_pr_and_32(&apic->irr[vector / 32], ~bit);
}

bool lapic_holds(const struct lapic *apic, u8 vector)
{
	u32 bit = 1u << vector % 32;

	/*
	 * In the order in which it moves from one to the other, so that it is not missed between
	 * them.
	 */
	return ck_pr_load_32(&apic->irr[vector / 32]) & bit ||
	       ck_pr_load_32(&apic->isr[vector / 32]) & bit;
}

bool lapic_accepts(const struct lapic *apic)
{
	return lapic_is_enabled(apic) && (ck_pr_load_32(&apic->svr) & SVR_ENABLED);
}

void lapic_accept(struct lapic *apic, u8 vector, bool level)
{
	u32 bit = 1u << vector % 32;

	if (vector < 16) {
		ck_pr_or_32(&apic->esr_pending, ESR_RECEIVE_ILLEGAL);
		return;
	}
	if (!(ck_pr_load_32(&apic->svr) & SVR_ENABLED))
		return;
	if (level)
		ck_pr_or_32(&apic->tmr[vector / 32], bit);
	else
		ck_pr_and_32(&apic->tmr[vector / 32], ~bit);
	ck_pr_or_32(&apic->irr[vector / 32], bit);
}

static void end_of_interrupt(struct lapic *apic, struct lapic_action *action)
{
	int vector = highest_vector(apic->isr);

	if (vector < 0)
		return;
	ck_pr_store_32(&apic->isr[vector / 32], apic->isr[vector / 32] & ~(1u << vector % 32));
	if (apic->tmr[vector / 32] & 1u << vector % 32) {
		action->effect = LAPIC_END_OF_INTERRUPT;
		action->vector = vector;
	}
}

/* Decodes the interrupt command register (SDM figure 11-12, x2APIC: 11-28). */
static void send_ipi(struct lapic *apic, struct lapic_action *action)
{
	struct lapic_ipi *ipi = &action->ipi;

	ipi->vector = apic->icr;
	ipi->delivery = apic->icr >> 8 & 7;
	ipi->level_deassert = ipi->delivery == LAPIC_INIT && !(apic->icr & BIT(14));
	ipi->to.logical = apic->icr & BIT(11);
	ipi->to.shorthand = apic->icr >> 18 & 3;
	ipi->to.id = apic->icr >> (lapic_is_x2apic(apic) ? 32 : 56);
	if (ipi->delivery <= LAPIC_LOWEST && ipi->vector < 16)
		apic->esr_pending |= ESR_SEND_ILLEGAL;
	else
		action->effect = LAPIC_SEND;
}

static unsigned timer_shift(const struct lapic *apic)
{
	unsigned code = (apic->divide & 3) | (apic->divide >> 1 & 4);

	return (code + 1) & 7; /* 000 is 2, 110 is 128, 111 is 1 (SDM figure 11-10) */
}

static u64 timer_period(const struct lapic *apic)
{
	return (u64)apic->initial << timer_shift(apic);
}

static unsigned timer_mode(const struct lapic *apic)
{
	return LVT_MODE(apic->lvt[LVT_TIMER]);
}

static void start_timer(struct lapic *apic, u64 now)
{
	if (timer_mode(apic) == TIMER_DEADLINE)
		return;
	apic->timer_start = now;
	apic->timer_deadline = apic->initial ? now + timer_period(apic) : TICK_NEVER;
}

static u32 timer_count(const struct lapic *apic, u64 now)
{
	if (apic->timer_deadline == TICK_NEVER || timer_mode(apic) == TIMER_DEADLINE ||
	    now >= apic->timer_deadline)
		return 0;
	return (apic->timer_deadline - now) >> timer_shift(apic);
}

u64 lapic_timer_due(const struct lapic *apic)
{
	return apic->timer_deadline;
}

bool lapic_timer_expire(struct lapic *apic, u64 now)
{
	u32 lvt = apic->lvt[LVT_TIMER];
	u64 period = timer_period(apic);

	if (now < apic->timer_deadline)
		return false;
	if (timer_mode(apic) == TIMER_PERIODIC && period) {
		u64 missed = (now - apic->timer_deadline) / period;

		apic->timer_deadline += (missed + 1) * period;
	} else {
		apic->timer_deadline = TICK_NEVER;
	}
	if (lvt & LVT_MASKED)
		return false;
	lapic_accept(apic, lvt, false);
	return true;
}

u64 lapic_read_deadline(const struct lapic *apic)
{
	if (timer_mode(apic) != TIMER_DEADLINE || apic->timer_deadline == TICK_NEVER)
		return 0;
	return apic->timer_deadline;
}

void lapic_write_deadline(struct lapic *apic, u64 value)
{
	if (timer_mode(apic) == TIMER_DEADLINE)
		apic->timer_deadline = value ? value : TICK_NEVER;
}

/* Local vector table entries: what a guest may set in each (SDM figure 11-8). */
static const u32 lvt_writable[LAPIC_LVTS] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,	[LVT_ERROR] = 0x100ff,
};

static void write_lvt(struct lapic *apic, enum lvt which, u32 value)
{
	bool was_deadline = timer_mode(apic) == TIMER_DEADLINE;

	value &= lvt_writable[which];
	if (!(apic->svr & SVR_ENABLED))
		value |= LVT_MASKED;
	apic->lvt[which] = value;
	/* Changing to or from deadline mode disarms the timer (SDM 11.5.4.1). */
	if (which == LVT_TIMER && (timer_mode(apic) == TIMER_DEADLINE) != was_deadline)
		apic->timer_deadline = TICK_NEVER;
}

static void write_svr(struct lapic *apic, u32 value)
{
	apic->svr = value & 0x1ff;
	if (value & SVR_ENABLED)
		return;
	for (unsigned i = 0; i < LAPIC_LVTS; i++)
		apic->lvt[i] |= LVT_MASKED; /* SDM 11.4.7.2 */
}

static void write_icr(struct lapic *apic, u64 value, struct lapic_action *action)
{
	apic->icr = lapic_is_x2apic(apic) ? value & ~BIT(12)
					  : (u64)apic->icr_high << 32 | ((u32)value & ~BIT(12));
	send_ipi(apic, action);
}

/* Registers that only one of the modes has, and LDR, which only xAPIC may write. */
static bool register_exists(const struct lapic *apic, unsigned reg, bool write)
{
	if (lapic_is_x2apic(apic))
		return reg != LAPIC_DFR && reg != LAPIC_ICR2 && reg != LAPIC_APR &&
		       !(write && (reg == LAPIC_LDR || reg == LAPIC_ID));
	return reg != LAPIC_SELF_IPI;
}

static void write_register(struct lapic *apic, unsigned reg, u32 value, u64 now,
			   struct lapic_action *action)
{
	switch (reg) {
	case LAPIC_TPR:
		apic->tpr = value & 0xff;
		break;
	case LAPIC_EOI:
		end_of_interrupt(apic, action);
		break;
	case LAPIC_LDR:
		apic->ldr = value & 0xff000000;
		break;
	case LAPIC_DFR:
		apic->dfr = value | 0x0fffffff;
		break;
	case LAPIC_SVR:
		write_svr(apic, value);
		break;
	case LAPIC_ESR:
		apic->esr = ck_pr_fas_32(&apic->esr_pending, 0);
		break;
	case LAPIC_ICR2:
		apic->icr_high = value & 0xff000000;
		break;
	case LAPIC_TIMER_INITIAL:
		apic->initial = value;
		start_timer(apic, now);
		break;
	case LAPIC_TIMER_DIVIDE:
		apic->divide = value & 0xb;
		break;
	case LAPIC_SELF_IPI:
		lapic_accept(apic, value, false);
		break;
	default:
		ck_pr_or_32(&apic->esr_pending, ESR_ILLEGAL_REG);
		action->effect = lapic_is_x2apic(apic) ? LAPIC_GP : LAPIC_DONE;
		break;
	}
}

/*
 * LAPIC-3: the bits that a write in x2APIC mode may set (SDM 11.12.1.2, and each register's
 * figure).
 */
static u64 valid_bits(unsigned reg)
{
	switch (reg) {
	case LAPIC_EOI:
	case LAPIC_ESR:
		return 0;
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		return 0xff;
	case LAPIC_SVR:
		return 0x1ff;
	case LAPIC_ICR:
		return 0xffffffff000cdfffull;
	case LAPIC_TIMER_DIVIDE:
		return 0xb;
	case LAPIC_LVT_TIMER ... LAPIC_LVT_ERROR:
		return lvt_writable[reg - LAPIC_LVT_TIMER] | LVT_STATUS;
	default:
		return 0xffffffff;
	}
}

void lapic_write(struct lapic *apic, unsigned reg, u64 value, u64 now, struct lapic_action *action)
{
	bool x2apic = lapic_is_x2apic(apic);

	action->effect = LAPIC_DONE;
	if (!register_exists(apic, reg, true) || (x2apic && value & ~valid_bits(reg)))
		action->effect = x2apic ? LAPIC_GP : LAPIC_DONE;
	else if (reg == LAPIC_ICR)
		write_icr(apic, value, action);
	else if (reg >= LAPIC_LVT_TIMER && reg <= LAPIC_LVT_ERROR)
		write_lvt(apic, reg - LAPIC_LVT_TIMER, value);
	else
		write_register(apic, reg, value, now, action);
}

struct reading {
	u64 value;
	bool valid; /* such a register is there */
};

unsigned lapic_place(unsigned reg)
{
#define ARRAY(field, first) (offsetof(struct lapic, field) + sizeof(u32) * (reg - (first)))
	switch (reg) {
	case LAPIC_ID:
		return offsetof(struct lapic, xapic_id);
	case LAPIC_TPR:
		return offsetof(struct lapic, tpr);
	case LAPIC_LDR:
		return offsetof(struct lapic, ldr);
	case LAPIC_DFR:
		return offsetof(struct lapic, dfr);
	case LAPIC_SVR:
		return offsetof(struct lapic, svr);
	case LAPIC_ESR:
		return offsetof(struct lapic, esr);
	case LAPIC_ICR:
		return offsetof(struct lapic, icr);
	case LAPIC_ICR2:
		return offsetof(struct lapic, icr_high);
	case LAPIC_TIMER_INITIAL:
		return offsetof(struct lapic, initial);
	case LAPIC_TIMER_DIVIDE:
		return offsetof(struct lapic, divide);
	case LAPIC_ISR ... LAPIC_ISR + 7:
		return ARRAY(isr, LAPIC_ISR);
	case LAPIC_TMR ... LAPIC_TMR + 7:
		return ARRAY(tmr, LAPIC_TMR);
	case LAPIC_IRR ... LAPIC_IRR + 7:
		return ARRAY(irr, LAPIC_IRR);
	case LAPIC_LVT_TIMER ... LAPIC_LVT_ERROR:
		return ARRAY(lvt, LAPIC_LVT_TIMER);
	default:
		return 0;
	}
#undef ARRAY
}

static struct reading read_register(const struct lapic *apic, unsigned reg, u64 now)
{
	unsigned place = lapic_place(reg);

	if (lapic_is_x2apic(apic) && reg == LAPIC_ID)
		return (struct reading){apic->id, true};
	if (lapic_is_x2apic(apic) && reg == LAPIC_ICR)
		return (struct reading){apic->icr, true};
	if (place)
		return (struct reading){lapic_load(apic, place), true};
	switch (reg) {
	case LAPIC_VERSION:
		return (struct reading){VERSION, true};
	case LAPIC_PPR:
		return (struct reading){processor_priority(apic), true};
	case LAPIC_TIMER_CURRENT:
		return (struct reading){timer_count(apic, now), true};
	default:
		return (struct reading){0, false};
	}
}

bool lapic_read(struct lapic *apic, unsigned reg, u64 now, u64 *value)
{
	struct reading reading = {0, false};

	if (register_exists(apic, reg, false))
		reading = read_register(apic, reg, now);
	*value = reading.value;
	return reading.valid || !lapic_is_x2apic(apic);
}

u32 lapic_read_xapic(const struct lapic *apic, unsigned reg, u64 now)
{
	return (u32)read_register(apic, reg, now).value;
}

u64 lapic_read_cr8(const struct lapic *apic)
{
	return apic->tpr >> 4;
}

bool lapic_write_cr8(struct lapic *apic, u64 value)
{
	if (value > 15)
		return false;
	apic->tpr = (u32)value << 4;
	return true;
}

static bool matches_logical(const struct lapic *apic, u32 mda)
{
	if (lapic_is_x2apic(apic))
		return mda >> 16 == apic->ldr >> 16 && mda & apic->ldr & 0xffff;
	if (apic->dfr >> 28 == 0xf)
		return mda & apic->ldr >> 24; /* flat */
	return mda >> 4 == apic->ldr >> 28 && mda & apic->ldr >> 24 & 15;
}

bool lapic_matches(const struct lapic *apic, const struct lapic_destination *to,
		   const struct lapic *source)
{
	u32 broadcast = lapic_is_x2apic(apic) ? ~0u : 0xff;

	switch (to->shorthand) {
	case 1:
		return apic == source;
	case 2:
		return true;
	case 3:
		return apic != source;
	default:
		return to->id == broadcast ||
		       (to->logical ? matches_logical(apic, to->id) : apic->id == to->id);
	}
}

bool lapic_takes_extint(const struct lapic *apic)
{
	u32 lvt = apic->lvt[LVT_LINT0];

	return !lapic_is_enabled(apic) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == LAPIC_EXTINT);
}
