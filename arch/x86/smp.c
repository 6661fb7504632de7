/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smp.c: the other CPUs, one after the other (SDM vol. 3A, 9.4.4).
 *
 *     CPU 0                                  CPU n
 *     -----                                  -----
 *     percpu_area[n], its stack, trampoline
 *     INIT, a delay, SIPI                    trampoline -> smp_entry on its own stack
 *     waits for `arrived`                    descriptors, CR4, APIC; arrived = its APIC ID
 *     arch_cpus_up = n + 1
 *     the next one ...
 *     all_up = 1                             waits for all_up; ap_entry()
 *
 * A CPU that does not arrive is reset by INIT, so that it cannot start in the middle of the next
 * one's start, and named in the log; its number goes to the next one. If it arrives all the same,
 * it finds another CPU's APIC ID in the call, and stops.
 */
#define LOG_THIS LOG_CPU

#include <asm/smp.h>
#include <ck_pr.h>
#include <arch/cpu.h>
#include <arch/init.h>
#include <asm/apic.h>
#include <asm/desc.h>
#include <asm/features.h>
#include <asm/insn.h>
#include <asm/paging.h>
#include <asm/percpu.h>
#include <asm/stacks.h>
#include <asm/time.h>
#include <asm/trampoline.h>
#include <lib/log.h>

#define INIT_DELAY_US  100
#define SECOND_SIPI_US 10000
#define ARRIVAL_US     5000000 /* an emulator on a busy computer takes its time */

static const struct boot_info *boot;
/* [I] what the other CPUs run, once all are up; does not return */
static void (*ap_entry)(void);

unsigned arch_cpus_up = 1;
/* [a] 1 + the APIC ID of the last CPU that reached smp_entry() */
static u32 arrived;
/* [a] arch_cpu_count() is final */
static unsigned all_up;
/* [a] the last reading of the TSC by the CPU that waits, to be compared with the next CPU's */
static u64 last_ticks;

void smp_init(const struct boot_info *info)
{
	boot = info;
	percpu_area[0].apic_id = apic_id();
	percpu_area[0].guest_ipi = IPI_IRQ;
}

/* The invariant TSCs of one machine start together; one that lags would let time run backwards. */
static void check_clock(const struct percpu *cpu)
{
	u64 last = ck_pr_load_64(&last_ticks);
	u64 now = tsc_read();

	if (now < last)
		log_warn("TSC of APIC %u is %lu ticks behind: times on it are wrong", cpu->apic_id,
			 last - now);
}

static void smp_entry(void *argument)
{
	struct percpu *cpu = argument;

	features_enable();
	desc_load(cpu);
	apic_enable();
	while (apic_id() != cpu->apic_id)
		asm volatile("cli; hlt");
	check_clock(cpu);
	ck_pr_store_32(&arrived, 1 + cpu->apic_id);
	while (!ck_pr_load_uint(&all_up))
		cpu_pause();
	ap_entry();
}

static bool wait_for_arrival(u32 target, u64 microseconds)
{
	u64 end = tsc_read() + microseconds * arch_ticks_per_second() / 1000000;

	while (ck_pr_load_32(&arrived) != 1 + target) {
		u64 now = tsc_read();

		if (now > end)
			return false;
		ck_pr_store_64(&last_ticks, now);
		cpu_pause();
	}
	return true;
}

/*
 * The manual's 10 ms between INIT and SIPI are for the first CPUs with 64 bits; today's are ready
 * at once. So the first SIPI comes early, and the second one, which a running CPU ignores, late.
 */
static bool ap_wake(u32 target)
{
	apic_send_init(target);
	time_delay(INIT_DELAY_US);
	apic_send_startup(target, boot->trampoline);
	if (wait_for_arrival(target, SECOND_SIPI_US))
		return true;
	apic_send_startup(target, boot->trampoline);
	return wait_for_arrival(target, ARRIVAL_US);
}

static void start_cpu(u32 target)
{
	unsigned id = arch_cpu_count();
	struct percpu *cpu = &percpu_area[id];
	struct trampoline_start start = {
		.efer = features_efer(),
		.cr3 = paging_root().raw,
		.stack = stack_of(id, STACK_MAIN).top,
		.entry = smp_entry,
		.argument = cpu,
	};

	*cpu = (struct percpu){.self = cpu, .id = id, .apic_id = target, .guest_ipi = IPI_IRQ};
	desc_use_stacks(cpu);
	trampoline_prepare(boot->trampoline, &start);
	if (!ap_wake(target)) {
		apic_send_init(target);
		log_error("CPU with APIC ID %u did not start within %u s: going on without it",
			  target, ARRIVAL_US / 1000000);
		return;
	}
	ck_pr_store_uint(&arch_cpus_up, id + 1);
}

void arch_smp_start(void (*entry)(void))
{
	unsigned left = 0;

	ap_entry = entry;

	for (unsigned i = 0; i < boot->cpu_count; i++) {
		u32 target = boot->cpus[i].apic_id;

		if (target == percpu_area[0].apic_id)
			continue;
		if (arch_cpu_count() == ARCH_CPUS_MAX)
			left++;
		else if (!apic_reaches(target))
			log_warn("CPU with APIC ID %u left alone: xAPIC mode cannot reach it",
				 target);
		else
			start_cpu(target);
	}
	if (left)
		log_warn("%u CPUs left alone: this image is built for %u (CONFIG_MAX_CPUS)", left,
			 ARCH_CPUS_MAX);
	log_info("%u of %u CPUs up", arch_cpu_count(), boot->cpu_count);
	ck_pr_store_uint(&all_up, 1);
}
