/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: the run loop of a CPU.
 */
#ifndef SAMEPAGE_HV_RUN_H
#define SAMEPAGE_HV_RUN_H

/* Runs this CPU's vCPUs, sleeps when there are none, returns when no VM is left. Interrupts off. */
void run_cpu(void);

#endif
