/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_model.h: the flat reference model of a page table, and random operations on both.
 *
 * The model is an array: for each page it watches, what the page must read as. It has no levels,
 * no tables and no splits, so it has no mistake in common with the walker. It watches either every
 * page around one boundary (dense), or pages at the edges of leaves over several GiB (sparse).
 */
#ifndef SAMEPAGE_TESTS_SIM_WALK_MODEL_H
#define SAMEPAGE_TESTS_SIM_WALK_MODEL_H

#include "sim/walk_world.h"

#define MODEL_PAGES 2048

enum op_kind {
	OP_MAP,
	OP_UNMAP,
	OP_PROTECT,
	OP_SPLIT,
	OP_COLLAPSE,
	OP_HARVEST,
	OP_ACCESS,
	OP_KINDS
};

/* One operation; what a kind does not use is 0. `attr` of OP_ACCESS: PT_DIRTY for a write. */
struct op {
	enum op_kind kind;
	u64 start, end; /* split, collapse, access: start is the address */
	u64 to;
	unsigned attr, level;
};

/*
 * page, now	the watched pages, sorted, and what each reads as
 * dense	they are all the pages of [page[0], page[0] + MODEL_PAGES * 4096)
 * done		operations by kind that succeeded
 */
struct model {
	struct world *world;
	bool dense;
	unsigned pages;
	u64 page[MODEL_PAGES];
	struct reading now[MODEL_PAGES];
	u64 done[OP_KINDS];
};

/* Watches pages around `base`, a multiple of 1 GiB, of an empty table. */
void model_init(struct model *model, struct world *world, u64 base, bool dense);

/* A multiple of 1 GiB that the format translates, often one at an end of its addresses. */
u64 model_base(const struct pgtable_format *format, struct sim_random *random);

/* A valid operation near watched pages; whether it succeeds depends on what is mapped. */
struct op model_choose(struct model *model);

/* Does it to the table. The walker's result; OP_ACCESS: 0 or ERR_NOT_FOUND. */
int world_do(struct world *world, const struct op *op);

/* What the table must read as once `op` is done; done before world_do. Changes A and D too. */
void model_do(struct model *model, const struct op *op);

/*
 * After world_do: the result must be the one that the model expects (a collapse of what it cannot
 * see whole may go either way). Takes over A and D of a collapsed leaf.
 */
void model_check_result(struct model *model, const struct op *op, int expected, int err);
int model_expect(struct model *model, const struct op *op);

/* One page, some pages and those next to the operation's ends, all pages. */
void model_check_page(struct model *model, unsigned i);
void model_check_some(struct model *model, const struct op *op);
void model_check_all(struct model *model);

/* The first watched page at or after an address: an index, `pages` when there is none. */
unsigned model_find(const struct model *model, u64 address);

#endif
