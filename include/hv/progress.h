/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h: a sign of life for who waits.
 *
 *     progress: one runs, 24 MiB, 10234 exits; two sleeps, 22 MiB, 9988 exits
 *
 * A system that boots with `quiet` says nothing for seconds. So progress=N prints a line whenever
 * nothing has been printed for N seconds, by a guest or by us. Not for who compares two runs to the
 * byte, and so it is off unless asked for.
 */
#ifndef SAMEPAGE_HV_PROGRESS_H
#define SAMEPAGE_HV_PROGRESS_H

#include <lib/types.h>

/* 0: never. Before the VMs run. */
void progress_start(u64 seconds);

/* Prints the line if it is due. Any CPU, no locks held; only CPU 0 does something. */
void progress_poll(void);

/* The tick by which a CPU that idles must poll again; all ones: never. */
u64 progress_alarm(void);

#endif
