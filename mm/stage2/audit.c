/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.c: shows the auditor what a stage 2 maps and what it is made of.
 */
#include <mm/audit.h>

#include "mm/stage2/private.h"

struct tour {
	struct audit *audit;
	u64 tables;
};

static int show(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	const struct pgtable_format *format = table->format;
	struct tour *tour = argument;

	if (visit->kind == VISIT_TABLE) {
		audit_table(tour->audit, hpa_to_mfn(pte_table(format, visit->pte, visit->level)));
		tour->tables++;
		return 0;
	}
	audit_translation(tour->audit, gpa_to_gfn((struct gpa){visit->address}),
			  hpa_to_mfn(pte_addr(format, visit->pte, visit->level)),
			  LEVEL_FRAMES(visit->level),
			  format->attr(visit->pte, visit->level) & PT_RWX);
	return 0;
}

void stage2_audit(struct subscription *sub, struct audit *audit)
{
	struct stage2 *s2 = stage2_of(sub);
	struct tour tour = {audit, 1};
	struct mfn root = hpa_to_mfn(s2->table.root);

	audit_table(audit, root);
	if (pgtable_walk(&s2->table, 0, GFN_END * PAGE_SIZE, VISIT_LEAF | VISIT_TABLE, show,
			 &tour) ||
	    tour.tables != s2->table.tables)
		audit_found(audit, AUDIT_TABLE, (struct gfn){0}, root);
}
