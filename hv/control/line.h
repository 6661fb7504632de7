/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h: lines that are sent, for channel.c and events.c. CPU 0.
 */
#ifndef SAMEPAGE_HV_CONTROL_LINE_H
#define SAMEPAGE_HV_CONTROL_LINE_H

#include <lib/json.h>

#define CONTROL_VERSION 1
#define LINE_BYTES	2048 /* of a line, at most */
#define LINE_TAIL	sizeof("},\"more\":true}")
#define LINE_POLL_BYTES 512   /* in and out, at most, in one poll */
#define LINE_IDLE_BYTES 4096  /* out, in a poll of an idle CPU */
#define LINE_IDLE_WAITS 100   /* in, there: the 100th part of a second */
#define LINE_WAITS	10000 /* the port is waited for by the 10,000th part of a second */

void line_start(void);

/* A line would not be dropped; bytes are under way; the reader takes none. */
bool line_has_room(void);
bool line_is_pending(void);
bool line_is_stalled(void);

/* Begins a line: an open object with the version. One line at a time. */
void line_begin(struct json *json);

/* Sends it, or drops and counts it (CONTROL-1); one that did not fit, too. */
void line_send(struct json *json);

/* An empty line: the sender of a request may go on. */
void line_acknowledge(void);

/* To the port, as much as it takes at once and `most` bytes; true: something. */
bool line_transmit(u64 now, unsigned most);

/* Waits for room; false: the reader takes no bytes, or there is no port. Until all have left. */
bool line_wait(void);
void line_drain(void);

#endif
