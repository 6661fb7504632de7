/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h: what the user types, given to one guest at a time.
 *
 *     keyboard --> machine's UART --polled by CPU 0--> this --> the guest's UART --IRQ 4--> the guest
 *
 * The command line's console=N turns it on and attaches VM N, counted from 1. Then Ctrl-] is the
 * escape: followed by a digit it attaches that VM, by d none, by k it ends the attached VM, by q
 * all of them; twice it is itself.
 *
 * Why polled, and only when asked for: at most a byte in 5 ms is lost time to nobody, an interrupt
 * would have to be routed on every machine; and a run without a user does not depend on when a poll
 * comes.
 */
#ifndef SAMEPAGE_HV_TERMINAL_H
#define SAMEPAGE_HV_TERMINAL_H

#include <lib/types.h>

struct vm;

/* Attaches VM `number`, from 1; 0: no terminal, nothing is polled. Before the VMs run. */
void terminal_start(unsigned number);

/* Hands on what was typed. Any CPU, no locks held; only CPU 0 does something. */
void terminal_poll(void);

/* The tick by which a CPU that idles must poll again; all ones: never. */
u64 terminal_alarm(void);

/*
 * The wire from the VM's UART to its interrupt controllers takes the UART's level. No locks held.
 */
void terminal_follow_uart(struct vm *vm);

#endif
