/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apic.h: the local APIC, xAPIC or x2APIC (SDM vol. 3A, chapter 11), and its timer.
 */
#ifndef SAMEPAGE_ASM_APIC_H
#define SAMEPAGE_ASM_APIC_H

#include <arch/addr.h>
#include <lib/types.h>

/* Turns on this CPU's APIC. CPU 0's call, the first one, chooses xAPIC or x2APIC for all. */
void apic_enable(void);
u32 apic_id(void);
/* Can an IPI be sent to this APIC ID? In xAPIC mode not to those of 255 and more. */
bool apic_reaches(u32 apic_id);
void apic_eoi(void);

/* IPIs, by APIC ID. Each waits until the APIC has taken it. Any context. */
void apic_send(u32 apic_id, unsigned vector);
void apic_send_nmi(u32 apic_id);
void apic_send_nmi_others(void);
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, struct hpa page);

/* How fast the timer counts, where it has no TSC deadline. CPU 0, once, after time_init(). */
void apic_timer_init(void);

/*
 * One interrupt (VECTOR_TIMER) on this CPU once arch_ticks() is past `deadline`; at once if it is
 * in the past. Arming again replaces the deadline. percpu()->timer_deadline is the deadline that is
 * armed, TICK_NEVER for none, so an entry to a guest with the same deadline costs one compare.
 * After disarming an interrupt may still be pending.
 */
void apic_timer_arm(u64 deadline);
void apic_timer_disarm(void);

/* Its interrupt, which may be early or stale: see timer.c. */
void apic_timer_interrupt(void);

#endif
