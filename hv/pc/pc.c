/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc.c: the board: wires, the lock, and time. pc.h has the picture.
 *
 * Invariants:
 * PC-1  a chip's time is a fixed function of arch_ticks(): every CPU computes the same, and it
 *       never goes back.
 * PC-2  vcpu_notify() of a vCPU with an interrupt to take follows the change of the wire that
 *       raised it: the vCPU passes its entry check again.
 */
#include <hv/pc.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/memory.h>
#include <hv/vcpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include "hv/pc/private.h"

#define LOG_THIS LOG_DEVICE

/*
 * `ticks` of the machine's clock as clocks of `hz`: a 32.32 fixed-point product, exact to 1 in 2^20
 * over years.
 */
static u64 to_clocks(u64 ticks, u64 hz)
{
	u64 scale = (hz << 32) / arch_ticks_per_second();

	return (u64)((unsigned __int128)ticks * scale >> 32);
}

/* The first tick at which to_clocks() is at least `clocks`. */
static u64 to_ticks(u64 clocks, u64 hz)
{
	u64 scale = (hz << 32) / arch_ticks_per_second();
	u64 inverse = ~0ull / scale; /* 2^64 / scale: 32 fraction bits more than needed */
	u64 ticks = (u64)((unsigned __int128)clocks * inverse >> 32);

	while (to_clocks(ticks, hz) < clocks)
		ticks++;
	return ticks;
}

u64 pc_clock_at(const struct pc *pc, u64 tick, u64 hz)
{
	return to_clocks(tick - pc->start, hz);
}

u64 pc_clock(const struct pc *pc, u64 hz)
{
	return pc_clock_at(pc, arch_ticks(), hz);
}

u64 pc_tick_at(const struct pc *pc, u64 clocks, u64 hz)
{
	return pc->start + to_ticks(clocks, hz);
}

void pc_unlock(struct pc *pc)
{
	u32 notify = pc->notify;

	pc->notify = 0;
	spin_unlock(&pc->lock);
	for (unsigned i = 0; notify; i++, notify >>= 1) {
		if (notify & 1)
			vcpu_notify(pc->vm->vcpu[i]);
	}
}

/* The INTR wire of the PIC ends at vCPU 0. */
static void follow_pic(struct pc *pc)
{
	if (pic_pending(&pc->pic))
		pc->notify |= BIT(0);
}

void pc_set_line(struct pc *pc, enum pc_irq irq, bool level)
{
	pic_set_line(&pc->pic, irq, level);
	ioapic_set_line(&pc->ioapic, irq == PC_IRQ_TIMER ? PC_PIN_TIMER : irq, level);
	follow_pic(pc);
}

void pc_set_irq(struct pc *pc, enum pc_irq irq, bool level)
{
	spin_lock(&pc->lock);
	pc_set_line(pc, irq, level);
	pc_unlock(pc);
}

void pc_set_alarm(struct pc *pc)
{
	spin_assert_held(&pc->lock);
	ck_pr_store_64(&pc->due, MIN(pc->pit_due, pc->rtc_due));
	pc->notify |= BIT(0);
}

u64 pc_wall_clock(const struct pc *pc, u64 tick)
{
	return pc->start_time + pc_clock_at(pc, tick, 1000000);
}

void pc_run_clock(struct pc *pc, u64 now)
{
	u64 due, rise;

	spin_assert_held(&pc->lock);
	rtc_run(&pc->rtc, pc_wall_clock(pc, now));
	pc_set_line(pc, PC_IRQ_CLOCK, rtc_irq(&pc->rtc));
	rise = rtc_due(&pc->rtc);
	due = rise == RTC_NEVER ? TICK_NEVER : pc_tick_at(pc, rise - pc->start_time, 1000000);
	if (due == pc->rtc_due)
		return;
	pc->rtc_due = due;
	pc_set_alarm(pc);
}

#define PC_ELCR_SLAVE 0x4d1
#define PCI_LEVELS    ((u8)(BITS(PCI_IRQ_FIRST + PCI_IRQS - 1, PCI_IRQ_FIRST) >> 8))

static bool deliver_to(struct vcpu *vcpu, const struct lapic_ipi *message, bool level)
{
	switch (message->delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		lapic_accept(vcpu->lapic, message->vector, level);
		return true;
	case LAPIC_NMI:
		vcpu_pend_nmi(vcpu);
		return true;
	default:
		return false; /* SMI and INIT from an I/O APIC: no model of them */
	}
}

/*
 * From the I/O APIC to the local APICs it names; lowest priority goes to the first of them that
 * accepts interrupts.
 */
static bool deliver_message(void *context, const struct lapic_ipi *message, bool level)
{
	struct pc *pc = context;
	bool taken = false;

	if (message->delivery == LAPIC_EXTINT) {
		pc->notify |= BIT(0); /* the PIC, by another way */
		return true;
	}
	for (unsigned i = 0; i < pc->vm->config.vcpus; i++) {
		struct vcpu *vcpu = pc->vm->vcpu[i];

		if (!lapic_matches(vcpu->lapic, &message->to, NULL) ||
		    (message->delivery == LAPIC_LOWEST && !lapic_accepts(vcpu->lapic)) ||
		    !deliver_to(vcpu, message, level))
			continue;
		pc->notify |= BIT(i);
		taken = true;
		if (message->delivery == LAPIC_LOWEST)
			break;
	}
	return taken;
}

