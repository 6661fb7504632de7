/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peek.c: pointers to guest memory by a stage 2's leaves. peek.h has the protocol.
 */
#include <mm/peek.h>
#include "mm/stage2/private.h"

const void *stage2_peek(struct stage2 *s2, struct gpa gpa)
{
	const struct pgtable_format *format = s2->table.format;
	struct pgtable_visit visit;
	const char *block;
	unsigned attr;

	spin_lock(&s2->as->lock);
	stage2_lookup(s2, gpa_to_gfn(gpa), &visit);
	spin_unlock(&s2->as->lock);
	if (visit.kind != VISIT_LEAF)
		return NULL;
	attr = format->attr(visit.pte, visit.level);
	if ((attr & (PT_READ | PT_UNCACHED)) != PT_READ)
		return NULL;
	block = arch_hpa_to_virt(pte_addr(format, visit.pte, visit.level));
	return block + (gpa.raw & (LEVEL_SIZE(visit.level) - 1));
}
