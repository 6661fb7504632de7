/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h: how lines are sent. CPU 0.
 */
#ifndef SAMEPAGE_HV_CONTROL_CHANNEL_H
#define SAMEPAGE_HV_CONTROL_CHANNEL_H

#include <lib/json.h>

#define CONTROL_VERSION 1
#define CHANNEL_LINE	2048 /* bytes of a line that is sent, at most */

bool channel_is_on(void);

/* A line would not be dropped. */
bool channel_has_room(void);

/* Waits until there is; false: the reader stalls, or there is no port. At the machine's end. */
bool channel_wait(void);

/* Begins a line: an open object with the version. One line at a time. */
struct json *channel_line(struct json *json);

/* Sends it, or drops and counts it (CONTROL-1). */
void channel_send(struct json *json);

#endif
