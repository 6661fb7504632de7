/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_format.c: flags rotate by five places a level through the 24 bits beside the address.
 *
 *     level 0   P=0  LEAF=1  R=2  W=3   X=4   A=5 ...
 *     level 1   P=5  LEAF=6  R=7  W=8   X=9   A=10 ...
 */
#include "sim/fake_format.h"

enum { P, LEAF, R, W, X, A, D, UC, USER, GLOBAL };

/* Place p of the 24: bits 0 to 11, then 52 to 63. */
#define PLACE(p)	  ((p) < 12 ? (p) : (p) + 40)
#define FLAG(flag, level) BIT(PLACE(((flag) + 5 * (level)) % 24))

static const struct {
	unsigned attr, flag;
} words[] = {
	{PT_READ, R},	     {PT_WRITE, W},    {PT_EXEC, X},  {PT_USER, USER},
	{PT_GLOBAL, GLOBAL}, {PT_ACCESSED, A}, {PT_DIRTY, D}, {PT_UNCACHED, UC},
};

static pte_t fake_make_leaf(struct hpa addr, unsigned level, unsigned attr)
{
	pte_t pte = addr.raw | FLAG(P, level) | FLAG(LEAF, level);

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (attr & words[i].attr)
			pte |= FLAG(words[i].flag, level);
	return pte;
}

static pte_t fake_make_table(struct hpa table, unsigned level)
{
	return table.raw | FLAG(P, level);
}

static unsigned fake_attr(pte_t pte, unsigned level)
{
	unsigned attr = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (pte & FLAG(words[i].flag, level))
			attr |= words[i].attr;
	return attr;
}

static bool fake_valid_attr(unsigned attr)
{
	return (attr & PT_RWX) && attr < PT_UNCACHED * 2;
}

#define FAKE_LEVEL(l, mask, value)                                                       \
	{                                                                                \
		.present = FLAG(P, l), .leaf_mask = (mask), .leaf_value = (value),       \
		.leaf_address = BITS(51, LEVEL_SHIFT(l)), .table_address = BITS(51, 12), \
		.accessed = FLAG(A, l), .dirty = FLAG(D, l), .write = FLAG(W, l),        \
	}

const struct pgtable_format fake_format = {
	.name = "fake",
	.levels = 4,
	.max_leaf_level = 2,
	.address_bits = 48,
	.level =
		{
			FAKE_LEVEL(0, FLAG(LEAF, 0), FLAG(LEAF, 0)),
			FAKE_LEVEL(1, FLAG(LEAF, 1), FLAG(LEAF, 1)),
			FAKE_LEVEL(2, FLAG(LEAF, 2), FLAG(LEAF, 2)),
			FAKE_LEVEL(3, 0, 1),
		},
	.make_leaf = fake_make_leaf,
	.make_table = fake_make_table,
	.attr = fake_attr,
	.valid_attr = fake_valid_attr,
};
