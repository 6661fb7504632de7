/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio.c: a hostile driver: register and config accesses, rings and buffers of any content,
 * and the device's work in between.
 *
 *     input: one step after another; the last byte also says which device (kinds[])
 *         0 offset(2) size value(4)   write to BAR 0     4 gpa(2) count bytes   write to memory
 *         1 offset(2) size value(4)   write to BAR 1     5                      a piece of work
 *         2 reg size value(4)         write to config    6 n                    one map in n fails
 *         3 offset(2) size            read of BAR 0      7                      start all queues
 *
 * Checked for every input, besides what ASan and UBSan see: a page is mapped once at a time and
 * unmapped (memory.h), the image is not written (DISK-1), no config bit changes that is not
 * writable (PCI-2), work ends, and the device's end frees every frame.
 */
#include <arch/cpu.h>
#include <hv/memory.h>
#include <mm/frame.h>
#include <stdlib.h>
#include <string.h>
#include "hv/virtio/balloon.h"
#include "hv/virtio/blk.h"
#include "hv/virtio/console.h"
#include "hv/virtio/net/net.h"
#include "hv/virtio/pmem.h"
#include "hv/virtio/rng.h"
#include "hv/virtio/net/segment.h"
#include "fuzz.h"

#define RAM	   0x10000u
#define IMAGE	   (5 * 4096u + 512)
#define FRAMES	   64u
#define PIECES_MAX 4096u

extern char *sim_memory;
extern u64 sim_memory_size;

static u8 ram[RAM] __aligned(PAGE_SIZE);
static u8 frames[FRAMES][PAGE_SIZE] __aligned(PAGE_SIZE);
static bool used[FRAMES];
static unsigned blocks, mapped, fail_one_in, chance;
static u8 image[IMAGE];

int frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		if (used[i])
			continue;
		used[i] = true;
		memset(frames[i], 0xcc, PAGE_SIZE);
		*out = (struct mfn){i};
		return 0;
	}
	return ERR_NO_MEMORY;
}

void frame_free(struct mfn mfn, unsigned order)
{
	fuzz_check(mfn.raw < FRAMES && used[mfn.raw], "a frame is freed twice");
	used[mfn.raw] = false;
}

struct hpa arch_virt_to_hpa(const void *address)
{
	return (struct hpa){(u64)((const char *)address - (char *)frames)};
}

void *hv_alloc(size_t size)
{
	blocks++;
	return calloc(1, size);
}

void hv_free(void *memory, size_t size)
{
	blocks--;
	free(memory);
}

static int map(void *context, struct gpa gpa, size_t len, bool write, void **out)
{
	fuzz_check(!mapped && len && len <= PAGE_SIZE - page_offset(gpa.raw), "one page at a time");
	chance = chance * 1103515245 + 12345;
	if (fail_one_in && (chance >> 16) % fail_one_in == 0)
		return ERR_NO_MEMORY;
	if (gpa.raw >= RAM)
		return ERR_RANGE;
	mapped++;
	*out = &ram[gpa.raw];
	return 0;
}

static void unmap(void *context, struct gpa gpa)
{
	mapped--;
}

static void message(void *context, u32 address, u32 data)
{
}

static void follow(void *context, unsigned wire)
{
}

static const struct pci_board board = {message, follow};
static struct pci bus = {.board = &board};

/* --- the devices ----------------------------------------------------------------------------- */

static struct virtio_blk blk;
static struct virtio_rng rng;
static struct virtio_console console;

static const struct virtio_ops blk_ops = {
	.type = VIRTIO_BLK, .class = 0x010000, .run = blk_run, .reset = blk_reset};
static const struct virtio_ops rng_ops = {.type = VIRTIO_RNG, .run = rng_run};
static const struct virtio_ops console_ops = {
	.type = VIRTIO_CONSOLE,
	.run = virtio_console_run,
	.config_written = virtio_console_config_written,
	.reset = virtio_console_reset,
};

static void begin_blk(void)
{
	memset(&blk, 0, sizeof(blk));
	memset(image, 0x5a, sizeof(image));
	fuzz_check(disk_init(&blk.disk, image, IMAGE) == 0, "a disk");
	blk_init(&blk, 2, "fuzz", &blk_ops);
}

static void end_blk(void)
{
	for (unsigned i = 0; i < IMAGE; i++)
		fuzz_check(image[i] == 0x5a, "DISK-1: the image was written");
	disk_fini(&blk.disk);
}

static u64 source(void)
{
	return 0x5a5a5a5a5a5a5a5aull;
}

static void begin_rng(void)
{
	memset(&rng, 0, sizeof(rng));
	rng_init(&rng, source, &rng_ops);
}

static void send(void *context, const char *text, size_t len)
{
	fuzz_check(len && len <= CONSOLE_PIECE, "a piece of text");
}

