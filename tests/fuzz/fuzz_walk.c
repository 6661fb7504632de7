/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_walk.c: sequences of walker operations, on any format, with any allocation failing, against
 * a flat model of 256 pages.
 *
 * The first byte chooses the format. Each operation is eight bytes:
 *
 *     0  what it is, and its level     2, 3  first page and last page of the range
 *     1  which allocation fails        4     distance to the output     5  words
 *
 * A page number says a cluster (around 0 or 2 MiB, 1 GiB, 2 GiB, 512 GiB) and one of its 64 pages.
 * After each operation all 256 pages must read as the model says; at each store those at the ends
 * of the range must read as before or as after.
 */
#include <stdlib.h>
#include <string.h>
#include <lib/error.h>
#include <mm/walk.h>
#include "fuzz.h"
#include "tests/sim/fake_format.h"

#define PAGES	       256
#define CLUSTER	       64
#define OPERATIONS_MAX 48
#define AD	       ((unsigned)(PT_ACCESSED | PT_DIRTY))

enum op_kind {
	OP_MAP,
	OP_UNMAP,
	OP_PROTECT,
	OP_SPLIT,
	OP_COLLAPSE,
	OP_HARVEST,
	OP_MAP_AGAIN,
	OP_UNMAP_AGAIN
};

struct op {
	enum op_kind kind;
	unsigned level, first, last, attr;
	u64 start, end, to;
};

struct reading {
	bool mapped;
	u64 hpa;
	unsigned attr; /* without A and D */
};

static struct pgtable table;
static struct reading now[PAGES], after[PAGES];
static unsigned watched[2];
static u64 allocations, fail_at, stores;
static void *doomed[4096];
static unsigned doomed_count;

static const struct pgtable_format *const formats[] = {&ept_format, &npt_format, &host_format,
						       &fake_format};

static u64 page_address(unsigned page)
{
	static const u64 clusters[] = {2ull << 20, 1ull << 30, 2ull << 30, 512ull << 30};

	return clusters[page / CLUSTER] + (page % CLUSTER) * PAGE_SIZE - CLUSTER / 2 * PAGE_SIZE;
}

static struct reading read_page(unsigned page)
{
	const struct pgtable_format *format = table.format;
	struct pgtable_visit visit;
	u64 address = page_address(page);

	pgtable_lookup(&table, address, &visit);
	if (visit.kind != VISIT_LEAF)
		return (struct reading){.mapped = false};
	return (struct reading){
		.mapped = true,
		.hpa = pte_addr(format, visit.pte, visit.level).raw + address - visit.address,
		.attr = format->attr(visit.pte, visit.level) & ~AD,
	};
}

static bool agree(struct reading a, struct reading b)
{
	return a.mapped == b.mapped && a.hpa == b.hpa && a.attr == b.attr;
}

static int fuzz_alloc(void *context, struct hpa *page)
{
	void *memory;

	if (++allocations == fail_at)
		return ERR_NO_MEMORY;
	memory = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	fuzz_check(memory, "no memory for a table");
	memset(memory, 0, PAGE_SIZE);
	page->raw = (uintptr_t)memory;
	return 0;
}

/* Readable until the operation is over, as until a flush. */
static void fuzz_free(void *context, struct hpa page)
{
	fuzz_check(doomed_count < ARRAY_SIZE(doomed), "more tables freed than there can be");
	doomed[doomed_count++] = (void *)(uintptr_t)page.raw;
}

static void flush(void)
{
	while (doomed_count > 0)
		free(doomed[--doomed_count]);
}

static void *fuzz_virt(void *context, struct hpa page)
{
	return (void *)(uintptr_t)page.raw;
}

static void stored(void)
{
	stores++;
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++) {
		struct reading is = read_page(watched[i]);

		fuzz_check(agree(is, now[watched[i]]) || agree(is, after[watched[i]]),
			   "neither old nor new at a store");
	}
}

static void fuzz_store(void *context, pte_t *slot, pte_t value)
{
	*slot = value;
	stored();
}

static bool fuzz_swap(void *context, pte_t *slot, pte_t old, pte_t value)
{
	if (*slot != old)
		return false;
	*slot = value;
	stored();
	return true;
}

