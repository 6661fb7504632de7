/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space_model.h: two address spaces, each with an EPT and an NPT, an array that says what each of
 * their pages must hold, and random operations on both.
 */
#ifndef SAMEPAGE_TESTS_SIM_SPACE_MODEL_H
#define SAMEPAGE_TESTS_SIM_SPACE_MODEL_H

#include "sim/sim.h"

#include <mm/notifier.h>

#include "mm/stage2/private.h"

#define PAGES	   1600 /* three 2 MiB blocks and a bit */
#define SPACES_TWO 2
#define TABLES	   2

enum op_kind {
	OP_READ,
	OP_WRITE,
	OP_OUR_WRITE,
	OP_POPULATE,
	OP_CLEAR,
	OP_BALLOON,
	OP_PROTECT,
	OP_SOFT_DIRTY,
	OP_MIGRATE,
	OP_COLLAPSE,
	OP_SPLIT,
	OP_EXCLUSIVE,
	OP_AGE,
	OP_MERGE,
	OP_MERGE_ZERO,
	OP_BREAK,
	OP_PIN,
	OP_RECLAIM,
	OP_SETTLE,
	OP_KINDS
};

/*
 * word		what the first word of each page must be; all others are 0
 * hot		most operations are about the first so many pages
 */
struct scene {
	struct sim_random random;
	struct addrspace *as[SPACES_TWO];
	struct stage2 *s2[SPACES_TWO][TABLES];
	u64 word[SPACES_TWO][PAGES];
	u64 hot, frames_free, failures;
};

struct op {
	enum op_kind kind;
	unsigned space, table, other;
	u64 gfn, count, other_gfn, value;
};

extern struct scene scene;
/* Pages merged, and successes by kind of operation, over all scenes. */
extern u64 merged, done[OP_KINDS];

/* The machine, the spaces and their tables; and the end, when every frame must be free again. */
void raise_scene(const struct notifier_policy *policy, enum retry_mode retry, u64 seed);
void strike_scene(void);

struct op choose(void);

/* What the operation's functions answered: 0 or an error. Merging takes several of them. */
int perform(const struct op *op);

/*
 * Takes a result into the model; fails the test for an error that is no answer to this operation.
 */
void finish(const struct op *op, int err);

/* Some, or all, pages read as they must, through the primary and through each leaf. */
void check_some(void);
/* And the auditor finds nothing. */
void check_all(void);

/* The primary PTE of a page. */
ppte_t pte_of(unsigned space, u64 gfn);

/* What a table maps a gfn to; 0: nothing. *attr gets the leaf's words. */
u64 leaf_hpa(const struct stage2 *s2, u64 gfn, unsigned *attr);

#endif
