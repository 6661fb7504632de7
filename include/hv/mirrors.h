/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirrors.h: the job that lets the devices of subscriber= work: on CPU 0, each millisecond, the
 * devices of a VM read MIRROR_READS of its pages, in turn.
 */
#ifndef SAMEPAGE_HV_MIRRORS_H
#define SAMEPAGE_HV_MIRRORS_H

#include <lib/types.h>

struct vm;

/* A VM with mirrors begins to run. Before the first run of the job. */
void mirrors_start(const struct vm *vm);

bool mirrors_poll(bool idle);
u64 mirrors_alarm(void);

#endif
