/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c: the order in which the CPU layer comes to life; include/arch/init.h has the view from
 * outside.
 *
 * Each step may use what the ones before it set up:
 *
 *     early   the stack canary, serial port, lib_env, descriptors and traps: from here on a fault
 *             is a readable panic
 *     1       CR0, CR4, EFER: NX must be on before a table says NX
 *     2       TSC: time stamps, delays
 *     3       final tables, stacks, frames: boot's tables and the identity map are gone
 *     4       local APIC (mapped by 3), its timer (measured by 2)
 */
#include <arch/init.h>
#include <asm/apic.h>
#include <asm/console.h>
#include <asm/cpuid.h>
#include <asm/desc.h>
#include <asm/features.h>
#include <asm/paging.h>
#include <asm/panic.h>
#include <asm/percpu.h>
#include <asm/random.h>
#include <asm/smp.h>
#include <asm/time.h>
#include <arch/cpu.h>
#include <lib/boot_phase.h>
#include <lib/env.h>
#include <lib/lock.h>

static const struct lib_env env = {
	.cpu_id = arch_cpu_id,
	.microseconds = time_microseconds,
	.relax = arch_cpu_relax,
	.rest = arch_cpu_rest,
	.write = serial_write,
	.panic = arch_panic,
};

void __no_stack_protector arch_early_init(void)
{
	struct percpu *cpu = &percpu_area[0];

	random_start();
	idt_init();
	desc_use_early_stack(cpu);
	desc_load(cpu);
	serial_init();
	lib_env_set(&env);
}

void arch_init(const struct boot_info *info)
{
	features_enable();
	spin_set_queued(!cpuid_has(CPUID_HYPERVISOR));
	time_init();
	random_init();
	features_log();
	boot_phase_end(BOOT_PHASE_CPU, arch_ticks());
	paging_init(info);
	boot_phase_end(BOOT_PHASE_PAGING, arch_ticks());
	apic_enable();
	apic_timer_init();
	smp_init(info);
	boot_phase_end(BOOT_PHASE_APIC, arch_ticks());
}
