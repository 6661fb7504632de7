/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.h: the contract of the CPU layer with the rooms above. arch/x86 implements it; tests/sim has
 * a second, simulated implementation for the host.
 *
 * What every exit needs is inline, in the architecture's own <arch/inline.h>.
 *
 * CPUs are numbered densely from 0 (the boot CPU) in the order in which they came up.
 */
#ifndef SAMEPAGE_ARCH_CPU_H
#define SAMEPAGE_ARCH_CPU_H

#include <arch/addr.h>
#include <arch/inline.h>
#include <arch/ticks.h>
#include <lib/types.h>

/* arch_cpu_id() is below this. More CPUs are left alone, with a message. */
#define ARCH_CPUS_MAX CONFIG_MAX_CPUS

/*
 * unsigned arch_cpu_id(void): this CPU's number. Any context, including NMI. Stable, because the
 * hypervisor never migrates its own stack. Inline.
 */

/*
 * unsigned arch_cpu_count(void): CPUs that are up. Grows during boot, constant after. Any context.
 * Inline.
 */

/* A hint for a spin loop; every loop that waits for another CPU has one. */
void arch_cpu_relax(void);

/*
 * Halts this CPU for some tens of microseconds: under a hypervisor its core goes to the thread of
 * another CPU that has none. Takes the alarm, which each entry to a guest and each idle CPU sets
 * again. Interrupts are taken meanwhile; their handlers take no lock.
 */
void arch_cpu_rest(void);

/*
 * What the machine's clock shows, in seconds since 1970; 2024 where there is none. Takes its time.
 * CPU 0, at boot.
 */
u64 arch_wall_seconds(void);

/* What the CPU says about itself: the instruction CPUID, for the policy that guests are shown. */
struct arch_cpuid {
	u32 eax, ebx, ecx, edx;
};
struct arch_cpuid arch_cpuid(u32 leaf, u32 subleaf);

/*
 * Makes `cpu` leave its guest, if it is in one, and pass the run loop's entry check again. Does not
 * wait and queues nothing: what the CPU shall find at its entry check was stored before the call.
 * Kicking a CPU outside a guest, or oneself, is harmless. Any context.
 */
void arch_cpu_kick(unsigned cpu);

/*
 * The bracket around the entry check and the guest run; inline. An interrupt for a kick is sent to
 * a CPU inside it alone, and none is lost between the check and the guest, because interrupts are
 * off and stay pending.
 *
 * void arch_guest_place(void **inside): the word that says so of this CPU, before its first
 *	bracket; always the same one.
 * void arch_guest_enter(void **inside, void *what): stores what, which is not NULL; a full barrier.
 * void arch_guest_leave(void **inside): stores NULL.
 */

/*
 * void arch_local_add_64(u64 *target, u64 n): adds to what one CPU at a time writes, by one
 * instruction; another CPU reads the old or the new. Inline.
 */

/*
 * bool arch_local_cas_64(u64 *target, u64 old, u64 new): compare and swap of what this CPU alone
 * writes, itself or an NMI on top of it. Any context, including NMI; inline.
 */

/*
 * What the run loop reads at each pass, in as few instructions as there are; inline.
 *
 * bool arch_ticks_reached(const u64 *deadline): arch_ticks() >= *deadline.
 * bool arch_word_is_set(const u32 *word): is a word that other CPUs write another than 0?
 * bool arch_step_overflows(s8 *byte): adds 2 to a byte that this CPU alone writes, in one store;
 *	whether it went from 126 to -128.
 */

/*
 * Sleeps until an interrupt or a kick comes; returns at once when a kick came since the last
 * arch_idle() returned, so none is lost. Called with interrupts off, and returns with them off. No
 * locks held.
 */
void arch_idle(void);

/*
 * Ends the machine: an emulator exits with success or failure, a real machine halts. Other CPUs
 * must be idle.
 */
void arch_machine_end(bool success) __noreturn;

/*
 * void *arch_hpa_to_virt(struct hpa address): the hypervisor's own mapping of machine memory: all
 * of RAM, writable, never executable. Any context; inline. And back; O(1).
 */
struct hpa arch_virt_to_hpa(const void *address);

/* Fills a page with zeroes, copies one. Both are page aligned. Any context. */
void arch_page_zero(void *page);
void arch_page_copy(void *to, const void *from);

#endif
