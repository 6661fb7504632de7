/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticks.c: the PIT's wire, and the ticks that a guest was not there to take.
 *
 *     OUT of channel 0   |   |   |   |   |   |   |   |   |
 *     the guest has      [===]               [===]           a CPU, its TSC runs all the time
 *     without a queue    |                   |   |           3 ticks lost: one request is all a controller can hold
 *     here               |                   ||||||          the next when the one before is finished
 *
 * Why: the time a guest does not run passes for its TSC and not for its interrupts. A system that
 * counts ticks falls behind, and one that holds them against the TSC takes the timer for broken:
 * Linux, which wants to see five ticks in what the TSC calls 40 ms or more, panics. So a missed
 * tick is owed, and told as soon as the guest has finished the one before. Then all that fell due
 * while it was away are told before the instruction at which it was interrupted.
 *
 * Invariants:
 * TICK-1  a rise while somebody listens is told once, or owed; no more than PC_TICKS_OWED_MAX are
 *         owed, the others are lost.
 * TICK-2  the next one is told only when no controller that listens has one requested or in
 *         service, so that none is lost in a request that is already there.
 * TICK-3  a rise while the line is masked everywhere is not owed: the PIC keeps one, the I/O APIC
 *         none, as on a board.
 * TICK-4  programming channel 0 forgets what is owed: its ticks have another length from then on.
 * TICK-5  where the hardware's timer may be late (virt.h, trap) the guest's PAUSE exits while it
 *         takes ticks by the I/O APIC, and with interrupts on so does the RDTSC that follows; no
 *         time is read there before the ticks that were due by then are told and taken, each after
 *         the other. So the wait in Linux's check of the I/O APIC (PAUSE, RDTSC, compare) cannot
 *         end with too few, however the machine below schedules us. Any other RDTSC stays quick: a
 *         system that calibrates its TSC wants it so.
 *
 * Only the PIT is dealt with so. A local APIC's periodic timer is the tick of a scheduler, which
 * would charge a task with time it did not have; systems take the time of day from a counter then.
 * So its missed interrupts are one (lapic.c). The MC146818A has no interrupt here.
 */
#include <arch/cpu.h>
#include <hv/pc.h>
#include <hv/vcpu.h>
#include "hv/pc/private.h"

static bool pic_listens(const struct pc *pc)
{
	return !pic_masks(&pc->pic, PC_IRQ_TIMER) && lapic_takes_extint(&pc->vm->vcpu[0]->lapic);
}

static bool ioapic_listens(const struct pc *pc, struct lapic_ipi *message)
{
	return ioapic_route(&pc->ioapic, PC_PIN_TIMER, message) &&
	       message->delivery <= LAPIC_LOWEST;
}

/* TICK-2: is one on its way, or being handled? */
static bool is_unfinished(const struct pc *pc)
{
	struct lapic_ipi message;

	if (pic_listens(pc) && pic_holds(&pc->pic, PC_IRQ_TIMER))
		return true;
	if (!ioapic_listens(pc, &message))
		return false;
	for (unsigned i = 0; i < pc->vm->config.vcpus; i++) {
		const struct lapic *lapic = &pc->vm->vcpu[i]->lapic;

		if (lapic_matches(lapic, &message.to, NULL) && lapic_holds(lapic, message.vector))
			return true;
	}
	return false;
}

/* An edge is all that the controllers look for. */
static void tell(struct pc *pc)
{
	spin_assert_held(&pc->lock);
	pc_set_line(pc, PC_IRQ_TIMER, false);
	pc_set_line(pc, PC_IRQ_TIMER, true);
}

static bool somebody_listens(const struct pc *pc)
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
	if (somebody_listens(pc))
		__atomic_store_n(&pc->pit_owed, owed, __ATOMIC_SEQ_CST);
	else if (rises)
		tell(pc); /* TICK-3 */
}

/* vCPU 0, whose CPU keeps the alarm, is told when something changes for it. */
static void set_alarm(struct pc *pc, u64 now)
{
	u64 rise = pit_next_rise(&pc->pit, now);
	u64 due = rise == PIT_NEVER ? LAPIC_NEVER : pc_tick_at(pc, rise, PIT_HZ);
	struct lapic_ipi message;
	bool counts = pit_is_periodic(&pc->pit) && ioapic_listens(pc, &message);

	spin_assert_held(&pc->lock);
	if (due == pc->pit_due && counts == pc->pit_counts)
		return;
	__atomic_store_n(&pc->pit_due, due, __ATOMIC_RELEASE);
	__atomic_store_n(&pc->pit_counts, counts, __ATOMIC_RELEASE);
	pc->tell |= BIT(0);
}

bool pc_ticks_count(const struct vcpu *vcpu)
{
	return vcpu->index == 0 && __atomic_load_n(&vcpu->vm->pc->pit_counts, __ATOMIC_ACQUIRE);
}

/*
 * Counting comes before the look at the controllers, as the EOI comes before pc_tick_done()'s look
 * at the count, with a full barrier between the two on either side: one of them sees the other.
 */
void pc_run_pit(struct pc *pc)
{
	u64 now = pc_clock(pc, PIT_HZ);

	count_rises(pc, now);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (pc->pit_owed && somebody_listens(pc) && !is_unfinished(pc)) {
		tell(pc);
		pc->pit_owed = is_unfinished(pc) ? pc->pit_owed - 1 : 0; /* nobody took it */
	}
	set_alarm(pc, now);
}

void pc_tick_done(struct pc *pc)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (likely(__atomic_load_n(&pc->pit_owed, __ATOMIC_SEQ_CST) == 0))
		return;
	spin_lock(&pc->lock);
	pc_run_pit(pc);
	pc_unlock(pc);
}

void pc_restart_pit(struct pc *pc)
{
	pc->pit_seen = pc_clock(pc, PIT_HZ);
	pc->pit_owed = 0;
	set_alarm(pc, pc->pit_seen);
}
