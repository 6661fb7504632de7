/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifetime.h: VMs that shall not live longer than so long.
 *
 * A VM's kill_after= is a user who is not there to press Ctrl-] k: the VM is ended from outside,
 * whatever its vCPUs do at that moment. CPU 0 looks between two turns, so it happens up to a time
 * slice late.
 */
#ifndef SAMEPAGE_HV_LIFETIME_H
#define SAMEPAGE_HV_LIFETIME_H

#include <lib/types.h>

struct vm;

/* The VM starts now; its time runs. Before any CPU runs VMs. */
void lifetime_start(const struct vm *vm);

/* Ends the VMs whose time is over. Any CPU, no locks held; only CPU 0 does something. */
void lifetime_poll(void);

/* The tick by which a CPU that idles must poll again; all ones: never. */
u64 lifetime_alarm(void);

#endif
