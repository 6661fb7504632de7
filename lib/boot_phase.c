/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_phase.c: ticks at the end of each phase of the start.
 */
#include <lib/boot_phase.h>
#include <ck_pr.h>

/* [a] at[0]: the entry; at[n + 1]: the end of phase n; 0: not yet. */
static u64 at[BOOT_PHASES + 1];

void boot_phases_begin(u64 ticks)
{
	at[0] = ticks;
}

void boot_phase_end(enum boot_phase phase, u64 ticks)
{
	if (!ck_pr_load_64(&at[phase + 1]))
		(void)ck_pr_cas_64(&at[phase + 1], 0, ticks);
}

u64 boot_phase_ticks(enum boot_phase phase)
{
	u64 end = ck_pr_load_64(&at[phase + 1]);

	return end ? end - ck_pr_load_64(&at[phase]) : 0;
}

const char *boot_phase_name(unsigned phase)
{
	static const char *const names[BOOT_PHASES] = {
		[BOOT_PHASE_ENTRY] = "entry", [BOOT_PHASE_LOADER] = "loader",
		[BOOT_PHASE_CPU] = "cpu",     [BOOT_PHASE_PAGING] = "paging",
		[BOOT_PHASE_APIC] = "apic",   [BOOT_PHASE_CPUS] = "cpus",
		[BOOT_PHASE_VIRT] = "virt",   [BOOT_PHASE_VMS] = "vms",
		[BOOT_PHASE_START] = "start", [BOOT_PHASE_GUEST] = "guest",
	};

	return phase < BOOT_PHASES ? names[phase] : "?";
}
