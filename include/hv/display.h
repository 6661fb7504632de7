/* SPDX-License-Identifier: Apache-2.0 */
/*
 * display.h: the text that a guest writes to its VGA, on its console.
 *
 * A job (jobs.h) compares the text buffer with what was shown, ten times a second, and prints the
 * rows that changed (vga.h). The buffer of a guest that never touches it costs nothing.
 */
#ifndef SAMEPAGE_HV_DISPLAY_H
#define SAMEPAGE_HV_DISPLAY_H

#include <lib/types.h>

struct vm;

/* Any CPU, VM with or without a board: its guest has touched the text buffer. */
void display_note_access(struct vm *vm);

/* The job. A CPU looks at the VMs of which it owns vCPU 0. */
bool display_poll(bool idle);
u64 display_alarm(void);

/* What is on the screen when the VM ends, the cursor's row as well. Its vCPUs are GONE. */
void display_finish(struct vm *vm);

#endif
