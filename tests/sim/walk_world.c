/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_world.c: a page table in memory that a test owns.
 *
 * Pages come from the host, page aligned, and a table's machine address is its address here.
 */
#include "sim/walk_world.h"

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address))
#endif

/* Pages come and go by the million here, and are poisoned anyway while they are spare. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=8";
}

/* Spare pages are chained through their first words, which stay accessible. */
static void spare_page(struct world *world, pte_t *page)
{
	page[0] = (uintptr_t)world->spare;
	world->spare = page;
	ASAN_POISON_MEMORY_REGION(page + 1, PAGE_SIZE - sizeof(*page));
}

static int world_alloc(void *context, struct hpa *table)
{
	struct world *world = context;
	pte_t *page = world->spare;

	if (++world->allocs == world->fail_at)
		return ERR_NO_MEMORY;
	if (page) {
		world->spare = (pte_t *)(uintptr_t)page[0];
		ASAN_UNPOISON_MEMORY_REGION(page, PAGE_SIZE);
	} else {
		page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
		assert_non_null(page);
	}
	memset(page, 0, PAGE_SIZE);
	world->allocated++;
	table->raw = (uintptr_t)page;
	return 0;
}

static void world_free(void *context, struct hpa table)
{
	struct world *world = context;

	/* Room for the next power of two. */
	if ((world->doomed_count & (world->doomed_count - 1)) == 0) {
		u64 room = MAX(world->doomed_count * 2, 1);

		world->doomed = realloc(world->doomed, room * sizeof(*world->doomed));
		assert_non_null(world->doomed);
	}
	world->doomed[world->doomed_count++] = (pte_t *)(uintptr_t)table.raw;
	world->allocated--;
}

static void world_cancel(void *context, struct hpa table)
{
	struct world *world = context;

	spare_page(world, (pte_t *)(uintptr_t)table.raw);
	world->allocated--;
}

static void *world_virt(void *context, struct hpa table)
{
	return (void *)(uintptr_t)table.raw;
}

static void stored(struct world *world, pte_t *slot, pte_t value, bool swapped)
{
	*slot = value;
	world->stores++;
	if (world->after_store)
		world->after_store(world, swapped);
}

static void world_store(void *context, pte_t *slot, pte_t value)
{
	stored(context, slot, value, false);
}

static bool world_swap(void *context, pte_t *slot, pte_t old, pte_t value)
{
	struct world *world = context;

	if (world->before_swap)
		world->before_swap(world, slot);
	if (*slot != old)
		return false;
	stored(world, slot, value, true);
	return true;
}

static void world_dropped(void *context, const struct pgtable_visit *leaf)
{
	struct world *world = context;

	if (world->on_dropped)
		world->on_dropped(world, leaf);
}

void world_init(struct world *world, const struct pgtable_format *format, struct sim_random random)
{
	*world = (struct world){.random = random};
	world->memory = (struct pgtable_memory){
		.alloc = world_alloc,
		.free = world_free,
		.cancel = world_cancel,
		.virt = world_virt,
		.store = world_store,
		.swap = world_swap,
		.dropped = world_dropped,
		.context = world,
	};
	assert_int_equal(pgtable_init(&world->table, format, &world->memory), 0);
}

void world_flush(struct world *world)
{
	while (world->doomed_count > 0)
		spare_page(world, world->doomed[--world->doomed_count]);
}

void world_fini(struct world *world)
{
	assert_int_equal(world->allocated, world->table.tables);
	pgtable_fini(&world->table);
	assert_int_equal(world->allocated, 0);
	world_flush(world);
	free(world->doomed);
	while (world->spare) {
		pte_t *page = world->spare;

		world->spare = (pte_t *)(uintptr_t)page[0];
		ASAN_UNPOISON_MEMORY_REGION(page, PAGE_SIZE);
		free(page);
	}
}

struct reading world_read(struct world *world, u64 address)
{
	const struct pgtable_format *format = world->table.format;
	struct pgtable_visit visit;

	pgtable_lookup(&world->table, address, &visit);
	if (visit.kind != VISIT_LEAF)
		return (struct reading){.mapped = false};
	return (struct reading){
		.mapped = true,
		.hpa = pte_addr(format, visit.pte, visit.level).raw + (address - visit.address),
		.attr = format->attr(visit.pte, visit.level),
	};
}

int world_map(struct world *world, u64 start, u64 end, u64 to, unsigned attr, unsigned level)
{
	return pgtable_map(&world->table, start, end, (struct hpa){to}, attr, level);
}

unsigned world_level(struct world *world, u64 address)
{
	struct pgtable_visit visit;

	pgtable_lookup(&world->table, address, &visit);
	assert_int_equal(visit.kind, VISIT_LEAF);
	return visit.level;
}

bool readings_agree(struct reading a, struct reading b)
{
	if (!a.mapped || !b.mapped)
		return a.mapped == b.mapped;
	return a.hpa == b.hpa && !((a.attr ^ b.attr) & ~(unsigned)(PT_ACCESSED | PT_DIRTY));
}

bool world_access(struct world *world, u64 address, bool write)
{
	struct pgtable_visit visit;
	const struct pgtable_level *level;

	pgtable_lookup(&world->table, address, &visit);
	level = &world->table.format->level[visit.level];
	if (visit.kind != VISIT_LEAF || (write && !(visit.pte & level->write)))
		return false;
	*visit.slot |= level->accessed | (write ? level->dirty : 0);
	return true;
}
