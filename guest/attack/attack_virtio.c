/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_virtio.c: a hostile driver of every virtio device of the VM, from a seed.
 *
 *     seed=N      rounds=N (60)      steps=N of a round (24)
 *     endless     until the VM is ended from outside, with requests in flight all the time
 *     device=N    only the device of that type
 *
 * A round takes one device: reset, random features, queues at good and bad places, then steps in
 * any order: rings with loops and wraps, descriptors into devices, ROM and beyond RAM, indirect
 * tables in indirect tables, ring pages that are shared, discarded, watched, reclaimed, migrated or
 * read only, resets in flight, BARs that move while queues are live, config accesses of all widths,
 * rubbish in the MSI-X table.
 *
 * The arena, which ends with RAM, has pages for tables and pages for buffers. A device writes to
 * buffers and used rings alone, so what a stray table makes of them is below 1 MiB or no RAM. A
 * balloon's pages are those of `numbers` alone: of the arena, of devices, and no RAM, never the
 * program's own. At the end each device must do a good request, and the memory outside of the arena
 * must be as it was (VIRTIO-2, VIRTQ-1 to VIRTQ-3).
 */
#include <virtio.h>

#define PAGE	      4096ul
#define ARENA	      (12ul << 20)
#define ARENA_PAGES   1024u
#define TABLE_PAGES   256u /* of them, the first ones: two for each queue */
#define TABLE_RECORDS 80u  /* places for a table in a page of descriptors */
#define CANARY	      (8ul << 20)
#define CANARY_WORDS  65536u
#define DEVICES_MAX   8u
#define QUEUES_MAX    5u
#define NEW_BAR	      0xe8000000ul /* in the window of the bus, of no device */
#define WINDOW_DATA   16u	   /* in the configuration access capability */

struct area {
	u64 desc, avail, used;
	u16 size;
};

static struct {
	u64 x; /* xorshift */
	u64 kicks, resets, bad, moves, shares, faults, answers;
	bool foul; /* rings of this round have rubbish from the start */
	struct virtio_device device[DEVICES_MAX];
	unsigned devices;
	const struct virtio_device *now;
	struct area area[QUEUES_MAX];
} attack;

/* Page numbers for the balloon. Two pages, so that a list may begin at any place in the first. */
static u32 numbers[2 * PAGE / 4] __attribute__((aligned(4096)));

static u64 next(void)
{
	attack.x ^= attack.x << 13;
	attack.x ^= attack.x >> 7;
	attack.x ^= attack.x << 17;
	return attack.x;
}

static u64 below(u64 n)
{
	return next() % n;
}

static u64 buffer_page(void)
{
	return ARENA + PAGE * (TABLE_PAGES + below(ARENA_PAGES - TABLE_PAGES));
}

/* Two pages: descriptors and the available ring, the used ring. */
static u64 table_page(void)
{
	return ARENA + 2 * PAGE * below(TABLE_PAGES / 2);
}

/* What is no RAM: devices, the device's own BAR, ROM, holes, the last bytes. */
static u64 bad_place(void)
{
	static const u64 bad[] = {0xfee00000,	0xfec00000, 0xe0010000,	 0xe0020000,
				  0xa0000,	0xf0000,    16ul << 20,	 0xd0000000,
				  0x100000000,	1ul << 45,  ~0ul - 4095, ~0ul - 15,
				  0x1fffff0000, 0xfffffff0, 0xe8000000,	 (16ul << 20) - 8};

	return bad[below(ARRAY_SIZE(bad))] + below(3) * 8;
}

static void write_numbers(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
		numbers[i] = (u32)((below(4) ? buffer_page() : bad_place()) / PAGE);
	for (unsigned i = 0; i < 8; i++)
		numbers[below(ARRAY_SIZE(numbers))] = (u32)(table_page() / PAGE);
}

static u64 readable(void)
{
	u64 page = below(2) ? table_page() : buffer_page();

	if (attack.now->type == VIRTIO_BALLOON)
		page = (u64)numbers;
	return page + (below(PAGE) & ~3ul);
}

static u64 writable(void)
{
	return buffer_page() + (below(2) ? 0 : below(PAGE));
}

/* The console prints what it gets, and the balloon takes a page for each number: a few bytes. */
static u32 length(void)
{
	static const u32 edges[] = {0, 1, 512, 1024, 4096, 65536, 0x80000000, 0xffffffff};

	if (attack.now->type == VIRTIO_CONSOLE)
		return (u32)below(12);
	if (attack.now->type == VIRTIO_RNG)
		return (u32)below(48);
	if (attack.now->type == VIRTIO_BLK && below(2))
		return 512 * (u32)below(9);
	if (attack.now->type == VIRTIO_BALLOON)
		return 4 * (u32)below(256);
	return below(2) ? (u32)below(200) : edges[below(ARRAY_SIZE(edges))];
}

