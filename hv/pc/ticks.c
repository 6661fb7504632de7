/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticks.c: the PIT's wire, and the ticks that a guest was not there to take.
 *
 *     OUT of channel 0   |   |   |   |   |   |   |   |   |
 *     the guest has      [===]               [===]           a CPU, its TSC runs all the time
 *     without a queue    |                   |   |           3 ticks lost: one request is all a controller can hold
 *     here               |                   ||||||          the next when the one before is finished
 *
 * Why: while a guest has no CPU its TSC goes on and its interrupts do not. A system that counts
 * ticks falls behind, and one that compares them with the TSC takes the timer for broken: Linux
 * panics unless it sees five ticks in what the TSC calls 40 ms or more. So a missed tick is owed,
 * and raised as soon as the guest has finished the one before: all ticks that fell due while the
 * guest was away are raised before its next instruction.
 *
 * Invariants:
 * TICK-1  a rise while a controller listens is raised once, or owed; at most PC_TICKS_OWED_MAX
 *         are owed, the others are lost.
 * TICK-2  the next one is raised only when no controller that listens has one requested or in
 *         service: none is lost in a pending request.
 * TICK-3  a rise while the line is masked everywhere is not owed: the PIC keeps one, the I/O APIC
 *         none, as on a board.
 * TICK-4  programming channel 0 drops what is owed: its ticks have another length from then on.
 * TICK-5  where the hardware's timer may be late (virt.h, trap) PAUSE exits while the guest takes
 *         ticks by the I/O APIC, and with interrupts on so does the RDTSC that follows. That RDTSC
 *         returns no time before the ticks due by then are raised and taken, one after the other,
 *         but for those of the last 20 us (RUN-6).
 *         So the wait in Linux's check of the I/O APIC (PAUSE, RDTSC, compare) cannot end with too
 *         few ticks, however late the hypervisor runs. Any other RDTSC does not exit: TSC
 *         calibration needs it quick.
 *
 * Only the PIT's ticks are owed. A local APIC's periodic timer is the tick of a scheduler, which
 * would charge a task with time that it did not have; such systems take the time of day from a
 * counter. Its missed interrupts become one (lapic.c), and so do the MC146818A's (rtc.c).
 */
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/pc.h>
#include <hv/vcpu.h>
#include "hv/pc/private.h"

static bool pic_listens(const struct pc *pc)
{
	return !pic_masks(&pc->pic, PC_IRQ_TIMER) && lapic_takes_extint(pc->vm->vcpu[0]->lapic);
}

static bool ioapic_listens(const struct pc *pc, struct lapic_ipi *message)
{
	return ioapic_route(&pc->ioapic, PC_PIN_TIMER, message) &&
	       message->delivery <= LAPIC_LOWEST;
}

/* TICK-2: is one requested, or in service? */
static bool is_unfinished(const struct pc *pc)
{
	struct lapic_ipi message;

	if (pic_listens(pc) && pic_holds(&pc->pic, PC_IRQ_TIMER))
		return true;
	if (!ioapic_listens(pc, &message))
		return false;
	for (unsigned i = 0; i < pc->vm->config.vcpus; i++) {
		const struct lapic *lapic = pc->vm->vcpu[i]->lapic;

		if (lapic_matches(lapic, &message.to, NULL) && lapic_holds(lapic, message.vector))
			return true;
	}
	return false;
}

/* The controllers look for an edge. */
static void raise_tick(struct pc *pc)
{
	spin_assert_held(&pc->lock);
	pc_set_line(pc, PC_IRQ_TIMER, false);
	pc_set_line(pc, PC_IRQ_TIMER, true);
}

static bool line_listens(const struct pc *pc)
{
	struct lapic_ipi message;

	return pic_listens(pc) || ioapic_listens(pc, &message);
}

static void count_rises(struct pc *pc, u64 now)
{
	u64 rises = pit_rises(&pc->pit, pc->pit_seen, now);
	u64 owed = MIN(pc->pit_owed + rises, PC_TICKS_OWED_MAX);

	spin_assert_held(&pc->lock);
	pc->pit_seen = now;
	if (line_listens(pc))
		ck_pr_store_64(&pc->pit_owed, owed);
	else if (rises)
		raise_tick(pc); /* TICK-3 */
}

static void set_pit_alarm(struct pc *pc, u64 now)
{
	u64 rise = pit_next_rise(&pc->pit, now);
	u64 due = rise == PIT_NEVER ? TICK_NEVER : pc_tick_at(pc, rise, PIT_HZ);
	struct lapic_ipi message;
	bool counts = pit_is_periodic(&pc->pit) && ioapic_listens(pc, &message);

	spin_assert_held(&pc->lock);
	if (due == pc->pit_due && counts == pc->pit_counts)
		return;
	pc->pit_due = due;
	ck_pr_store_32(&pc->pit_counts, counts);
	pc_set_alarm(pc);
}

bool pc_ticks_count(const struct vcpu *vcpu)
{
	return vcpu->index == 0 && ck_pr_load_32(&vcpu->vm->pc->pit_counts);
}

/*
 * Store-buffering pattern with pc_tick_done(): it ends an interrupt, then reads the count; this
 * side stores the count, then reads the controllers. At least one of the two sees the other.
 */
void pc_run_pit(struct pc *pc)
{
	u64 now = pc_clock(pc, PIT_HZ);

	count_rises(pc, now);
	ck_pr_fence_memory();
	if (pc->pit_owed && line_listens(pc) && !is_unfinished(pc)) {
		raise_tick(pc);
		pc->pit_owed = is_unfinished(pc) ? pc->pit_owed - 1 : 0; /* not taken */
	}
	set_pit_alarm(pc, now);
}

void pc_tick_done(struct pc *pc)
{
	ck_pr_fence_memory();
	if (likely(ck_pr_load_64(&pc->pit_owed) == 0))
		return;
	spin_lock(&pc->lock);
	pc_run_pit(pc);
	pc_unlock(pc);
}

void pc_restart_pit(struct pc *pc)
{
	pc->pit_seen = pc_clock(pc, PIT_HZ);
	pc->pit_owed = 0;
	set_pit_alarm(pc, pc->pit_seen);
}
