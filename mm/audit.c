/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.c: compares all that mm keeps: address spaces first, then frames.
 *
 * No helper that the code under audit decides by is used here: rights are derived from the PTE's
 * bits, so that an error there is not repeated.
 *
 * Invariants, as the auditor holds them against what it sees:
 *   AUDIT-1  every private or shared PTE, and nothing else, is in the rmap of its frame (RMAP-1)
 *   AUDIT-2  references of a frame = its rmap entries + zero frame + deferred frames + engines' (COW-4)
 *   AUDIT-3  no secondary allows a write to a shared, write-protected or zero page (COW-1)
 *   AUDIT-4  no secondary maps a frame that is not the primary's, and none but guest frames (STAGE2-1)
 *   AUDIT-5  each frame is free, or in use
 *   AUDIT-6  the store keeps one page for each reclaimed PTE that is not of zeroes (RECLAIM-3)
 */
#include <mm/audit.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/log.h>
#include <mm/frame.h>
#include <mm/rmap.h>

#include "mm/space/space.h"
#include "mm/store/store.h"

#define LOG_THIS    LOG_MM
#define LINES_MAX   16
#define RMAP_BATCH  16
#define REFS_MARKED UINT8_MAX

/*
 * as, sub	the position; sub is NULL at the primary's own PTEs, both are NULL at frames
 * whole	a run over everything: marks in frame records may be used
 * tokens	reclaimed pages with a token: their content is kept
 * lines	faults written to the log
 */
struct audit {
	struct audit_report *report;
	struct addrspace *as;
	const struct subscription *sub;
	bool whole;
	u64 tokens;
	unsigned lines;
};

static const char *const names[] = {
	[AUDIT_PTE_FRAME] = "PTE frame",
	[AUDIT_PTE_ZERO] = "PTE zero",
	[AUDIT_PTE_SLOT] = "PTE slot",
	[AUDIT_PTE_BUSY] = "PTE busy",
	[AUDIT_PRIVATE] = "private",
	[AUDIT_RMAP_MISSING] = "rmap missing",
	[AUDIT_RMAP_STALE] = "rmap stale",
	[AUDIT_REFS] = "references",
	[AUDIT_HELD] = "held",
	[AUDIT_LOST] = "lost",
	[AUDIT_FREE] = "free",
	[AUDIT_COUNTS] = "counts",
	[AUDIT_LEAF_FRAME] = "leaf frame",
	[AUDIT_LEAF_STALE] = "leaf stale",
	[AUDIT_LEAF_RIGHTS] = "leaf rights",
	[AUDIT_STORE] = "store",
	[AUDIT_TABLE] = "table",
};
_Static_assert(ARRAY_SIZE(names) == AUDIT_FAULTS, "a name for each fault");

const char *audit_fault_name(enum audit_fault fault)
{
	return (unsigned)fault < AUDIT_FAULTS ? names[fault] : "?";
}

void audit_found(struct audit *audit, enum audit_fault fault, struct gfn gfn, struct mfn mfn)
{
	audit->report->found[fault]++;
	audit->report->total++;
	if (audit->lines++ < LINES_MAX)
		log_error("audit: %s: space %s, %s, gfn 0x%lx, frame 0x%lx", names[fault],
			  audit->as ? audit->as->name : "none",
			  audit->sub ? audit->sub->ops->name : "primary", gfn.raw, mfn.raw);
}

static bool in_rmap(const struct addrspace *as, struct gfn gfn, struct mfn mfn)
{
	struct rmap_entry before = {as->id, {gfn.raw - 1}}, found;

	if (gfn.raw == 0)
		before = (struct rmap_entry){as->id - 1, {GFN_END - 1}};
	return rmap_list(mfn, &before, &found, 1) == 1 && found.space == as->id &&
	       found.gfn.raw == gfn.raw;
}

static bool may_back(struct mfn mfn)
{
	return frame_kind(mfn) == FRAME_GUEST || frame_kind(mfn) == FRAME_IMAGE;
}

static bool pte_counted(ppte_t pte)
{
	return ppte_state(pte) == PPTE_PRIVATE || ppte_state(pte) == PPTE_SHARED;
}

/* A PTE that names a guest frame and counts a reference. */
static void check_counted(struct audit *audit, struct gfn gfn, ppte_t pte)
{
	struct mfn mfn = ppte_mfn(pte);

	if (!may_back(mfn) || (ppte_state(pte) == PPTE_PRIVATE && frame_kind(mfn) == FRAME_IMAGE)) {
		audit_found(audit, AUDIT_PTE_FRAME, gfn, mfn);
		return;
	}
	if (!rmap_is_count_only(mfn) && !in_rmap(audit->as, gfn, mfn))
		audit_found(audit, AUDIT_RMAP_MISSING, gfn, mfn);
	if (ppte_state(pte) == PPTE_PRIVATE && (frame_refs(mfn) != 1 || rmap_count(mfn) != 1))
		audit_found(audit, AUDIT_PRIVATE, gfn, mfn);
}

