/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.c: do the hypervisor's own tables keep what paging.c promises?
 *
 * Invariants:
 * PAGING-1  nothing is mapped in the lower half: a NULL pointer, a guest's address, a stale
 *           identity address fault.
 * PAGING-2  no leaf is writable and executable.
 * PAGING-3  no machine page that is executable by one address is writable by another.
 * PAGING-4  no leaf is for ring 3.
 * PAGING-5  the page below each stack is not mapped.
 */
#define LOG_THIS LOG_TEST

#include <arch/cpu.h>
#include <arch/pgtable.h>
#include <asm/layout.h>
#include <asm/paging.h>
#include <asm/stacks.h>
#include <lib/log.h>
#include <mm/walk.h>

#define LOWER_END (1ull << 47)
#define UPPER_END (~0ull - PAGE_SIZE + 1)

struct audit {
	u64 leaves[3]; /* by level */
	u64 wrong;
	struct hpa text_start, text_end; /* what is executable, from its first page to its last */
};

static void report_breach(struct audit *audit, const struct pgtable_visit *visit, const char *what)
{
	log_error("host tables: 0x%016lx, level %u: %s", visit->address, visit->level, what);
	audit->wrong++;
}

static int visit_lower(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	report_breach(argument, visit, "mapped in the lower half");
	return 0;
}

static int visit_upper(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct audit *audit = argument;
	unsigned attr = table->format->attr(visit->pte, visit->level);
	struct hpa to = pte_addr(table->format, visit->pte, visit->level);

	audit->leaves[visit->level]++;
	if (attr & PT_USER)
		report_breach(audit, visit, "for ring 3");
	if (!(attr & PT_EXEC))
		return 0;
	if (attr & PT_WRITE)
		report_breach(audit, visit, "writable and executable");
	audit->text_start.raw = MIN(audit->text_start.raw, to.raw);
	audit->text_end.raw = MAX(audit->text_end.raw, to.raw + LEVEL_SIZE(visit->level));
	return 0;
}

static int visit_alias(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct audit *audit = argument;
	struct hpa to = pte_addr(table->format, visit->pte, visit->level);

	if (table->format->attr(visit->pte, visit->level) & PT_WRITE &&
	    to.raw < audit->text_end.raw &&
	    to.raw + LEVEL_SIZE(visit->level) > audit->text_start.raw)
		report_breach(audit, visit, "writable, and executable by another address");
	return 0;
}

static void audit_stacks(struct pgtable *table, struct audit *audit)
{
	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
		for (enum stack_kind kind = 0; kind < STACKS; kind++) {
			struct stack stack = stack_of(cpu, kind);
			struct pgtable_visit visit;

			pgtable_lookup(table, stack.guard, &visit);
			if (visit.kind == VISIT_LEAF)
				report_breach(audit, &visit, "a stack's guard page is mapped");
			pgtable_lookup(table, stack.bottom, &visit);
			if (visit.kind != VISIT_LEAF)
				report_breach(audit, &visit, "a stack is not mapped");
		}
	}
}

static void audit_range(struct pgtable *table, u64 start, u64 end, pgtable_visitor visitor,
			struct audit *audit)
{
	CHECK(!pgtable_walk(table, start, end, VISIT_LEAF, visitor, audit));
}

u64 paging_audit(struct pgtable *table)
{
	struct audit audit = {.text_start = {~0ull}};

	audit_range(table, 0, LOWER_END, visit_lower, &audit);
	audit_range(table, DIRECT_MAP_BASE, UPPER_END, visit_upper, &audit);
	audit_range(table, DIRECT_MAP_BASE, UPPER_END, visit_alias, &audit);
	audit_stacks(table, &audit);
	log_info("host tables: %lu tables; leaves: %lu of 1 GiB, %lu of 2 MiB, %lu of 4 KiB",
		 table->tables, audit.leaves[2], audit.leaves[1], audit.leaves[0]);
	return audit.wrong;
}
