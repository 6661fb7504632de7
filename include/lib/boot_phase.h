/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_phase.h: how long the phases of the start take, in ticks of the TSC: instructions, where an
 * emulator counts by them (docs/boot.md, ./run bench boot).
 *
 *     | ENTRY | LOADER | CPU | PAGING | APIC | CPUS | VIRT | VMS | START | GUEST |
 *     the loader enters the kernel                                         the guest is entered
 *
 * Written by the boot CPU; GUEST by the CPU that enters a guest first.
 */
#ifndef SAMEPAGE_LIB_BOOT_PHASE_H
#define SAMEPAGE_LIB_BOOT_PHASE_H

#include <lib/types.h>

enum boot_phase {
	BOOT_PHASE_ENTRY,  /* to long mode, and the first console line */
	BOOT_PHASE_LOADER, /* what the loader and the firmware say is read */
	BOOT_PHASE_CPU,	   /* features, the rate of the TSC */
	BOOT_PHASE_PAGING, /* the hypervisor's own tables, stacks, frames */
	BOOT_PHASE_APIC,   /* local APIC and its timer */
	BOOT_PHASE_CPUS,   /* the other CPUs come up */
	BOOT_PHASE_VIRT,   /* virtualization is on, on all CPUs */
	BOOT_PHASE_VMS,	   /* VMs are made and loaded */
	BOOT_PHASE_START,  /* jobs, control channel, VMs are ready */
	BOOT_PHASE_GUEST,  /* up to the entry of the first vCPU */
	BOOT_PHASES
};

/* `ticks`: the TSC when the loader entered the kernel. */
void boot_phases_begin(u64 ticks);

/* The phase ends now, at `ticks`. Its first end counts. */
void boot_phase_end(enum boot_phase phase, u64 ticks);

/* How long the phase took; 0 if it has not ended. */
u64 boot_phase_ticks(enum boot_phase phase);

const char *boot_phase_name(unsigned phase);

#endif
