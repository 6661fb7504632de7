/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_ops.c: random operations on a page table, chosen to meet: few output ranges and few
 * attributes, so that neighbours often fit together; ends near watched pages, often at the end of a
 * large leaf.
 */
#include "sim/walk_model.h"

static u64 near_watched(struct model *model, unsigned level)
{
	struct sim_random *random = &model->world->random;
	u64 page = model->page[sim_below(random, model->pages)];

	return sim_once_in(random, 2) ? ALIGN_DOWN(page, LEVEL_SIZE(level)) : page;
}

/* 4 KiB often, 1 GiB seldom. */
static unsigned choose_level(struct sim_random *random)
{
	u64 dice = sim_below(random, 16);

	return dice < 10 ? 0 : dice < 15 ? 1 : 2;
}

static unsigned choose_attr(const struct pgtable_format *format, struct sim_random *random)
{
	static const unsigned attrs[] = {
		PT_RWX,
		PT_RWX | PT_ACCESSED | PT_DIRTY,
		PT_READ,
		PT_READ | PT_EXEC | PT_UNCACHED,
		PT_READ | PT_WRITE | PT_UNCACHED,
		PT_READ | PT_USER | PT_GLOBAL,
	};
	unsigned attr;

	do
		attr = attrs[sim_below(random, ARRAY_SIZE(attrs))];
	while (!format->valid_attr(attr));
	return attr;
}

/* The last address a range near `start` may end at: the format's, or the half's. */
static u64 room_end(const struct pgtable_format *format, u64 start)
{
	u64 half = 1ull << (format->address_bits - 1);

	if (!format->sign_extended)
		return 2 * half;
	return start < half ? half : -PAGE_SIZE;
}

static void choose_range(struct model *model, struct op *op, unsigned level, u64 most)
{
	const struct pgtable_format *format = model->world->table.format;
	struct sim_random *random = &model->world->random;
	u64 size = sim_size(random, most) * PAGE_SIZE;
	u64 room;

	op->start = near_watched(model, level);
	if (sim_once_in(random, 2))
		size = ALIGN_UP(size, LEVEL_SIZE(level));
	room = room_end(format, op->start) - op->start;
	op->end = op->start + MIN(size, room);
}

/*
 * Few distances between input and output, of every alignment. 4 KiB leaves only for small ranges.
 */
static void choose_map(struct model *model, struct op *op)
{
	static const u64 skews[] = {0, 8 * GIB, 8 * GIB + LEVEL_SIZE(1), LEVEL_SIZE(1) + PAGE_SIZE};
	static const u64 most[] = {512, 8 * 512, 2 * 512 * 512};
	struct sim_random *random = &model->world->random;
	u64 skew;

	op->level = choose_level(random);
	choose_range(model, op, op->level, most[op->level]);
	skew = skews[sim_below(random, ARRAY_SIZE(skews))];
	if (op->end - op->start > 2048 * PAGE_SIZE && !IS_ALIGNED(op->start | skew, LEVEL_SIZE(1)))
		op->end = op->start + PAGE_SIZE;
	op->to = (op->start & (BIT(46) - 1)) + skew;
	op->attr = choose_attr(model->world->table.format, random);
}

struct op model_choose(struct model *model)
{
	static const u8 weights[OP_KINDS] = {
		[OP_MAP] = 26,	    [OP_UNMAP] = 14,  [OP_PROTECT] = 18, [OP_SPLIT] = 12,
		[OP_COLLAPSE] = 12, [OP_HARVEST] = 6, [OP_ACCESS] = 12,
	};
	static const unsigned rights[] = {PT_RWX, PT_READ, PT_READ | PT_WRITE, PT_READ | PT_EXEC};
	struct sim_random *random = &model->world->random;
	struct op op = {.kind = OP_MAP};

	for (u64 dice = sim_below(random, 100); dice >= weights[op.kind]; op.kind++)
		dice -= weights[op.kind];
	switch (op.kind) {
	case OP_MAP:
		choose_map(model, &op);
		break;
	case OP_SPLIT:
	case OP_COLLAPSE:
		op.level = op.kind == OP_SPLIT ? (unsigned)sim_below(random, 2)
					       : 1 + (unsigned)sim_once_in(random, 8);
		op.start = near_watched(model, 0);
		break;
	case OP_ACCESS:
		op.start = near_watched(model, 0);
		op.attr = PT_ACCESSED | (sim_once_in(random, 2) ? PT_DIRTY : 0);
		break;
	default:
		/* Huge ranges are rare, or little would stay mapped. */
		choose_range(model, &op, choose_level(random),
			     sim_once_in(random, 16) ? 2 * 512 * 512 : 600);
		op.attr = op.kind == OP_PROTECT
				  ? rights[sim_below(random, ARRAY_SIZE(rights))]
				  : (unsigned)(1 + sim_below(random, 3)) * PT_ACCESSED;
		break;
	}
	return op;
}

static int count_one(struct pgtable *table, const struct pgtable_visit *visit, void *count)
{
	++*(u64 *)count;
	return 0;
}

/*
 * pgtable_any() says beforehand whether there is anything to harvest, and pgtable_walk_having()
 * visits as many leaves.
 */
static int harvest(struct pgtable *table, const struct op *op)
{
	bool any = pgtable_any(table, op->start, op->end, op->attr);
	u64 found = 0, visited = 0;
	int having = pgtable_walk_having(table, op->start, op->end, op->attr, count_one, &visited);
	int err = pgtable_harvest(table, op->start, op->end, op->attr, count_one, &found);

	assert_int_equal(any, found > 0);
	assert_int_equal(having, err);
	assert_true(err || visited == found);
	return err;
}

int world_do(struct world *world, const struct op *op)
{
	struct pgtable *table = &world->table;

	switch (op->kind) {
	case OP_MAP:
		return pgtable_map(table, op->start, op->end, (struct hpa){op->to}, op->attr,
				   op->level);
	case OP_UNMAP:
		return pgtable_unmap(table, op->start, op->end);
	case OP_PROTECT:
		return pgtable_protect(table, op->start, op->end, op->attr);
	case OP_SPLIT:
		return pgtable_split(table, op->start, op->level);
	case OP_COLLAPSE:
		return pgtable_collapse(table, op->start, op->level);
	case OP_HARVEST:
		return harvest(table, op);
	default:
		return world_access(world, op->start, op->attr & PT_DIRTY) ? 0 : ERR_NOT_FOUND;
	}
}
