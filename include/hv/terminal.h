/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h: keyboard input, attached to one guest at a time.
 *
 *     keyboard --> machine's UART --polled by CPU 0--> terminal --> the guest's UART --IRQ 4--> the guest
 *                                                               \-> its keyboard, with keyboard=yes
 *
 * The command line's console=N turns it on and attaches VM N, counted from 1. Ctrl-] is the escape:
 * followed by a digit it attaches that VM, by d none, by m the monitor, by k it stops the attached
 * VM, by q all of them, by ? it lists these keys; twice it is itself.
 *
 * Polled, and only with console=: a poll in 5 ms costs nothing noticeable, an interrupt would have
 * to be routed on every machine, and a run without a user does not depend on the time of a poll.
 */
#ifndef SAMEPAGE_HV_TERMINAL_H
#define SAMEPAGE_HV_TERMINAL_H

#include <lib/types.h>

struct vm;

/* Where typed bytes go between Ctrl-] m and the next digit; `open` comes first. */
struct terminal_monitor {
	void (*open)(void);
	void (*type)(char c);
};

/* Attaches VM `number`, from 1; 0: no terminal, nothing is polled. Before the VMs run. */
void terminal_start(unsigned number, const struct terminal_monitor *monitor);

/* A job (jobs.h): passes typed bytes on. Acts on CPU 0 only. */
bool terminal_poll(bool idle);
u64 terminal_alarm(void);

/*
 * Drives the wire from the VM's UART to its interrupt controllers to the UART's level. No locks
 * held.
 */
void terminal_follow_uart(struct vm *vm);

#endif