static void check_pte(struct audit *audit, struct gfn gfn, ppte_t pte)
	LOCK_REQUIRES(&audit->as->lock)
{
	struct mfn mfn = ppte_mfn(pte);

	audit->report->pages++;
	if (!space_slot(audit->as, gfn))
		audit_found(audit, AUDIT_PTE_SLOT, gfn, mfn);
	if (pte & PPTE_BUSY)
		audit_found(audit, AUDIT_PTE_BUSY, gfn, mfn);
	if (pte_counted(pte))
		check_counted(audit, gfn, pte);
	else if (ppte_state(pte) == PPTE_ZERO && mfn.raw != audit->as->zero_mfn)
		audit_found(audit, AUDIT_PTE_ZERO, gfn, mfn);
	else if (ppte_state(pte) == PPTE_RECLAIMED)
		audit->tokens += ppte_token(pte) != 0;
	else if (ppte_state(pte) == PPTE_MMIO && frame_record(mfn))
		audit_found(audit, AUDIT_PTE_FRAME, gfn, mfn);
}

static void check_primary(struct audit *audit) LOCK_REQUIRES(&audit->as->lock)
{
	struct gfn gfn = {0}, end = {GFN_END};
	ppte_t *slot;

	for (; (slot = primary_next(&audit->as->primary, &gfn, end)); gfn.raw++)
		if (ppte_state(*slot) != PPTE_ABSENT)
			check_pte(audit, gfn, *slot);
}

/* A reference of the address space itself, behind no PTE. */
static void mark_own(struct audit *audit, struct mfn mfn)
{
	if (frame_kind(mfn) != FRAME_GUEST)
		audit_found(audit, AUDIT_PTE_FRAME, (struct gfn){0}, mfn);
	else if (audit->whole && frame_record(mfn)->mark < REFS_MARKED)
		frame_record(mfn)->mark++;
}

static void check_zero_frame(struct audit *audit)
{
	struct mfn mfn = {audit->as->zero_mfn};
	const u64 *words;
	u64 any = 0;

	if (!mfn.raw)
		return;
	mark_own(audit, mfn);
	words = arch_hpa_to_virt(mfn_to_hpa(mfn));
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		any |= words[i];
	if (any)
		audit_found(audit, AUDIT_PTE_ZERO, (struct gfn){0}, mfn);
}

/* What a secondary may allow, by the meaning of the bits. */
static unsigned audit_rights(const struct addrspace *as, ppte_t pte)
{
	bool write = pte & PPTE_WRITE;
	/* In the other modes the CPU itself records the first write. */
	bool must_fault = as->dirty_mode == DIRTY_WRITE_PROTECT && !(pte & PPTE_SOFT_DIRTY);

	switch (ppte_state(pte)) {
	case PPTE_PRIVATE:
		write = write && !must_fault && !(pte & (PPTE_WP | PPTE_BUSY));
		return PT_READ | PT_EXEC | (write ? PT_WRITE : 0);
	case PPTE_SHARED:
	case PPTE_ZERO:
		return PT_READ | PT_EXEC;
	case PPTE_MMIO:
		return PT_READ | (write ? PT_WRITE : 0);
	default:
		return 0;
	}
}

static void check_translation(struct audit *audit, struct gfn gfn, struct mfn mfn, unsigned rights)
{
	ppte_t pte = primary_load(&audit->as->primary, gfn);
	bool mmio = ppte_state(pte) == PPTE_MMIO;

	if (!mmio && !may_back(mfn))
		audit_found(audit, AUDIT_LEAF_FRAME, gfn, mfn);
	if (!ppte_backed(pte) || ppte_mfn(pte).raw != mfn.raw)
		audit_found(audit, AUDIT_LEAF_STALE, gfn, mfn);
	else if (rights & ~audit_rights(audit->as, pte))
		audit_found(audit, AUDIT_LEAF_RIGHTS, gfn, mfn);
}

void audit_translation(struct audit *audit, struct gfn gfn, struct mfn mfn, u64 frames,
		       unsigned rights)
{
	audit->report->translations++;
	for (u64 i = 0; i < frames; i++)
		check_translation(audit, gfn_add(gfn, i), mfn_add(mfn, i), rights);
}

void audit_table(struct audit *audit, struct mfn table)
{
	if (frame_kind(table) != FRAME_TABLE || (audit->whole && frame_record(table)->mark++))
		audit_found(audit, AUDIT_TABLE, (struct gfn){0}, table);
}

static int check_subscriber(struct subscription *sub, void *argument)
{
	struct audit *audit = argument;

	audit->sub = sub;
	if (sub->ops->audit)
		sub->ops->audit(sub, audit);
	audit->sub = NULL;
	return 0;
}

static void check_space(struct audit *audit, struct addrspace *as)
{
	audit->as = as;
	audit->report->spaces++;
	spin_lock(&as->notifier.lock);
	spin_lock(&audit->as->lock);
	check_zero_frame(audit);
	for (unsigned i = 0; i < as->deferred_count; i++)
		mark_own(audit, as->deferred[i]);
	check_primary(audit);
	notifier_each_locked(&as->notifier, check_subscriber, audit);
	spin_unlock(&audit->as->lock);
	spin_unlock(&as->notifier.lock);
	audit->as = NULL;
}

