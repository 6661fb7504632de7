/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.c: the TSC's rate.
 *
 * CPUID leaf 15h says it exactly where the crystal's rate is given; else it is measured against the
 * PIT, which every PC and emulator has at 1.193182 MHz. Under an emulator that
 * counts instructions as time the result is the same in every run.
 */
#define LOG_THIS LOG_CPU

#include <arch/cpu.h>
#include <asm/cpuid.h>
#include <asm/insn.h>
#include <asm/io.h>
#include <asm/time.h>
#include <lib/log.h>

#define PIT_HZ	      1193182
#define PIT_CHANNEL2  0x42
#define PIT_COMMAND   0x43
#define PIT_GATE      0x61
#define GATE_ON	      0x01
#define GATE_SPEAKER  0x02
#define GATE_OUT      0x20
#define PIT_ONE_SHOT  0xb0 /* channel 2, low then high byte, mode 0 */
#define MEASURE_TICKS (PIT_HZ / 100)
#define PIT_ROUNDS    10000000

/* [I] after time_init() */
static u64 ticks_per_second, ticks_at_boot;

u64 arch_ticks(void)
{
	return tsc_read();
}

u64 arch_ticks_per_second(void)
{
	return ticks_per_second;
}

u64 time_microseconds(void)
{
	u64 ticks = tsc_read() - ticks_at_boot;

	if (!ticks_per_second)
		return 0;
	return ticks / ticks_per_second * 1000000 +
	       ticks % ticks_per_second * 1000000 / ticks_per_second;
}

void time_delay(u64 microseconds)
{
	u64 end = tsc_read() + microseconds * ticks_per_second / 1000000;

	while (tsc_read() < end)
		cpu_pause();
}

/* SDM vol. 2A, CPUID leaf 15h: TSC = crystal * EBX / EAX. 0: not told. */
static u64 rate_from_crystal(void)
{
	struct cpuid_regs r;

	if (!cpuid_has_leaf(0x15))
		return 0;
	r = cpuid(0x15, 0);
	return r.eax && r.ebx && r.ecx ? (u64)r.ecx * r.ebx / r.eax : 0;
}

/* Ticks while channel 2 counts down once from MEASURE_TICKS, its output readable at port 61h. */
static u64 ticks_of_one_shot(void)
{
	u8 gate = io_read8(PIT_GATE) & ~(GATE_ON | GATE_SPEAKER);
	u64 start;

	io_write8(PIT_GATE, gate);
	io_write8(PIT_COMMAND, PIT_ONE_SHOT);
	io_write8(PIT_CHANNEL2, MEASURE_TICKS & 0xff);
	io_write8(PIT_CHANNEL2, MEASURE_TICKS >> 8);
	io_write8(PIT_GATE, gate | GATE_ON);
	start = tsc_read();
	if (io_read8(PIT_GATE) & GATE_OUT)
		return 0; /* it cannot be over yet: nobody is there */
	for (unsigned i = 0; !(io_read8(PIT_GATE) & GATE_OUT); i++)
		if (i > PIT_ROUNDS)
			return 0;
	return tsc_read() - start;
}

static u64 rate_from_pit(void)
{
	u64 best = ~0ull;

	/* An SMI or a host that schedules us away makes a run longer, never shorter. */
	for (unsigned i = 0; i < 3; i++)
		best = MIN(best, ticks_of_one_shot());
	return best * PIT_HZ / MEASURE_TICKS;
}

void time_init(void)
{
	const char *source = "CPUID 15h";
	u64 rate = rate_from_crystal();

	if (!rate) {
		source = "PIT";
		rate = rate_from_pit();
	}
	if (!rate)
		panic("no clock: CPUID 15h gives no TSC rate and the PIT does not count");
	ticks_at_boot = tsc_read();
	ticks_per_second = rate;
	log_info("TSC at %llu.%03llu MHz (%s)%s", (unsigned long long)(rate / 1000000),
		 (unsigned long long)(rate / 1000 % 1000), source,
		 cpuid_has(CPUID_INVARIANT_TSC) ? ", invariant" : "");
}
