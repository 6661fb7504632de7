/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c: lines in, lines out. control.h has the invariants.
 *
 *     COM2 --> line --> request --> command --steps--> reply line --> ring --> COM2
 *                                   events ----------------------------^
 *
 * One request runs at a time, and the next one is read when it has ended: what comes meanwhile
 * stays with the sender. A step is taken when the ring has room for its line, so a slow reader
 * slows its own reply. One that takes no byte for STALL is given up: its request ends, and lines
 * are dropped until it reads again.
 */
#include <hv/control.h>
#include <arch/channel.h>
#include <arch/cpu.h>
#include <hv/stat.h>
#include <lib/log.h>
#include <lib/string.h>
#include "hv/control/channel.h"
#include "hv/control/command.h"
#include "hv/control/ring.h"

#define LOG_THIS LOG_HV

#define REQUEST_BYTES 512
#define PIECE	      16  /* bytes of a request that a port is certain to hold */
#define POLL_BYTES    512 /* in and out, at most, in one poll */
#define POLLS	      100 /* a second, while nothing comes */
#define POLLS_BUSY    1000

/*
 * Of CPU 0. sent: the tick at which a byte last went out, or the ring was empty; taken: bytes of
 * the line so far, those beyond its buffer included.
 */
static struct {
	bool on, overlong, running, stalled;
	u64 due, sent;
	char line[REQUEST_BYTES + 1];
	size_t used;
	u64 taken;
	struct json_request request;
	struct command_call call;
	char text[CHANNEL_LINE];
	struct ring ring;
} channel;

bool channel_is_on(void)
{
	return channel.on;
}

bool channel_has_room(void)
{
	return channel.on && !channel.stalled && ring_room(&channel.ring) >= CHANNEL_LINE;
}

struct json *channel_line(struct json *json)
{
	json_init(json, channel.text, CHANNEL_LINE - 1);
	json_open(json, '{');
	json_add_u64(json, "v", CONTROL_VERSION);
	return json;
}

void channel_send(struct json *json)
{
	json_close(json, '}');
	CHECK(!json->cut);
	json->text[json->len++] = '\n';
	if (!channel.stalled && ring_put(&channel.ring, json->text, (u32)json->len))
		stat_channel.lines++;
	else
		stat_channel.dropped++;
}

static void send_error(u64 id, const char *error)
{
	struct json json;

	channel_line(&json);
	json_add_u64(&json, "id", id);
	json_add_bool(&json, "ok", false);
	json_add_string(&json, "error", error);
	channel_send(&json);
	stat_channel.refused++;
}

/* One line of the reply. The result is open; `tail` is what must fit behind it. */
static void run_step(void)
{
	const size_t tail = sizeof("},\"more\":true}");
	enum command_step step;
	struct json json;

	channel_line(&json);
	json_add_u64(&json, "id", channel.request.id);
	json_add_bool(&json, "ok", true);
	json_key(&json, "result");
	json_open(&json, '{');
	json.size -= tail;
	step = command_step(&channel.call, &json);
	json.size += tail;
	channel.running = step == COMMAND_MORE || step == COMMAND_LATER;
	if (step == COMMAND_FAILED)
		send_error(channel.request.id, channel.call.error);
	if (step == COMMAND_FAILED || step == COMMAND_LATER)
		return;
	json_close(&json, '}');
	if (step == COMMAND_MORE)
		json_add_bool(&json, "more", true);
	channel_send(&json);
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
		(void)ring_put(&channel.ring, "\n", 1);
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

static bool receive(void)
{
	unsigned count = 0;
	int c;

	while (!channel.running && count < POLL_BYTES && channel_has_room() &&
	       (c = arch_channel_getc()) >= 0) {
		take_byte((char)c);
		count++;
	}
	stat_channel.bytes_in += count;
	return count > 0;
}

/* The reader takes nothing: what waits for it, and what comes, is dropped. */
static void give_up(void)
{
	channel.stalled = true;
	channel.running = false;
	stat_channel.dropped++;
}

static void report_loss(void)
{
	struct json json;

	channel.stalled = false;
	channel_line(&json);
	json_add_string(&json, "event", "lost");
	json_add_u64(&json, "lines", stat_channel.dropped);
	channel_send(&json);
}

static bool transmit(u64 now)
{
	struct ring *ring = &channel.ring;
	unsigned count = 0;

	while (count < POLL_BYTES && ring_used(ring) && arch_channel_putc(ring_next(ring))) {
		ring->first++;
		count++;
	}
	stat_channel.bytes_out += count;
	if (count || !ring_used(ring))
		channel.sent = now;
	else if (!channel.stalled && now - channel.sent > arch_ticks_per_second())
		give_up();
	if (channel.stalled && !ring_used(ring))
		report_loss();
	return count > 0;
}

bool channel_wait(void)
{
	while (channel.on && !channel.stalled && !channel_has_room())
		(void)transmit(arch_ticks());
	return channel_has_room();
}

/* What CPU 0 does next is due sooner while there is something to do. */
static bool poll(u64 now)
{
	bool busy = transmit(now);

	busy |= receive();
	for (unsigned i = 0; channel.running && i < 4 && channel_has_room(); i++)
		run_step();
	busy |= ring_used(&channel.ring) || channel.used;
	channel.due = now + arch_ticks_per_second() / (busy ? POLLS_BUSY : POLLS);
	return busy;
}

bool control_poll(bool idle)
{
	u64 now;

	if (!channel.on || arch_cpu_id() != 0)
		return false;
	now = arch_ticks();
	if (now >= channel.due)
		(void)poll(now);
	return false;
}

u64 control_alarm(void)
{
	return channel.on && arch_cpu_id() == 0 ? channel.due : TICK_NEVER;
}

void control_start(void)
{
	struct json json;

	memset(&channel, 0, sizeof(channel));
	channel.on = arch_channel_init();
	if (!channel.on)
		return;
	channel.sent = arch_ticks();
	channel_line(&json);
	json_add_string(&json, "event", "start");
	channel_send(&json);
}

/* A second, or a reader that takes all of it. */
void control_end(bool good)
{
	u64 end = arch_ticks() + arch_ticks_per_second();
	struct json json;

	if (!channel.on)
		return;
	channel_line(&json);
	json_add_string(&json, "event", "end");
	json_add_bool(&json, "good", good);
	channel_send(&json);
	while ((ring_used(&channel.ring) || !arch_channel_is_drained()) && arch_ticks() < end)
		if (transmit(arch_ticks()))
			end = arch_ticks() + arch_ticks_per_second();
}