static void check_rmap_entry(struct audit *audit, struct mfn mfn, const struct rmap_entry *entry)
{
	const struct addrspace *as = addrspace_by_id(entry->space);
	ppte_t pte = as ? primary_load(&as->primary, entry->gfn) : 0;

	if (!pte_counted(pte) || ppte_mfn(pte).raw != mfn.raw)
		audit_found(audit, AUDIT_RMAP_STALE, entry->gfn, mfn);
}

static void check_rmap(struct audit *audit, struct mfn mfn)
{
	struct rmap_entry entries[RMAP_BATCH], last;
	unsigned count = rmap_list(mfn, NULL, entries, RMAP_BATCH);

	while (count > 0) {
		for (unsigned i = 0; i < count; i++)
			check_rmap_entry(audit, mfn, &entries[i]);
		last = entries[count - 1];
		count = rmap_list(mfn, &last, entries, RMAP_BATCH);
	}
}

static void check_guest_frame(struct audit *audit, struct mfn mfn)
{
	u64 refs = frame_refs(mfn), users = rmap_count(mfn) + frame_record(mfn)->mark;

	check_rmap(audit, mfn);
	if (refs == 0)
		audit_found(audit, AUDIT_LOST, (struct gfn){0}, mfn);
	else if (refs < users)
		audit_found(audit, AUDIT_REFS, (struct gfn){0}, mfn);
	else
		audit->report->held += refs - users;
}

/* Calls `visit` for each frame that has a record; frames of closed sections are free. */
static void each_frame(struct audit *audit,
		       void (*visit)(struct audit *audit, struct mfn mfn, struct frame *frame))
{
	for (u64 section = 0; section < frame_map.sections; section++) {
		struct frame *records = ck_pr_load_ptr(&frame_map.section[section]);

		for (u64 i = 0; records && i < FRAME_SECTION; i++)
			visit(audit, (struct mfn){(section << FRAME_SECTION_SHIFT) + i},
			      &records[i]);
	}
}

static void clear_mark(struct audit *audit, struct mfn mfn, struct frame *frame)
{
	frame->mark = 0;
}

static void check_frame(struct audit *audit, struct mfn mfn, struct frame *frame)
{
	audit->report->frames += frame->kind != FRAME_RESERVED;
	if (frame->kind == FRAME_GUEST)
		check_guest_frame(audit, mfn);
	else if (frame->kind == FRAME_IMAGE && frame_refs(mfn) != rmap_count(mfn) + 1)
		audit_found(audit, AUDIT_REFS, (struct gfn){0}, mfn);
	else if (frame->kind == FRAME_FREE && frame->refs)
		audit_found(audit, AUDIT_FREE, (struct gfn){0}, mfn);
}

static u64 kinds[FRAME_KINDS];

static void count_kind(struct audit *audit, struct mfn mfn, struct frame *frame)
{
	kinds[MIN(frame->kind, FRAME_KINDS - 1)]++;
}

static void check_counts(struct audit *audit)
{
	struct frame_stats stats;

	for (unsigned kind = 0; kind < FRAME_KINDS; kind++)
		kinds[kind] = 0;
	each_frame(audit, count_kind);
	kinds[FRAME_FREE] += frame_closed();
	audit->report->frames += frame_closed();
	frame_stats(&stats);
	if (stats.free != kinds[FRAME_FREE] || stats.guest != kinds[FRAME_GUEST] ||
	    stats.table != kinds[FRAME_TABLE] || stats.hypervisor != kinds[FRAME_HYPERVISOR])
		audit_found(audit, AUDIT_COUNTS, (struct gfn){0}, (struct mfn){0});
}

static void check_store(struct audit *audit)
{
	struct store_stats stats;

	store_stats(&stats);
	if (stats.pages != audit->tokens)
		audit_found(audit, AUDIT_STORE, (struct gfn){0}, (struct mfn){0});
}

u64 audit_run(u64 held, struct audit_report *out)
{
	struct audit audit = {.report = out, .whole = true};

	*out = (struct audit_report){.spaces = 0};
	each_frame(&audit, clear_mark);
	for (unsigned id = 1; id < SPACES; id++) {
		struct addrspace *as = addrspace_by_id((u16)id);

		if (as)
			check_space(&audit, as);
	}
	each_frame(&audit, check_frame);
	check_counts(&audit);
	check_store(&audit);
	if (out->held != held) {
		log_error("audit: %lu references are held, %lu are accounted for", out->held, held);
		audit_found(&audit, AUDIT_HELD, (struct gfn){0}, (struct mfn){0});
	}
	return out->total;
}

u64 audit_space(struct addrspace *as, struct audit_report *out)
{
	struct audit audit = {.report = out};

	*out = (struct audit_report){.spaces = 0};
	check_space(&audit, as);
	return out->total;
}
