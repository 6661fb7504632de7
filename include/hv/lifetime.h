/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifetime.h: VMs with a limited lifetime, kill_after=.
 *
 * The VM is stopped from outside, like by Ctrl-] k, whatever its vCPUs do at that moment. CPU 0
 * checks between two turns, so the stop comes up to a time slice late.
 */
#ifndef SAMEPAGE_HV_LIFETIME_H
#define SAMEPAGE_HV_LIFETIME_H

#include <lib/types.h>

struct vm;

/* The VM starts now; its time runs. Before any CPU runs VMs. */
void lifetime_start(const struct vm *vm);

/* A job (jobs.h): stops the VMs that are due. Acts on CPU 0 only. */
bool lifetime_poll(bool idle);
u64 lifetime_alarm(void);

#endif
