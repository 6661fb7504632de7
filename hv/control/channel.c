/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c: lines in, lines out. control.h has the invariants.
 *
 *     COM2 --> line --> request --> command --steps--> reply line --> ring --> COM2
 *                                   events ----------------------------^
 *
 * One request runs at a time, and the next one is read when it has ended: what comes meanwhile
 * stays with the sender. A step is taken when the ring has room for its line, so a slow reader
 * slows its own reply. When the reader has stalled (line.c) the request is given up.
 */
#include <hv/control.h>
#include <arch/channel.h>
#include <arch/cpu.h>
#include <hv/stat.h>
#include <lib/log.h>
#include <lib/string.h>
#include "hv/control/command.h"
#include "hv/control/events.h"
#include "hv/control/line.h"
#include "hv/control/monitor.h"

#define LOG_THIS LOG_HV

#define REQUEST_BYTES 512
#define PIECE	      16  /* bytes of a request that a port is certain to hold */
#define POLLS	      100 /* a second, while nothing comes */
#define POLLS_BUSY    1000
#define STEPS	      4 /* of events, and of a command, in one poll */

/* Of CPU 0. taken: bytes of the line so far, those beyond its buffer included. */
static struct {
	bool on, busy, overlong, running;
	u64 due;
	char line[REQUEST_BYTES + 1];
	size_t used;
	u64 taken;
	struct json_request request;
	struct command_call call;
} channel;

static void send_error(u64 id, const char *error)
{
	struct json json;

	line_begin(&json);
	json_add_u64(&json, "id", id);
	json_add_bool(&json, "ok", false);
	json_add_string(&json, "error", error);
	line_send(&json);
	stat_channel.refused++;
}

/* One line of the reply. The end of the open result must fit behind what the command writes. */
static void run_step(void)
{
	enum command_step step;
	struct json json;
	size_t empty;

	line_begin(&json);
	json_add_u64(&json, "id", channel.request.id);
	json_add_bool(&json, "ok", true);
	json_key(&json, "result");
	json_open(&json, '{');
	empty = json.len;
	json.size -= LINE_TAIL;
	step = command_step(&channel.call, &json);
	json.size += LINE_TAIL;
	channel.running = step == COMMAND_MORE || step == COMMAND_LATER;
	if (step == COMMAND_FAILED)
		send_error(channel.request.id, channel.call.error);
	if (!channel.running)
		command_end(&channel.call);
	if (step == COMMAND_FAILED || (step == COMMAND_LATER && json.len == empty))
		return;
	json_close(&json, '}');
	if (channel.running)
		json_add_bool(&json, "more", true);
	line_send(&json);
}

static void begin_request(void)
{
	stat_channel.requests++;
	if (channel.overlong)
		send_error(0, "a request has at most 512 bytes");
	else if (!json_parse_request(channel.line, channel.used, &channel.request))
		send_error(channel.request.id, channel.request.error);
	else if (!command_begin(&channel.call, &channel.request))
		send_error(channel.request.id, channel.call.error);
	else
		channel.running = true;
}

/* The sender of a serial line has no other way to see that the port has room again. */
static void acknowledge(void)
{
	if (++channel.taken % PIECE == 0)
		line_acknowledge();
}

/* An empty line is nothing: a terminal's CR LF. */
static void take_byte(char c)
{
	if (c != '\n' && c != '\r') {
		if (channel.used < REQUEST_BYTES)
			channel.line[channel.used++] = c;
		else
			channel.overlong = true;
		acknowledge();
		return;
	}
	if (channel.used)
		begin_request();
	channel.used = 0;
	channel.taken = 0;
	channel.overlong = false;
}

/* The next byte, or -1. In the middle of a request the next piece is waited for, until a time. */
static int next_byte(bool waits, u64 until)
{
	int c = arch_channel_getc();

	while (c < 0 && waits && arch_ticks() < until) {
		(void)line_transmit(arch_ticks(), PIECE);
		arch_cpu_relax();
		c = arch_channel_getc();
	}
	return c;
}

/* A sender that pauses is waited for once: a poll without a byte waits for none. */
static bool receive(u64 now, bool idle)
{
	u64 until = now + arch_ticks_per_second() / (idle ? LINE_IDLE_WAITS : LINE_WAITS);
	unsigned count = 0;
	int c;

	while (!command_is_running() && count < LINE_POLL_BYTES && line_has_room() &&
	       (c = next_byte(count && channel.used, until)) >= 0) {
		take_byte((char)c);
		count++;
	}
	stat_channel.bytes_in += count;
	return count > 0;
}

static void abandon_request(void)
{
	if (channel.running)
		command_end(&channel.call);
	channel.running = false;
}

/*
 * What CPU 0 does next is due sooner while there is something to do. An idle CPU sends more at
 * once, and waits longer: its next poll may come after a visit of the scanner.
 */
static void poll(u64 now, bool idle)
{
	bool busy = receive(now, idle);

	if (line_is_stalled())
		abandon_request();
	for (unsigned i = 0; i < (idle ? STEPS : 1) && line_has_room() && events_step(now); i++)
		;
	for (unsigned i = 0; channel.running && i < STEPS && line_has_room(); i++)
		run_step();
	busy |= line_transmit(now, idle ? LINE_IDLE_BYTES : LINE_POLL_BYTES);
	busy |= channel.running || channel.used || line_is_pending();
	channel.busy = busy;
	channel.due = now + arch_ticks_per_second() / (busy ? POLLS_BUSY : POLLS);
}

bool control_poll(bool idle)
{
	if (arch_cpu_id() != 0)
		return false;
	if (channel.on && arch_ticks() >= channel.due)
		poll(arch_ticks(), idle);
	return monitor_poll();
}

u64 control_alarm(void)
{
	return channel.on && arch_cpu_id() == 0 ? channel.due : TICK_NEVER;
}

u64 control_turn_end(void)
{
	return channel.busy ? control_alarm() : TICK_NEVER;
}

void control_start(void)
{
	memset(&channel, 0, sizeof(channel));
	channel.on = arch_channel_init();
	if (!channel.on)
		return;
	line_start();
	events_start();
}

void control_end_figures(void)
{
	abandon_request();
	while (channel.on && line_wait() && events_end_figures())
		;
}

void control_end(const struct control_verdict *verdict)
{
	if (!channel.on || !line_wait())
		return;
	events_end(verdict);
	line_drain();
}