/* --- Rings. ---------------------------------------------------------------------------------- */

static void write_desc(u64 table, u64 index, u64 addr, u32 len, u16 flags, u64 link)
{
	((struct virtio_desc *)table)[index] = (struct virtio_desc){addr, len, flags, (u16)link};
}

/* A chain of three from `head` on, as a driver of a disk has it, and good for the others, too. */
static void write_request(u64 table, u64 head, u16 size)
{
	static const u32 types[] = {0, 0, 1, 1, 4, 8, 11, 13, 99};
	u64 header = buffer_page(), a = (head + 1) % size, b = (head + 2) % size;
	u16 data = below(2) ? DESC_WRITE : 0;

	((volatile u32 *)header)[0] = types[below(ARRAY_SIZE(types))];
	((volatile u64 *)header)[1] = below(20);
	write_desc(table, head, header, 16, DESC_NEXT, a);
	write_desc(table, a, data ? writable() : readable(), length(), DESC_NEXT | data, b);
	write_desc(table, b, writable(), 1, DESC_WRITE, 0);
}

/* Any descriptor: loops, bad links, tables that are in tables. */
static void write_rubbish(u64 table, u64 index, u16 size)
{
	u16 flags = (u16)below(8);
	u32 len = flags & DESC_INDIRECT ? 16 * (u32)below(40) : length();
	u64 at = flags & DESC_WRITE ? writable() : readable();

	if (flags & DESC_INDIRECT)
		at = table_page() + 16 * below(TABLE_RECORDS);
	write_desc(table, index, below(4) ? at : bad_place(), len, flags,
		   below(3) ? below(size) : next() | 1);
}

static bool in_arena(u64 at)
{
	return at >= ARENA && at < ARENA + TABLE_PAGES * PAGE;
}

/* Where a request begins. */
static u64 any_head(const struct area *area)
{
	return area->size < 3 ? below(area->size) : 3 * below(area->size / 3);
}

static void fill_queue(struct area *area)
{
	for (u64 i = 0; in_arena(area->desc) && i < area->size; i += 3) {
		if (!attack.foul || below(8))
			write_request(area->desc, i, area->size);
		else
			write_rubbish(area->desc, i, area->size);
	}
	for (u64 i = 0; in_arena(area->avail) && i < area->size; i++)
		((volatile u16 *)area->avail)[2 + i] =
			(u16)(!attack.foul || below(32) ? any_head(area) : next() | 0x8000);
}

static void advance(struct area *area)
{
	volatile u16 *index = (volatile u16 *)area->avail + 1;

	if (in_arena(area->avail))
		*index = (u16)(*index + (below(64) ? 1 + below(4) : next()));
}

static void place_queues(void)
{
	for (unsigned i = 0; i < attack.now->queues && i < QUEUES_MAX; i++) {
		struct area *area = &attack.area[i];
		u64 at = table_page();

		*area = (struct area){at, at + 2048, at + PAGE,
				      (u16)(1u << (below(4) ? 4 + below(4) : below(8)))};
		if (attack.foul && below(8) == 0)
			*(u64 *[]){&area->desc, &area->avail, &area->used}[below(3)] =
				bad_place() & ~15ul;
		if (in_arena(area->avail))
			*(volatile u32 *)area->avail = 0;
		fill_queue(area);
		virtio_place_queue(attack.now, i, area->desc, area->avail, area->used,
				   below(20) ? area->size : next() & 0xffff);
	}
}

/* --- Steps. ---------------------------------------------------------------------------------- */

static struct area *any_queue(void)
{
	return &attack.area[below(attack.now->queues)];
}

static void step_ring(void)
{
	struct area *area = any_queue();

	if (in_arena(area->desc) && below(4) == 0)
		write_rubbish(area->desc, below(area->size), area->size);
	else if (in_arena(area->desc))
		write_request(area->desc, any_head(area), area->size);
	advance(area);
}

static void step_kick(void)
{
	advance(any_queue());
	virtio_notify(attack.now, (unsigned)below(attack.now->queues + (below(8) == 0)));
	attack.kicks++;
}

/* With whatever is in flight. */
static void step_reset(void)
{
	virtio_notify(attack.now, (unsigned)below(attack.now->queues));
	virtio_write(attack.now, STATUS, 1, below(2) ? 0 : below(256));
	attack.resets++;
}

