/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.h: what the rooms above ask of the CPU they run on. arch/x86 fulfils it; tests/unit has a second, simulated
 * fulfilment for the host.
 *
 * CPUs are numbered densely from 0 (the boot CPU) in the order in which they came up.
 */
#ifndef SAMEPAGE_ARCH_CPU_H
#define SAMEPAGE_ARCH_CPU_H

#include <arch/addr.h>
#include <lib/types.h>

/* More CPUs than this are left alone, with a message. */
#define ARCH_CPUS_MAX 64

/* This CPU's number. Any context, including NMI. Stable, because the hypervisor never migrates its own stack. */
unsigned arch_cpu_id(void);

/* CPUs that are up. Grows during boot, constant after. Any context. */
unsigned arch_cpu_count(void);

/* A hint for a spin loop; every loop that waits for another CPU has one. */
void arch_cpu_relax(void);

/* Ticks of a clock that is monotonic on each CPU and synchronized between them (invariant TSC), and its rate. */
u64 arch_ticks(void);
u64 arch_ticks_per_second(void);

/*
 * Makes `cpu` leave its guest, if it is in one, and pass the run loop's entry check again. Does not wait and queues
 * nothing: what the CPU shall find at its entry check was stored before the call. Kicking a CPU outside a guest, or
 * oneself, is harmless. Any context.
 */
void arch_cpu_kick(unsigned cpu);

/* The hypervisor's own mapping of machine memory: all of RAM, writable, never executable. Any context; O(1). */
void *arch_hpa_to_virt(struct hpa address);
struct hpa arch_virt_to_hpa(const void *address);

/* Fills a page with zeroes, copies one. Both are page aligned. Any context. */
void arch_page_zero(void *page);
void arch_page_copy(void *to, const void *from);

#endif
