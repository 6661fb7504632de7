/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pit.c: the 8254 interval timer. pit.h says why time is a parameter.
 *
 *      mode 0, 1   OUT low while counting, high from terminal count on
 *      mode 2      high, low for the last clock of each period
 *      mode 3      high for the first half of each period, low for the second
 *      mode 4, 5   high, low for one clock at terminal count
 *
 * PIT-1 What a channel shows depends on the clock alone, not on earlier reads.
 * PIT-2 pit_next_rise() gives a clock at which the output is high and before which it was low.
 * PIT-3 pit_rises() counts the clocks that pit_next_rise() would give one after another.
 * PIT-4 between two rises of a periodic channel that they give lie 100 us at least: of a shorter
 *       period they give each second, third, ... one, or the guest would do nothing but take them.
 */
#include <hv/pit.h>
#include <lib/bcd.h>

#define SHORTEST ((PIT_HZ + 9999) / 10000) /* PIT-4 */

enum {
	COMMAND_PORT = 3,
	READ_BACK = 3,
	ACCESS_LATCH = 0,
	ACCESS_LOW = 1,
	ACCESS_HIGH = 2,
	ACCESS_BOTH = 3
};
enum port61 { PORT61_GATE2 = 1, PORT61_SPEAKER = 2, PORT61_REFRESH = 0x10, PORT61_OUT2 = 0x20 };

void pit_init(struct pit *pit)
{
	*pit = (struct pit){0};
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		pit->channel[i].access = ACCESS_BOTH;
		pit->channel[i].reload = 0x10000;
		pit->channel[i].gate = i != 2;
	}
}

static bool is_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/*
 * Clocks counted since the count was loaded; a low gate freezes modes 0 and 4 and holds 2 and 3 at
 * the start.
 */
static u64 channel_clocks(const struct pit_channel *c, u64 now)
{
	u64 until = c->gate || c->mode == 1 || c->mode == 5 ? now : c->stopped_at;

	return until > c->start ? until - c->start : 0;
}

static bool channel_output(const struct pit_channel *c, u64 now)
{
	u64 clocks = channel_clocks(c, now);

	if (!c->loaded)
		return c->mode != 0;
	switch (c->mode) {
	case 0:
	case 1:
		return clocks >= c->reload;
	case 2:
		return !c->gate || clocks % c->reload != c->reload - 1;
	case 3:
		return !c->gate || clocks % c->reload < (c->reload + 1) / 2;
	default:
		return clocks != c->reload;
	}
}

bool pit_output(const struct pit *pit, unsigned channel, u64 now)
{
	return channel_output(&pit->channel[channel], now);
}

/* What the counting element holds, in binary. */
static u16 channel_count(const struct pit_channel *c, u64 now)
{
	u64 clocks = channel_clocks(c, now);

	if (c->mode == 3)
		return c->reload - 2 * clocks % c->reload; /* counts by two */
	if (c->mode == 2)
		return c->reload - clocks % c->reload;
	return c->reload - clocks; /* wraps below zero and goes on, as the chip does */
}

/* The count as the data port shows it. */
static u16 shown_count(const struct pit_channel *c, u64 now)
{
	u16 n = channel_count(c, now);

	return c->bcd ? bcd_encode(n) : n;
}

static void load_count(struct pit_channel *c, u16 value, u64 now)
{
	u32 n = c->bcd ? bcd_decode(value) : value;

	c->reload = n ? n : c->bcd ? 10000 : 0x10000;
	if (c->reload == 1 && is_periodic(c))
		c->reload = 2; /* 1 is illegal there */
	c->loaded = true;
	c->start = c->stopped_at = now;
}

/* True: the count is complete. */
static bool write_count(struct pit_channel *c, u8 value, u64 now)
{
	bool complete = true;

	switch (c->access) {
	case ACCESS_LOW:
		load_count(c, value, now);
		break;
	case ACCESS_HIGH:
		load_count(c, value << 8, now);
		break;
	default:
		complete = c->high_next_write;
		if (complete)
			load_count(c, c->low_written | value << 8, now);
		else
			c->low_written = value;
		c->high_next_write = !complete;
		break;
	}
	return complete;
}

static void latch_count(struct pit_channel *c, u64 now)
{
	if (c->count_latched)
		return;
	c->count_latch = shown_count(c, now);
	c->count_latched = true;
}

static void latch_status(struct pit_channel *c, u64 now)
{
	if (c->status_latched)
		return;
	c->status_latch = channel_output(c, now) << 7 | !c->loaded << 6 | c->access << 4 |
			  c->mode << 1 | c->bcd;
	c->status_latched = true;
}

