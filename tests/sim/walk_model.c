/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_model.c: the flat reference model of a page table.
 */
#include "sim/walk_model.h"

#define AD ((unsigned)(PT_ACCESSED | PT_DIRTY))

unsigned model_find(const struct model *model, u64 address)
{
	unsigned low = 0, high = model->pages;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (model->page[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int by_address(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

/* Eight pages around each of 255 places where a 2 MiB, now and then a 1 GiB leaf ends. */
static void watch_sparsely(struct model *model, u64 base)
{
	static const s64 around[] = {-257, -2, -1, 0, 1, 2, 255, 256};
	struct sim_random *random = &model->world->random;
	unsigned kept = 0;

	for (unsigned i = 0; i < MODEL_PAGES; i++) {
		static u64 boundary;

		if (i % 8 == 0)
			boundary = base + GIB / 2 + sim_below(random, 7) * GIB / 2 +
				   sim_below(random, 16) * LEVEL_SIZE(1);
		model->page[i] = boundary + (u64)around[i % 8] * PAGE_SIZE;
	}
	qsort(model->page, MODEL_PAGES, sizeof(model->page[0]), by_address);
	for (unsigned i = 0; i < MODEL_PAGES; i++)
		if (i == 0 || model->page[i] != model->page[kept - 1])
			model->page[kept++] = model->page[i];
	model->pages = kept;
}

void model_init(struct model *model, struct world *world, u64 base, bool dense)
{
	memset(model, 0, sizeof(*model));
	model->world = world;
	model->dense = dense;
	if (!dense) {
		watch_sparsely(model, base);
		return;
	}
	/* Two 2 MiB leaves on either side of the first 1 GiB boundary. */
	model->pages = MODEL_PAGES;
	for (unsigned i = 0; i < MODEL_PAGES; i++)
		model->page[i] = base + GIB - MODEL_PAGES / 2 * PAGE_SIZE + i * PAGE_SIZE;
}

/* Every base leaves 5 GiB of room above it and the first 1 GiB boundary after it inside. */
u64 model_base(const struct pgtable_format *format, struct sim_random *random)
{
	u64 half = 1ull << (format->address_bits - 1);
	u64 top = format->sign_extended ? -(6 * GIB) : 2 * half - 6 * GIB;

	switch (sim_below(random, 6)) {
	case 0:
		return 0;
	case 1:
		return top;
	case 2: /* the lower half's end */
		return half - 6 * GIB;
	case 3:
		return format->sign_extended ? -half : half;
	case 4: /* across a slot of the root */
		return 511 * GIB - sim_below(random, 2) * 2 * GIB;
	default:
		return sim_below(random, half / GIB - 8) * GIB;
	}
}

struct reach {
	unsigned first, last; /* indices: [first, last) */
};

static struct reach reach(const struct model *model, u64 start, u64 end)
{
	return (struct reach){model_find(model, start), model_find(model, end)};
}

static void model_map(struct model *model, const struct op *op)
{
	struct reach r = reach(model, op->start, op->end);

	for (unsigned i = r.first; i < r.last; i++)
		model->now[i] =
			(struct reading){true, op->to + (model->page[i] - op->start), op->attr};
}

static void model_unmap(struct model *model, const struct op *op)
{
	struct reach r = reach(model, op->start, op->end);

	for (unsigned i = r.first; i < r.last; i++)
		model->now[i] = (struct reading){.mapped = false};
}

static void model_attr(struct model *model, u64 start, u64 end, unsigned clear, unsigned set)
{
	struct reach r = reach(model, start, end);

	for (unsigned i = r.first; i < r.last; i++)
		if (model->now[i].mapped)
			model->now[i].attr = (model->now[i].attr & ~clear) | set;
}

/* A and D belong to a leaf: harvest takes them from all it covers, also outside the range. */
static void model_harvest(struct model *model, const struct op *op)
{
	struct pgtable_visit first, last;

	pgtable_lookup(&model->world->table, op->start, &first);
	pgtable_lookup(&model->world->table, op->end - PAGE_SIZE, &last);
	model_attr(model, first.kind == VISIT_LEAF ? first.start : op->start,
		   last.kind == VISIT_LEAF ? last.end : op->end, op->attr, 0);
}

static void model_access(struct model *model, const struct op *op)
{
	struct pgtable_visit visit;
	const struct reading *page = &model->now[model_find(model, op->start)];

	pgtable_lookup(&model->world->table, op->start, &visit);
	if (page->mapped && (!(op->attr & PT_DIRTY) || (page->attr & PT_WRITE)))
		model_attr(model, visit.start, visit.end, 0, op->attr);
}

void model_do(struct model *model, const struct op *op)
{
	switch (op->kind) {
	case OP_MAP:
		model_map(model, op);
		break;
	case OP_UNMAP:
		model_unmap(model, op);
		break;
	case OP_PROTECT:
		model_attr(model, op->start, op->end, PT_RWX, op->attr);
		break;
	case OP_HARVEST:
		model_harvest(model, op);
		break;
	case OP_ACCESS:
		model_access(model, op);
		break;
	default:
		break;
	}
}

/* May the 2 MiB (or 1 GiB) at `start` be joined? What the model does not see whole: either way. */
static int expect_collapse(struct model *model, const struct op *op)
{
	u64 start = ALIGN_DOWN(op->start, LEVEL_SIZE(op->level));
	unsigned first = model_find(model, start);
	const struct reading *base = &model->now[first];
	struct pgtable_visit visit;

	pgtable_lookup_level(&model->world->table, op->start, op->level, &visit);
	if (visit.level > op->level)
		return ERR_INVALID;
	if (visit.kind != VISIT_TABLE)
		return visit.kind == VISIT_LEAF ? 0 : ERR_INVALID;
	if (!model->dense || op->level != 1)
		return 1;
	if (!base->mapped || !IS_ALIGNED(base->hpa, LEVEL_SIZE(1)))
		return ERR_INVALID;
	for (unsigned i = 1; i < PGTABLE_ENTRIES; i++) {
		struct reading expected = {true, base->hpa + i * PAGE_SIZE, base->attr};

		if (!readings_agree(model->now[first + i], expected))
			return ERR_INVALID;
	}
	return 0;
}

int model_expect(struct model *model, const struct op *op)
{
	const struct reading *page = &model->now[model_find(model, op->start)];

	switch (op->kind) {
	case OP_SPLIT:
		return page->mapped ? 0 : ERR_NOT_FOUND;
	case OP_ACCESS:
		return page->mapped && (!(op->attr & PT_DIRTY) || (page->attr & PT_WRITE))
			       ? 0
			       : ERR_NOT_FOUND;
	case OP_COLLAPSE:
		return expect_collapse(model, op);
	default:
		return 0;
	}
}

void model_check_result(struct model *model, const struct op *op, int expected, int err)
{
	struct reading leaf;
	struct reach r;

	if (expected != 1 && err != expected)
		fail_msg("operation %u at 0x%llx: %d, not %d", op->kind,
			 (unsigned long long)op->start, err, expected);
	if (!err)
		model->done[op->kind]++;
	if (op->kind != OP_COLLAPSE || err)
		return;
	/* A and D are or-ed over pages the model may not see: never fewer than it has. */
	leaf = world_read(model->world, op->start);
	r = reach(model, ALIGN_DOWN(op->start, LEVEL_SIZE(op->level)),
		  ALIGN_DOWN(op->start, LEVEL_SIZE(op->level)) + LEVEL_SIZE(op->level));
	for (unsigned i = r.first; i < r.last; i++) {
		assert_false(model->now[i].attr & AD & ~leaf.attr); /* WALK-6 */
		model->now[i].attr = (model->now[i].attr & ~AD) | (leaf.attr & AD);
	}
}

void model_check_page(struct model *model, unsigned i)
{
	struct reading is = world_read(model->world, model->page[i]);
	const struct reading *expected = &model->now[i];

	if (is.mapped != expected->mapped || is.hpa != expected->hpa || is.attr != expected->attr)
		fail_msg("0x%llx reads as %d 0x%llx %x, not %d 0x%llx %x",
			 (unsigned long long)model->page[i], is.mapped, (unsigned long long)is.hpa,
			 is.attr, expected->mapped, (unsigned long long)expected->hpa,
			 expected->attr);
}

static void check_around(struct model *model, u64 address)
{
	unsigned i = model_find(model, address);

	if (i > 0)
		model_check_page(model, i - 1);
	if (i < model->pages)
		model_check_page(model, i);
}

void model_check_some(struct model *model, const struct op *op)
{
	check_around(model, op->start);
	if (op->end)
		check_around(model, op->end);
	for (unsigned n = 0; n < 4; n++)
		model_check_page(model, (unsigned)sim_below(&model->world->random, model->pages));
}

void model_check_all(struct model *model)
{
	for (unsigned i = 0; i < model->pages; i++)
		model_check_page(model, i);
	assert_int_equal(model->world->allocated, model->world->table.tables); /* WALK-8 */
}
