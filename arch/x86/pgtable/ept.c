/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ept.c: the format of Intel's extended page tables (SDM vol. 3C, 28.3.2, tables 28-1 to 28-7).
 *
 *      63  62:52   51:12     11:10   9   8    7     6     5:3    2   1   0
 *     +---+------+---------+------+---+---+------+------+------+---+---+---+
 *     |   | ign. | address | ign. | D | A | leaf | IPAT | type | X | W | R |
 *     +---+------+---------+------+---+---+------+------+------+---+---+---+
 *
 * Why a format of its own: there is no present bit. An entry is present when any of R, W, X is set,
 * and write without read is a misconfiguration (28.3.3.1). A and D are used when EPTP bit 6 is set,
 * ignored otherwise. Execute-only needs IA32_VMX_EPT_VPID_CAP bit 0, which the caller has checked.
 *
 * RAM is WB with IPAT: the guest's PAT and MTRRs have no effect (28.3.7.2). A guest cannot give its
 * RAM another type than the hypervisor's mapping of it has, and so neither reads stale data around
 * the caches nor slows the bus for other guests. No device of a guest does DMA, so none needs UC.
 */
#include <arch/pgtable.h>

#define EPT_READ      BIT(0)
#define EPT_WRITE     BIT(1)
#define EPT_EXEC      BIT(2)
#define EPT_RWX	      (EPT_READ | EPT_WRITE | EPT_EXEC)
#define EPT_TYPE      BITS(5, 3)
#define EPT_TYPE_WB   (6ull << 3)
#define EPT_IPAT      BIT(6)
#define EPT_LEAF      BIT(7)
#define EPT_ACCESSED  BIT(8)
#define EPT_DIRTY     BIT(9)
#define EPT_ADDRESS   BITS(51, 12)
#define EPT_EXPRESSES (PT_RWX | PT_ACCESSED | PT_DIRTY | PT_UNCACHED)

static pte_t ept_make_leaf(struct hpa addr, unsigned level, unsigned attr)
{
	return addr.raw | (level > 0 ? EPT_LEAF : 0) | (attr & PT_READ ? EPT_READ : 0) |
	       (attr & PT_WRITE ? EPT_WRITE : 0) | (attr & PT_EXEC ? EPT_EXEC : 0) |
	       (attr & PT_UNCACHED ? 0 : EPT_TYPE_WB | EPT_IPAT) |
	       (attr & PT_ACCESSED ? EPT_ACCESSED : 0) | (attr & PT_DIRTY ? EPT_DIRTY : 0);
}

static pte_t ept_make_table(struct hpa table, unsigned level)
{
	return table.raw | EPT_RWX;
}

static unsigned ept_attr(pte_t pte, unsigned level)
{
	return (pte & EPT_READ ? PT_READ : 0) | (pte & EPT_WRITE ? PT_WRITE : 0) |
	       (pte & EPT_EXEC ? PT_EXEC : 0) |
	       ((pte & EPT_TYPE) == EPT_TYPE_WB ? 0 : PT_UNCACHED) |
	       (pte & EPT_ACCESSED ? PT_ACCESSED : 0) | (pte & EPT_DIRTY ? PT_DIRTY : 0);
}

static bool ept_valid_attr(unsigned attr)
{
	if (attr & ~EPT_EXPRESSES)
		return false;
	return attr & PT_WRITE ? attr & PT_READ : attr & PT_RWX;
}

#define EPT_LEVEL(mask, value, shift)                                            \
	{                                                                        \
		.present = EPT_RWX, .leaf_mask = (mask), .leaf_value = (value),  \
		.leaf_address = BITS(51, shift), .table_address = EPT_ADDRESS,   \
		.accessed = EPT_ACCESSED, .dirty = EPT_DIRTY, .write = EPT_WRITE \
	}

const struct pgtable_format ept_format = {
	.name = "ept",
	.levels = 4,
	.max_leaf_level = 2,
	.address_bits = 48,
	.level =
		{
			EPT_LEVEL(0, 0, 12), /* always a leaf */
			EPT_LEVEL(EPT_LEAF, EPT_LEAF, 21), EPT_LEVEL(EPT_LEAF, EPT_LEAF, 30),
			EPT_LEVEL(0, 1, 39), /* never a leaf */
		},
	.make_leaf = ept_make_leaf,
	.make_table = ept_make_table,
	.attr = ept_attr,
	.valid_attr = ept_valid_attr,
};