static void begin_console(void)
{
	memset(&console, 0, sizeof(console));
	console.send = send;
	virtio_console_init(&console, &console_ops);
	for (unsigned i = 0; i < CONSOLE_TYPED; i++)
		virtio_console_type(&console, (u8)i);
}

static void end_console(void)
{
	fuzz_check(console.count <= CONSOLE_TYPED, "typed bytes");
}

/* The device at port 0; port 1 takes nothing, so that its inbox fills; time passes at each look. */
static struct virtio_net net;
static struct switch_port peer;
static struct net_switch lan;
static u64 now;

u64 arch_ticks(void)
{
	return now += 10;
}

u64 arch_ticks_per_second(void)
{
	return 1000;
}

static void net_wake(struct virtio_device *device, u32 others)
{
	fuzz_check(!(others & ~3u), "a port that there is not");
}

static const struct virtio_ops net_ops = {
	.type = VIRTIO_NET, .run = net_run, .wake = net_wake, .reset = net_reset};

/* IPv4 and TCP without options; it is cut, or passes whole if the driver takes it. */
static void make_large(struct net_packet *packet)
{
	u8 *frame = packet->bytes + PACKET_HEADER;

	packet->len = 4000;
	packet->csum_offset = 16;
	packet->gso_type = GSO_TCPV4;
	packet->gso_size = 1000;
	frame[12] = 8;
	frame[14] = 0x45;
	frame[34 + 12] = 0x50;
}

static void begin_net(void)
{
	static const u8 mac[2][MAC_BYTES] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	static struct net_packet packet;
	u32 wake = 0;

	memset(&packet, 0, sizeof(packet));
	packet.len = 200;
	packet.csum_start = 34;
	packet.needs_csum = true;
	memset(&net, 0, sizeof(net));
	memset(&peer, 0, sizeof(peer));
	switch_init(&lan);
	fuzz_check(!switch_attach(&lan, &net.port, mac[0]), "a port");
	fuzz_check(!switch_attach(&lan, &peer, mac[1]), "a port");
	net_init(&net, &net_ops);
	switch_open(&net.port, true, &wake);
	switch_open(&peer, true, &wake);
	memcpy(packet.bytes + PACKET_HEADER, mac[0], MAC_BYTES);
	memcpy(packet.bytes + PACKET_HEADER + MAC_BYTES, mac[1], MAC_BYTES);
	for (unsigned i = 0; i < 5; i++)
		fuzz_check(!switch_send(&peer, &packet, 0, 1, &wake), "room");
	make_large(&packet);
	fuzz_check(segment_check(&packet) && !switch_send(&peer, &packet, 0, 1, &wake), "room");
}

/* NET-1: what came out of the device is a frame. */
static void end_net(void)
{
	fuzz_check(net.port.count <= SWITCH_INBOX && peer.count <= SWITCH_INBOX, "SWITCH-1");
	while (peer.count) {
		const struct net_packet *packet = switch_first(&peer);
		u32 max = packet->gso_type == GSO_NONE ? FRAME_MAX : FRAME_LARGE, wake = 0;

		fuzz_check(packet->len >= FRAME_MIN && packet->len <= max, "NET-1");
		fuzz_check(packet->gso_type == GSO_NONE || segment_check(packet), "SEGMENT-1");
		fuzz_check(!packet->needs_csum ||
				   packet->csum_start + packet->csum_offset + 2u <= packet->len,
			   "NET-1");
		switch_take(&peer, &wake);
	}
	switch_detach(&net.port);
}

static struct virtio_balloon balloon;
static const struct virtio_ops balloon_ops = {
	.type = VIRTIO_BALLOON, .run = balloon_run, .reset = balloon_reset};

static int take_range(void *context, struct gfn_range range)
{
	fuzz_check(!mapped, "a call into mm while a page is mapped");
	fuzz_check(range.start.raw < range.end.raw, "BALLOON-1");
	fuzz_check(gfn_range_frames(range) <= BALLOON_PIECE, "a bounded piece");
	return range.end.raw <= RAM / PAGE_SIZE ? 0 : ERR_RANGE;
}

static void begin_balloon(void)
{
	memset(&balloon, 0, sizeof(balloon));
	balloon.take = take_range;
	balloon_init(&balloon, 5, &balloon_ops);
	balloon_request_stats(&balloon);
}

static struct virtio_pmem pmem;
static const struct virtio_ops pmem_ops = {.type = VIRTIO_PMEM, .run = pmem_run};

static void begin_pmem(void)
{
	memset(&pmem, 0, sizeof(pmem));
	pmem_init(&pmem, 5ull << 30, 2ull << 20, &pmem_ops);
}

static void end_nothing(void)
{
}

