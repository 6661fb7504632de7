/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.c: the TSC's rate.
 *
 * CPUID leaf 15h says it exactly where the crystal's rate is given; else it is measured against the
 * PIT, which nearly every PC and emulator has at 1.193182 MHz; where it stands still, leaf 16h has
 * it in whole MHz. Under an emulator that counts instructions as time the result is the same in
 * every run.
 */
#define LOG_THIS LOG_CPU

#include <asm/time.h>
#include <arch/cpu.h>
#include <asm/cpuid.h>
#include <asm/insn.h>
#include <asm/io.h>
#include <lib/log.h>

#define PIT_HZ	      1193182
#define PIT_CHANNEL2  0x42
#define PIT_COMMAND   0x43
#define PIT_GATE      0x61
#define GATE_ON	      0x01
#define GATE_SPEAKER  0x02
#define GATE_OUT      0x20
#define PIT_ONE_SHOT  0xb0 /* channel 2, low then high byte, mode 0 */
#define PIT_ROUNDS    20000000
#define MEASURE_TICKS (PIT_HZ / 500)

#define TRIES 50
#define TIGHT 512 /* good enough: bounds within one part in so many */

/* [I] after time_init() */
static u64 ticks_per_second, ticks_at_boot;

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

u64 time_measure(struct time_bounds (*run)(void))
{
	struct time_bounds best = TIME_UNKNOWN;

	for (unsigned i = 0; i < TRIES && best.most - best.least > best.most / TIGHT; i++) {
		struct time_bounds now = run();

		if (now.most - now.least < best.most - best.least)
			best = now;
	}
	return best.most == TIME_UNKNOWN.most ? 0 : best.least + (best.most - best.least) / 2;
}

/* SDM vol. 2A, CPUID leaf 15h: TSC = crystal * EBX / EAX. 0: not stated. */
static u64 rate_from_crystal(void)
{
	struct cpuid_regs r;

	if (!cpuid_has_leaf(0x15))
		return 0;
	r = cpuid(0x15, 0);
	return r.eax && r.ebx && r.ecx ? (u64)r.ecx * r.ebx / r.eax : 0;
}

/* Leaf 16h: the base rate in MHz, which is the TSC's. 0: not stated. */
static u64 rate_from_base(void)
{
	return cpuid_has_leaf(0x16) ? cpuid(0x16, 0).eax * 1000000ull : 0;
}

/*
 * Channel 2 counts down once from MEASURE_TICKS; its output is readable at port 61h. The gate is
 * open before, so that writing the count's second byte starts it, on emulators too.
 */
static struct time_bounds pit_one_shot(void)
{
	u8 gate = io_read8(PIT_GATE) & ~GATE_SPEAKER;
	u64 before, started, last;

	io_write8(PIT_GATE, gate | GATE_ON);
	io_write8(PIT_COMMAND, PIT_ONE_SHOT);
	io_write8(PIT_CHANNEL2, MEASURE_TICKS & 0xff);
	before = tsc_read();
	io_write8(PIT_CHANNEL2, MEASURE_TICKS >> 8);
	last = started = tsc_read();
	for (unsigned i = 0; i < PIT_ROUNDS; i++) {
		u64 now = tsc_read();
		bool over = io_read8(PIT_GATE) & GATE_OUT;

		if (over && i)
			return (struct time_bounds){last - started, tsc_read() - before};
		if (over)
			break; /* no PIT, or the CPU was away for the whole time */
		last = now;    /* read before it was found running: it was running then */
	}
	return TIME_UNKNOWN;
}

static u64 rate_from_pit(void)
{
	return time_measure(pit_one_shot) * PIT_HZ / MEASURE_TICKS;
}

void time_init(void)
{
	static const struct {
		const char *name;
		u64 (*rate)(void);
	} sources[] = {
		{"CPUID 15h", rate_from_crystal},
		{"PIT", rate_from_pit},
		{"CPUID 16h", rate_from_base},
	};
	u64 rate = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sources) && !rate; i++)
		rate = sources[i].rate();
	if (!rate)
		panic("no clock: CPUID 15h and 16h give no TSC rate and the PIT does not count");
	ticks_at_boot = tsc_read();
	ticks_per_second = rate;
	log_info("TSC at %lu.%03lu MHz (%s)%s", rate / 1000000, rate / 1000 % 1000,
		 sources[i - 1].name, cpuid_has(CPUID_INVARIANT_TSC) ? ", invariant" : "");
}
