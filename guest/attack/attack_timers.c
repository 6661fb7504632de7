/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_timers.c: timers that are due again before the hypervisor has run them once. The guest
 * gets on beside each of them, with interrupts off and on (RUN-6), and so does the next guest.
 */
#include <guest.h>
#include <x2apic.h>

#define PIC_DATA      0x21 /* the master's */
#define PIT_CHANNEL_0 0x40
#define PIT_COMMAND   0x43
#define PIT_SQUARE    0x36 /* channel 0, both bytes, mode 3 */
#define IOAPIC	      0xfec00000ul
#define IOAPIC_PIN_2  0x14 /* the PIT's */
#define VECTOR_PIT    40
#define VECTOR_APIC   41
#define ROUNDS	      20000u

static u64 taken[2];

static bool on_interrupt(struct guest_frame *frame)
{
	if (frame->vector != VECTOR_PIT && frame->vector != VECTOR_APIC)
		return false;
	taken[frame->vector - VECTOR_PIT]++;
	wrmsr(X2APIC_EOI, 0);
	return true;
}

/* A loop that looks at the clock now and then, as one that calibrates (TICK-5). */
static void work(const char *beside)
{
	u64 first = rdtsc(), last = first;
	bool backwards = false;

	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 now = i % 64 ? last : rdtsc();

		asm volatile("pause");
		backwards |= now < last;
		last = now;
	}
	check(!backwards && last > first, "%u rounds beside %s", ROUNDS, beside);
}

static void work_interrupted(const char *beside, unsigned vector)
{
	u64 before = taken[vector - VECTOR_PIT];

	asm volatile("sti");
	work(beside);
	asm volatile("cli");
	check(taken[vector - VECTOR_PIT] > before, "and its interrupts come");
}

static void set_pit(unsigned count)
{
	out8(PIT_COMMAND, PIT_SQUARE);
	out8(PIT_CHANNEL_0, (u8)count);
	out8(PIT_CHANNEL_0, (u8)(count >> 8));
}

static void listen_to_pit(void)
{
	volatile u32 *select = (volatile u32 *)IOAPIC, *window = (volatile u32 *)(IOAPIC + 0x10);

	*select = IOAPIC_PIN_2 + 1;
	*window = 0;
	*select = IOAPIC_PIN_2;
	*window = VECTOR_PIT;
}

static void set_apic_timer(u32 lvt, u32 count)
{
	x2apic_timer(LVT_PERIODIC | lvt | VECTOR_APIC, DIVIDE_BY_1, count);
}

void guest_main(void)
{
	guest_on_exception = on_interrupt;
	x2apic_enable();
	out8(PIC_DATA, 0xff);
	set_pit(2);
	work("a PIT with a count of 2");
	listen_to_pit();
	work("the same that waits for its interrupt");
	work_interrupted("the same with interrupts", VECTOR_PIT);
	set_pit(0);
	set_apic_timer(LVT_MASKED, 1);
	work("an APIC timer with a count of 1, masked");
	set_apic_timer(0, 1);
	work("the same that waits for its interrupt");
	work_interrupted("the same with interrupts", VECTOR_APIC);
	set_apic_timer(LVT_MASKED, 0);
}