static void write_mode(struct pit_channel *c, u8 value, u64 now)
{
	unsigned mode = value >> 1 & 7;

	c->access = value >> 4 & 3;
	c->mode = mode > 5 ? mode - 4 : mode;
	c->bcd = value & 1;
	c->loaded = c->high_next_write = c->high_next_read = false;
	c->status_latched = c->count_latched = false;
	c->start = c->stopped_at = now;
}

static void read_back(struct pit *pit, u8 value, u64 now)
{
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		if (!(value & BIT(i + 1)))
			continue;
		if (!(value & 0x20))
			latch_count(&pit->channel[i], now);
		if (!(value & 0x10))
			latch_status(&pit->channel[i], now);
	}
}

/* True: channel 0 has another mode. */
static bool write_control(struct pit *pit, u8 value, u64 now)
{
	unsigned select = value >> 6;

	if (select == READ_BACK) {
		read_back(pit, value, now);
		return false;
	}
	if ((value >> 4 & 3) == ACCESS_LATCH) {
		latch_count(&pit->channel[select], now);
		return false;
	}
	write_mode(&pit->channel[select], value, now);
	return select == 0;
}

static u8 read_count(struct pit_channel *c, u64 now)
{
	bool high = c->access == ACCESS_HIGH || (c->access == ACCESS_BOTH && c->high_next_read);
	u16 value = c->count_latched ? c->count_latch : shown_count(c, now);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status_latch;
	}
	if (c->access == ACCESS_BOTH)
		c->high_next_read = !c->high_next_read;
	if (!c->high_next_read)
		c->count_latched = false;
	return high ? value >> 8 : value;
}

/* The gate of channel 2; a rising one restarts modes 1, 2, 3 and 5, and lets 0 and 4 go on. */
static void set_gate(struct pit_channel *c, bool gate, u64 now)
{
	if (gate == c->gate)
		return;
	if (!gate)
		c->stopped_at = now;
	else if (c->mode == 0 || c->mode == 4)
		c->start += now - c->stopped_at;
	else
		c->start = now;
	c->gate = gate;
}

static u8 read_port61(const struct pit *pit, u64 now)
{
	/* Refresh toggles every 15 us: old code times short delays by it. */
	bool refresh = now / 18 & 1;

	return (pit->port61 & 0x0f) | (refresh ? PORT61_REFRESH : 0) |
	       (pit_output(pit, 2, now) ? PORT61_OUT2 : 0);
}

u8 pit_read(struct pit *pit, u16 port, u64 now)
{
	if (port == 0x61)
		return read_port61(pit, now);
	if ((port & 3) == COMMAND_PORT)
		return 0xff;
	return read_count(&pit->channel[port & 3], now);
}

bool pit_write(struct pit *pit, u16 port, u8 value, u64 now)
{
	if (port == 0x61) {
		pit->port61 = value & 0x0f;
		set_gate(&pit->channel[2], value & PORT61_GATE2, now);
		return false;
	}
	if ((port & 3) == COMMAND_PORT)
		return write_control(pit, value, now);
	return write_count(&pit->channel[port & 3], value, now) && (port & 3) == 0;
}

/* The clock at which the output of a one-shot mode rises. */
static u64 one_rise(const struct pit_channel *c)
{
	return c->start + c->reload + (c->mode >= 4); /* in mode 4 it is low for one clock */
}

static bool needs_gate(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

/* Clocks between two rises that an interrupt controller sees. */
static u64 wire_period(const struct pit_channel *c)
{
	return (SHORTEST + c->reload - 1) / c->reload * c->reload;
}

u64 pit_next_rise(const struct pit *pit, u64 now)
{
	const struct pit_channel *c = &pit->channel[0];
	u64 period = wire_period(c);

	if (!c->loaded || needs_gate(c))
		return PIT_NEVER;
	if (is_periodic(c))
		return c->start + (channel_clocks(c, now) / period + 1) * period;
	return one_rise(c) > now ? one_rise(c) : PIT_NEVER;
}

bool pit_is_periodic(const struct pit *pit)
{
	return pit->channel[0].loaded && is_periodic(&pit->channel[0]);
}

u64 pit_rises(const struct pit *pit, u64 after, u64 now)
{
	const struct pit_channel *c = &pit->channel[0];
	u64 period = wire_period(c);

	if (!c->loaded || needs_gate(c) || now <= after)
		return 0;
	if (is_periodic(c))
		return channel_clocks(c, now) / period - channel_clocks(c, after) / period;
	return after < one_rise(c) && one_rise(c) <= now;
}