static const struct kind {
	struct virtio_device *device;
	void (*begin)(void);
	void (*end)(void);
} kinds[] = {
	{&blk.device, begin_blk, end_blk},
	{&rng.device, begin_rng, end_nothing},
	{&console.device, begin_console, end_console},
	{&net.device, begin_net, end_net},
	{&balloon.device, begin_balloon, end_nothing},
	{&pmem.device, begin_pmem, end_nothing},
};

struct input {
	const u8 *at, *end;
};

static u32 take(struct input *input, unsigned bytes)
{
	u32 value = 0;

	for (unsigned i = 0; i < bytes && input->at < input->end; i++)
		value |= (u32)*input->at++ << (8 * i);
	return value;
}

static unsigned take_size(struct input *input)
{
	return 1u << take(input, 1) % 3;
}

static void bar_write(struct pci_function *function, unsigned bar, u32 offset, unsigned size,
		      u32 value)
{
	if (offset <= function->bar_size[bar] - size)
		pci_function_bar_write(function, bar, offset, size, value);
}

static void bar_read(struct pci_function *function, u32 offset, unsigned size)
{
	if (offset <= function->bar_size[0] - size)
		(void)pci_function_bar_read(function, 0, offset, size);
}

/* Without it few inputs come as far as a request: all features, and queue n at n * 3000h. */
static void start(struct pci_function *function)
{
	const struct virtio_device *device = virtio_of(function);
	static const struct {
		u32 offset, size, value;
	} writes[] = {{20, 1, 0}, {8, 4, 0}, {12, 4, 0}, {8, 4, 1}, {12, 4, 1}, {20, 1, 11}};

	pci_function_config_write(function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
		bar_write(function, 0, writes[i].offset, writes[i].size,
			  i == 2 ? (u32)device->offered : writes[i].value);
	for (u32 i = 0; i < device->queues; i++) {
		bar_write(function, 0, 22, 2, i);
		bar_write(function, 0, 24, 2, 16);
		for (u32 area = 0; area < 3; area++) {
			bar_write(function, 0, 32 + 8 * area, 4, i * 0x3000 + area * 0x1000);
			bar_write(function, 0, 36 + 8 * area, 4, 0);
		}
		bar_write(function, 0, 28, 2, 1);
	}
	bar_write(function, 0, 20, 1, 15);
}

static void work(struct pci_function *function)
{
	unsigned pieces = 0;

	while (function->work && !fail_one_in && pieces++ < PIECES_MAX) {
		if (function->ops->work(function) == ERR_NO_MEMORY)
			return;
	}
	if (fail_one_in && function->work)
		(void)function->ops->work(function);
	fuzz_check(!mapped, "a page stays mapped");
}

static void step(struct pci_function *function, struct input *input)
{
	u32 offset, count;
	unsigned size;

	switch (take(input, 1) % 8) {
	case 0:
	case 1:
		size = input->at[-1] % 8;
		offset = take(input, 2);
		bar_write(function, size, offset, take_size(input), take(input, 4));
		break;
	case 2:
		offset = take(input, 1);
		pci_function_config_write(function, offset, take_size(input), take(input, 4));
		break;
	case 3:
		offset = take(input, 2);
		bar_read(function, offset, take_size(input));
		(void)pci_function_config_read(function, offset & 0xff, 4);
		break;
	case 4:
		offset = take(input, 2);
		for (count = take(input, 1); count && offset < RAM; count--)
			ram[offset++] = (u8)take(input, 1);
		break;
	case 5:
		work(function);
		break;
	case 6:
		fail_one_in = take(input, 1);
		break;
	default:
		start(function);
		break;
	}
}

static void check_config(const struct pci_function *function, const u8 *before)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
		u8 changed = function->config[i] ^ before[i];

		fuzz_check(i == PCI_STATUS || !(changed & ~function->writable[i]), "PCI-2");
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const struct kind *kind = &kinds[size ? data[size - 1] % ARRAY_SIZE(kinds) : 0];
	struct virtio_device *device = kind->device;
	struct input input = {data, data + size};
	u8 before[PCI_CONFIG_SIZE];

	fuzz_init();
	sim_memory = (char *)frames;
	sim_memory_size = sizeof(frames);
	memset(ram, 0, sizeof(ram));
	fail_one_in = chance = 0;
	kind->begin();
	device->memory = (struct virtio_memory){map, unmap, NULL};
	device->pci.bus = &bus;
	memcpy(before, device->pci.config, sizeof(before));
	while (input.at < input.end)
		step(&device->pci, &input);
	check_config(&device->pci, before);
	kind->end();
	for (unsigned i = 0; i < FRAMES; i++)
		fuzz_check(!used[i], "a frame is left");
	fuzz_check(!blocks, "a block is left");
	return 0;
}