static void take_message(void *context, u32 address, u32 data)
{
	struct pc *pc = context;
	const struct lapic_ipi message = {
		.delivery = data >> 8 & 7,
		.vector = (u8)data,
		.to = {.id = address >> 12 & 0xff, .logical = address & BIT(2)},
	};

	if (address >> 20 != LAPIC_BASE >> 20)
		return; /* a write to memory: no system uses it so */
	spin_lock(&pc->lock);
	(void)deliver_message(pc, &message, false);
	pc_unlock(pc);
}

/* PCI-3: under the lock, from what each function drives at that moment. */
static void follow_pci(void *context, unsigned wire)
{
	struct pc *pc = context;

	spin_lock(&pc->lock);
	pc_set_line(pc, PCI_IRQ_FIRST + wire, pci_wire(&pc->pci, wire));
	pc_unlock(pc);
}

static const struct pci_board pci_board = {take_message, follow_pci};

int pc_create(struct vm *vm)
{
	struct pc *pc = hv_alloc(sizeof(*pc));

	if (!pc)
		return ERR_NO_MEMORY;
	spin_init(&pc->lock, LOCK_DEVICE, "pc");
	pc->vm = vm;
	pc->start = arch_ticks();
	pc->start_time = arch_wall_seconds() * 1000000;
	pc->due = pc->pit_due = pc->rtc_due = TICK_NEVER;
	pic_init(&pc->pic);
	pit_init(&pc->pit);
	rtc_init(&pc->rtc, pc->start_time);
	pm_init(&pc->pm);
	pci_init(&pc->pci, &pci_board, pc);
	pic_write(&pc->pic, PC_ELCR_SLAVE, PCI_LEVELS); /* as a PC's firmware does */
	i8042_init(&pc->i8042);
	vga_init(&pc->vga);
	fw_cfg_init(&pc->fw_cfg, vm->config.memory, vm->config.vcpus);
	ioapic_init(&pc->ioapic, deliver_message, pc);
	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		vm->vcpu[i]->lapic = &pc->lapic[i];
		lapic_init(&pc->lapic[i], i, i == 0);
		pc->lapic[i].no_x2apic = vm->config.no_x2apic;
	}
	vm->pc = pc;
	vm->irqchip = &pc_irqchip;
	return 0;
}

void pc_destroy(struct vm *vm)
{
	if (!vm->pc)
		return;
	pci_destroy(&vm->pc->pci);
	if (vm->pc->files)
		hv_free(vm->pc->files, vm->pc->files_size);
	hv_free(vm->pc, sizeof(*vm->pc));
	vm->pc = NULL;
}

static bool takes_pic(const struct vcpu *vcpu)
{
	return vcpu->index == 0 && lapic_takes_extint(vcpu->lapic) &&
	       pic_pending(&vcpu->vm->pc->pic);
}

bool pc_irq_pending(struct vcpu *vcpu)
{
	return lapic_pending(vcpu->lapic) != LAPIC_NONE || takes_pic(vcpu);
}

u8 pc_irq_take(struct vcpu *vcpu)
{
	struct pc *pc = vcpu->vm->pc;
	int vector = lapic_pending(vcpu->lapic);

	if (vector != LAPIC_NONE) {
		lapic_acknowledge(vcpu->lapic, (u8)vector);
		return (u8)vector;
	}
	spin_lock(&pc->lock);
	vector = pic_acknowledge(&pc->pic);
	pc_run_pit(pc); /* with automatic EOI that was the end of it */
	pc_unlock(pc);
	return (u8)vector;
}

/* Guest ticks are host ticks plus tsc_offset, modulo 2^64; their distances are compared. */
static u64 lapic_alarm(const struct vcpu *vcpu, u64 now)
{
	u64 due = lapic_timer_due(vcpu->lapic), guest = now + vcpu->arch.tsc_offset;

	if (due == TICK_NEVER || due <= guest)
		return due == TICK_NEVER ? TICK_NEVER : now;
	return due - guest < TICK_NEVER - now ? now + (due - guest) : TICK_NEVER;
}

u64 pc_alarm(const struct vcpu *vcpu, u64 now)
{
	u64 alarm = lapic_alarm(vcpu, now);

	if (vcpu->index == 0)
		alarm = MIN(alarm, MAX(now, ck_pr_load_64(&vcpu->vm->pc->due)));
	return alarm;
}

void pc_run_timers(struct vcpu *vcpu)
{
	struct pc *pc = vcpu->vm->pc;
	u64 now = arch_ticks();

	if (lapic_alarm(vcpu, now) <= now)
		(void)lapic_timer_expire(vcpu->lapic, now + vcpu->arch.tsc_offset);
	if (vcpu->index != 0 || ck_pr_load_64(&pc->due) > now)
		return;
	spin_lock(&pc->lock);
	pc_run_pit(pc);
	pc_run_clock(pc, now);
	pc_unlock(pc);
}

static void reset_irqchip(struct vcpu *vcpu)
{
	lapic_reset(vcpu->lapic);
}

static u64 get_priority(const struct vcpu *vcpu)
{
	return lapic_read_cr8(vcpu->lapic);
}

static bool set_priority(struct vcpu *vcpu, u64 value)
{
	return lapic_write_cr8(vcpu->lapic, value);
}

const struct irqchip_ops pc_irqchip = {
	.pending = pc_irq_pending,
	.take = pc_irq_take,
	.alarm = pc_alarm,
	.run_timers = pc_run_timers,
	.ticks_owed = pc_ticks_count,
	.reset = reset_irqchip,
	.get_priority = get_priority,
	.set_priority = set_priority,
	.devices = true,
};
