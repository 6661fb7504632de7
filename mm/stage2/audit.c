/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.c: shows the auditor, and people, what a stage 2 maps and what it is made of.
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

/* Not stage2_lookup(): a reader for people leaves `near` alone. */
bool stage2_holds(struct subscription *sub, struct gfn gfn, struct held_page *out)
{
	struct stage2 *s2 = stage2_of(sub);
	const struct pgtable_format *format = s2->table.format;
	struct pgtable_visit visit;

	spin_lock(&s2->as->lock);
	pgtable_lookup(&s2->table, gfn_to_gpa(gfn).raw, &visit);
	spin_unlock(&s2->as->lock);
	if (visit.kind != VISIT_LEAF)
		return false;
	out->level = visit.level;
	out->rights = format->attr(visit.pte, visit.level) & PT_RWX;
	out->mfn = hpa_to_mfn(pte_addr(format, visit.pte, visit.level));
	out->mfn.raw += gfn.raw & (LEVEL_FRAMES(visit.level) - 1);
	return true;
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
