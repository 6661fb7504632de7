/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h: a line about each VM while nothing else is printed.
 *
 *     progress: one runs, 24 MiB, 10234 exits; two sleeps, 22 MiB, 9988 exits
 *
 * A system that boots with `quiet` prints nothing for seconds. With progress=N the line appears
 * whenever nothing has been printed for N seconds, by a guest or by the hypervisor. Off by default:
 * it would make two runs differ.
 */
#ifndef SAMEPAGE_HV_PROGRESS_H
#define SAMEPAGE_HV_PROGRESS_H

#include <lib/types.h>

/* 0: never. Before the VMs run. */
void progress_start(u64 seconds);

/* A job (jobs.h): prints the line if it is due. Acts on CPU 0 only. */
bool progress_poll(bool idle);
u64 progress_alarm(void);

#endif
