/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq.h: host interrupts: the vectors and their handlers.
 *
 * The hypervisor runs with interrupts off. They are taken in three places only: in arch_idle(), in
 * a back end's window (cpu_irq_window()) after an exit, and by irq_dispatch() where the CPU has
 * acknowledged the interrupt for the exit already (VMX "acknowledge interrupt on exit").
 */
#ifndef SAMEPAGE_ASM_IRQ_H
#define SAMEPAGE_ASM_IRQ_H

#include <lib/types.h>

#define VECTOR_PIC	0xe0 /* .. 0xef: spurious ones of the 8259s, which are masked */
#define VECTOR_TIMER	0xf0
#define VECTOR_KICK	0xf1
#define VECTOR_SPURIOUS 0xff

/* Handles a host interrupt and ends it at the local APIC. Interrupts off. */
void irq_dispatch(unsigned vector);

#endif
