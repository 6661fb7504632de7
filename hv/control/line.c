/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c: lines that are sent: composed in one buffer, kept in the ring until the port takes them.
 *
 * A reader that takes no byte for a second has stalled: lines are dropped, and counted, until it
 * has taken what was in the ring.
 */
#include "hv/control/line.h"
#include <arch/channel.h>
#include <arch/cpu.h>
#include <hv/stat.h>
#include <lib/log.h>
#include <lib/string.h>
#include "hv/control/ring.h"

/* Of CPU 0. sent: the tick at which a byte last went out, or the ring was empty. */
static struct {
	bool on, stalled;
	u64 sent;
	char text[LINE_BYTES];
	struct ring ring;
} line;

void line_start(void)
{
	memset(&line, 0, sizeof(line));
	line.on = true;
	line.sent = arch_ticks();
}

bool line_has_room(void)
{
	return !line.stalled && ring_room(&line.ring) >= LINE_BYTES;
}

bool line_is_pending(void)
{
	return ring_used(&line.ring) && !line.stalled;
}

bool line_is_stalled(void)
{
	return line.stalled;
}

void line_begin(struct json *json)
{
	json_init(json, line.text, LINE_BYTES - 1);
	json_open(json, '{');
	json_add_u64(json, "v", CONTROL_VERSION);
}

void line_send(struct json *json)
{
	bool sent;

	json_close(json, '}');
	json->text[json->len] = '\n';
	sent = !json->cut && !line.stalled && ring_put(&line.ring, json->text, (u32)json->len + 1);
	stat_channel.lines += sent;
	stat_channel.dropped += !sent;
}

void line_acknowledge(void)
{
	(void)ring_put(&line.ring, "\n", 1);
}

/* The reader takes nothing: what comes is dropped. */
static void give_up(void)
{
	line.stalled = true;
	stat_channel.dropped++;
}

static void report_loss(void)
{
	struct json json;

	line.stalled = false;
	line_begin(&json);
	json_add_string(&json, "event", "lost");
	json_add_u64(&json, "lines", stat_channel.dropped);
	line_send(&json);
}

/*
 * As many bytes as the port takes, with a short wait for it: an emulator's drains its FIFO in a few
 * thousand instructions.
 */
static unsigned send_bytes(u64 until, unsigned most)
{
	unsigned count = 0;

	while (count < most && ring_used(&line.ring)) {
		if (arch_channel_putc(ring_next(&line.ring))) {
			line.ring.first++;
			count++;
			continue;
		}
		if (line.stalled || arch_ticks() >= until)
			break;
		arch_cpu_relax();
	}
	return count;
}

bool line_transmit(u64 now, unsigned most)
{
	unsigned count = send_bytes(now + arch_ticks_per_second() / LINE_WAITS, most);

	stat_channel.bytes_out += count;
	if (count || !ring_used(&line.ring))
		line.sent = now;
	else if (!line.stalled && now - line.sent > arch_ticks_per_second())
		give_up();
	if (line.stalled && !ring_used(&line.ring))
		report_loss();
	return count > 0;
}

static bool wait_for(u32 room)
{
	u64 end = arch_ticks() + arch_ticks_per_second();

	while (!line.stalled && ring_room(&line.ring) < room && arch_ticks() < end)
		if (line_transmit(arch_ticks(), LINE_IDLE_BYTES))
			end = arch_ticks() + arch_ticks_per_second();
	return !line.stalled && ring_room(&line.ring) >= room;
}

bool line_wait(void)
{
	return line.on && wait_for(LINE_BYTES);
}

void line_drain(void)
{
	u64 end = arch_ticks() + arch_ticks_per_second();

	(void)wait_for(RING_BYTES);
	while (!arch_channel_is_drained() && arch_ticks() < end)
		arch_cpu_relax();
}