static const struct pgtable_memory memory = {.alloc = fuzz_alloc,
					     .free = fuzz_free,
					     .virt = fuzz_virt,
					     .store = fuzz_store,
					     .swap = fuzz_swap};

/* Large ranges get large leaves, or the fuzzer would spend its time on filling tables. */
static void fit_level(struct op *op)
{
	unsigned least = op->end - op->start > LEVEL_SIZE(2)	   ? 2
			 : op->end - op->start > 4 * LEVEL_SIZE(1) ? 1
								   : 0;

	op->level = MAX(op->level, least);
	if (least > 0)
		op->to = op->start + ALIGN_DOWN(op->to - op->start, LEVEL_SIZE(2));
}

static struct op decode(const u8 *bytes)
{
	static const u64 skews[] = {0, 1ull << 30, 3ull << 21, 5ull << 12};
	static const unsigned attrs[] = {PT_RWX, PT_READ, PT_READ | PT_WRITE,
					 PT_RWX | AD | PT_UNCACHED};
	struct op op = {
		.kind = bytes[0] & 7,
		.level = (bytes[0] >> 3) % 3,
		.first = MIN(bytes[2], bytes[3]),
		.last = MAX(bytes[2], bytes[3]),
		.attr = attrs[bytes[5] & 3],
	};

	op.start = page_address(op.first);
	op.end = page_address(op.last) + PAGE_SIZE;
	op.to = op.start + skews[bytes[4] & 3];
	if (op.kind == OP_MAP_AGAIN)
		op.kind = OP_MAP;
	if (op.kind == OP_UNMAP_AGAIN)
		op.kind = OP_UNMAP;
	if (op.kind == OP_PROTECT)
		op.attr &= PT_RWX;
	if (op.kind == OP_MAP)
		fit_level(&op);
	fail_at = bytes[1] & 15;
	return op;
}

static void expect(const struct op *op)
{
	memcpy(after, now, sizeof(now));
	for (unsigned page = op->first; page <= op->last; page++) {
		if (op->kind == OP_MAP)
			after[page] = (struct reading){
				true, op->to + page_address(page) - op->start, op->attr & ~AD};
		else if (op->kind == OP_UNMAP)
			after[page] = (struct reading){.mapped = false};
		else if (op->kind == OP_PROTECT && now[page].mapped)
			after[page].attr = (now[page].attr & ~PT_RWX) | op->attr;
	}
}

static int perform(const struct op *op)
{
	switch (op->kind) {
	case OP_MAP:
		return pgtable_map(&table, op->start, op->end, (struct hpa){op->to}, op->attr,
				   op->level);
	case OP_UNMAP:
		return pgtable_unmap(&table, op->start, op->end);
	case OP_PROTECT:
		return pgtable_protect(&table, op->start, op->end, op->attr);
	case OP_SPLIT:
		return pgtable_split(&table, op->start, op->level);
	case OP_COLLAPSE:
		return pgtable_collapse(&table, op->start, op->level);
	default:
		return pgtable_harvest(&table, op->start, op->end, op->attr & AD, NULL, NULL);
	}
}

static void check_result(const struct op *op, int err)
{
	bool may_be_refused = op->kind == OP_SPLIT || op->kind == OP_COLLAPSE;

	if (err == ERR_NO_MEMORY)
		fuzz_check(allocations == fail_at && stores == 0, "a failure that stored");
	else
		fuzz_check(!err || may_be_refused, "refused without a reason");
	if (!err)
		memcpy(now, after, sizeof(now));
	for (unsigned page = 0; page < PAGES; page++)
		fuzz_check(agree(read_page(page), now[page]),
			   "a page does not read as the model says");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	fuzz_init();
	if (size < 1)
		return 0;
	memset(now, 0, sizeof(now));
	fail_at = 0;
	fuzz_check(!pgtable_init(&table, formats[data[0] % ARRAY_SIZE(formats)], &memory),
		   "no root");
	for (size_t at = 1; at + 8 <= size && at < 8 * OPERATIONS_MAX; at += 8) {
		struct op op = decode(data + at);

		allocations = stores = 0;
		watched[0] = op.first;
		watched[1] = op.last;
		expect(&op);
		check_result(&op, perform(&op));
		flush();
	}
	fail_at = 0;
	pgtable_fini(&table);
	fuzz_check(table.tables == 0, "a table is left");
	flush();
	return 0;
}
