/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.h: the commands of the control channel at the keyboard (Ctrl-] m). CPU 0.
 */
#ifndef SAMEPAGE_HV_CONTROL_MONITOR_H
#define SAMEPAGE_HV_CONTROL_MONITOR_H

#include <lib/types.h>

/* A step of the command that was typed; true: one runs. */
bool monitor_poll(void);

#endif
