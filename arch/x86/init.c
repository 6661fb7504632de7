/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c: the order in which the CPU layer comes to life; include/arch/init.h tells it from the
 * outside.
 */
#define LOG_THIS LOG_CPU

#include <arch/init.h>
#include <asm/console.h>
#include <asm/msr.h>
#include <asm/panic.h>
#include <asm/percpu.h>
#include <asm/time.h>
#include <lib/env.h>
#include <lib/log.h>

static const struct lib_env env = {
	.cpu_id = arch_cpu_id,
	.microseconds = time_microseconds,
	.write = serial_write,
	.panic = arch_panic,
};

void arch_early_init(void)
{
	struct percpu *cpu = &percpu_area[0];

	cpu->self = cpu;
	wrmsr(MSR_GS_BASE, (u64)cpu);
	serial_init();
	lib_env_set(&env);
}