/* A register of any width anywhere in BAR 0: the tables of the queues are among them. */
static void step_register(void)
{
	unsigned size = 1u << below(4);
	u32 at = (u32)(below(2) ? below(0x40) : below(BAR_SIZE - 8));

	if (below(2))
		at &= ~(size - 1);
	if (attack.now->type == VIRTIO_CONSOLE && at >= BAR_CONFIG && at < BAR_NOTIFY)
		return;
	if (below(2))
		virtio_write(attack.now, at, size, next());
	else
		(void)virtio_read(attack.now, at, size > 4 ? 4 : size);
}

/* Config space, the window to BAR 0 with it. */
static void step_config(void)
{
	unsigned size = 1u << below(3), reg = (unsigned)below(256);

	if (below(2))
		pci_write(attack.now->slot, reg, size, (u32)next());
	else
		(void)pci_read(attack.now->slot, reg, size);
}

static void step_msix(void)
{
	volatile u32 *table = (volatile u32 *)attack.now->bar[1];

	table[below(64)] = (u32)next();
	if (below(3) == 0)
		table[4 * below(6)] = 0xfee00000 | (u32)next() % 0x100000;
}

/* Both BARs elsewhere: another device's place, RAM, the local APIC's; a kick finds the old one. */
static void step_move(void)
{
	static const u32 to[] = {NEW_BAR,    0xe0010000, 0xe0018000, (u32)ARENA,
				 0xfee00000, 0xfffff000, 0};
	const struct virtio_device *device = attack.now;
	u32 at = to[below(ARRAY_SIZE(to))];

	pci_write(device->slot, below(4) ? PCI_BAR0 : PCI_BAR1, 4, at);
	if (at == NEW_BAR)
		*(volatile u16 *)(NEW_BAR + BAR_NOTIFY) = 0;
	else
		virtio_notify(device, 0);
	pci_write(device->slot, PCI_COMMAND, 2, (u32)below(8));
	virtio_notify(device, 0);
	attack.moves++;
}

/* The page holds a ring or a buffer; what is done to it is any operation of the memory. */
static void step_memory(void)
{
	struct area *area = any_queue();
	u64 gpa = below(3) ? area->desc : area->used, gfn, other = buffer_page();
	static const u64 calls[] = {HYPERCALL_PROTECT, HYPERCALL_DISCARD, HYPERCALL_WATCH,
				    HYPERCALL_UNMAP, HYPERCALL_RECLAIM};

	gfn = (in_arena(gpa) ? gpa : buffer_page()) / PAGE;
	switch (below(4)) {
	case 0:
		hypercall(calls[below(5)], gfn, 1 + below(2), HYPERCALL_ACCESS_READ, 0);
		break;
	case 1:
		hypercall_range(HYPERCALL_OPERATE, gfn, 1, below(HYPERCALL_PIN));
		break;
	case 2:
		hypercall_range(HYPERCALL_OPERATE, gfn, 1, HYPERCALL_BALLOON);
		break;
	default:
		for (u64 i = 0; i < PAGE / 8; i++)
			((volatile u64 *)other)[i] = ((volatile u64 *)(gfn * PAGE))[i];
		attack.shares += hypercall(HYPERCALL_SHARE, gfn, other / PAGE, 0, 0) == 0;
	}
}

static void (*const steps[])(void) = {
	step_kick,     step_kick,   step_kick, step_ring, step_ring,   step_reset,
	step_register, step_config, step_msix, step_move, step_memory, step_memory,
};

static void do_step(void *number)
{
	steps[(u64)number]();
}

static void do_place(void *unused)
{
	place_queues();
}

/* A write to a page that the step before made read only raises #GP. */
static void attempt(void (*function)(void *), u64 argument)
{
	attack.faults += catch_fault(function, (void *)argument).vector != VECTOR_NONE;
}

/* --- Rounds. --------------------------------------------------------------------------------- */

static void put_back(const struct virtio_device *device)
{
	pci_write(device->slot, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	pci_write(device->slot, PCI_BAR0, 4, (u32)device->bar[0]);
	pci_write(device->slot, PCI_BAR1, 4, (u32)device->bar[1]);
}

/* What the device has given back since the rings were placed. */
static void count_answers(void)
{
	for (unsigned i = 0; i < attack.now->queues && i < QUEUES_MAX; i++)
		if (in_arena(attack.area[i].used))
			attack.answers += ((volatile u16 *)attack.area[i].used)[1];
	attack.bad += (virtio_read(attack.now, STATUS, 1) & STATUS_NEEDS_RESET) != 0;
}

static void start(void)
{
	attack.foul = below(2);
	write_numbers();
	virtio_negotiate(attack.now, attack.now->offered & (below(4) ? ~0ul : next()));
	attempt(do_place, 0);
	virtio_run(attack.now);
}

static void round(u64 count)
{
	attack.now = &attack.device[below(attack.devices)];
	start();
	for (u64 i = 0; i < count; i++) {
		attempt(do_step, below(ARRAY_SIZE(steps)));
		if (below(2))
			put_back(attack.now);
		if (below(4) == 0 && virtio_read(attack.now, STATUS, 1) != STATUS_RUNS) {
			count_answers();
			start();
		}
	}
	put_back(attack.now);
	count_answers();
	hypercall(HYPERCALL_PROTECT, ARENA / PAGE, ARENA_PAGES, HYPERCALL_ACCESS_WRITE, 0);
}

/* --- After it. ------------------------------------------------------------------------------- */

/* The queue that a good request of the type goes to, and whether its buffer is written. */
static const struct {
	const char *name;
	unsigned queue, len;
	bool writes;
} good[] = {
	[VIRTIO_NET] = {"network", 1, 12 + 60, false}, [VIRTIO_BLK] = {"disk", 0, 0, true},
	[VIRTIO_CONSOLE] = {"console", 1, 10, false},  [VIRTIO_RNG] = {"entropy", 0, 64, true},
	[VIRTIO_BALLOON] = {"balloon", 1, 4, false},   [VIRTIO_PMEM] = {"memory", 0, 4, false},
};

static struct virtio_queue queue;
static u8 buffer[512] __attribute__((aligned(512)));

static void write_good(const struct virtio_device *device)
{
	static struct {
		u32 type, reserved;
		u64 sector;
	} header;
	static u8 status = 255;
	u16 flags = good[device->type].writes ? DESC_WRITE : 0;

	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = device->type == VIRTIO_CONSOLE ? "it works\r\n"[i % 10] : 0;
	queue.desc[0] = (struct virtio_desc){(u64)buffer, good[device->type].len, flags, 0};
	if (device->type == VIRTIO_PMEM) {
		queue.desc[0].flags = DESC_NEXT;
		queue.desc[0].next = 1;
		queue.desc[1] = (struct virtio_desc){(u64)buffer + 64, 4, DESC_WRITE, 0};
	}
	if (device->type != VIRTIO_BLK)
		return;
	queue.desc[0] = (struct virtio_desc){(u64)&header, sizeof(header), DESC_NEXT, 1};
	queue.desc[1] = (struct virtio_desc){(u64)buffer, 512, DESC_NEXT | DESC_WRITE, 2};
	queue.desc[2] = (struct virtio_desc){(u64)&status, 1, DESC_WRITE, 0};
}

static void check_works(const struct virtio_device *device)
{
	bool works = virtio_negotiate(device, 0);
	unsigned number = good[device->type].queue;

	virtio_add_queue(device, number, &queue);
	write_good(device);
	virtio_run(device);
	virtio_offer(&queue, 0);
	virtio_notify(device, number);
	works &= virtio_await(&queue, 1) && virtio_read(device, STATUS, 1) == STATUS_RUNS;
	check(works, "the %s works after it", good[device->type].name);
}

static void check_canary(void)
{
	unsigned changed = 0;

	for (u64 i = 0; i < CANARY_WORDS; i++)
		changed += ((volatile u64 *)CANARY)[i] != i * 0x9e3779b97f4a7c15ul;
	check(!changed, "no word outside of the arena has changed");
}

static bool on_exception(struct guest_frame *frame)
{
	return frame->vector == 2;
}

static void find_devices(void)
{
	for (unsigned slot = 1; slot < 32 && attack.devices < DEVICES_MAX; slot++) {
		struct virtio_device *device = &attack.device[attack.devices];

		if (virtio_probe(slot, device))
			attack.devices += option_number("device", device->type) == device->type;
	}
	check(attack.devices > 0, "%u devices", attack.devices);
}

void guest_main(void)
{
	u64 rounds = option("endless") ? ~0ul : option_number("rounds", 60);

	guest_on_exception = on_exception;
	attack.x = option_number("seed", 1) * 0x9e3779b97f4a7c15ul;
	for (u64 i = 0; i < CANARY_WORDS; i++)
		((volatile u64 *)CANARY)[i] = i * 0x9e3779b97f4a7c15ul;
	find_devices();
	print("attacks\n");
	for (u64 i = 0; i < rounds && attack.devices; i++)
		round(option_number("steps", 24));
	print("%lu kicks, %lu answers, %lu resets, %lu moves, %lu shared rings\n", attack.kicks,
	      attack.answers, attack.resets, attack.moves, attack.shares);
	print("%lu times a reset was needed, %lu faults\n", attack.bad, attack.faults);
	check(attack.kicks && attack.resets && attack.moves && attack.shares && attack.bad &&
		      attack.answers > rounds,
	      "every kind of step was made");
	for (unsigned i = 0; i < attack.devices; i++)
		check_works(&attack.device[i]);
	check_canary();
}
