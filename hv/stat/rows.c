/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c: the table of figures, by scope. A figure is a row here and nothing else: the channel's
 * answers, the results of a run and docs/statistics.md (scripts/figures_page.py) come from it.
 *
 * A new figure: a member of its scope's figures (private.h), its value (take.c, take_vm.c), a row.
 */
#include "hv/stat/private.h"

static const struct stat_family by_reason = {HV_EXIT_REASONS, stat_exit_name};
static const struct stat_family by_outcome = {FAULT_OUTCOMES, stat_fault_name};
static const struct stat_family by_event = {EVENTS, stat_event_name};
static const struct stat_family by_phase = {BOOT_PHASES, boot_phase_name};
static const struct stat_family by_merge_reason = {MERGE_REASONS, stat_reason_name};

/* scope machine */
#define AT(field) offsetof(struct stat_machine, field)
static const struct stat_row machine_rows[] = {
	{"machine.uptime", "ns", STAT_COUNTER, AT(uptime), NULL, "Time since boot."},
	{"machine.ticks_per_second", "ticks/s", STAT_GAUGE, AT(ticks_per_second), NULL,
	 "The rate of the clock that ticks are counted by: the TSC."},
	{"machine.boot.*", "ticks", STAT_GAUGE, AT(boot), &by_phase,
	 "Ticks from the kernel's entry to the first guest's, by phase (./run bench boot)."},
	{"machine.cpus", "CPUs", STAT_GAUGE, AT(cpus), NULL, "CPUs that are up."},
	{"machine.vms", "VMs", STAT_GAUGE, AT(vms), NULL, "VMs that have not ended."},
	{"machine.log.lines", "lines", STAT_COUNTER, AT(log_lines), NULL,
	 "Log lines and lines of guests' consoles."},
	{"machine.frames.total", "frames", STAT_GAUGE, AT(frames.total), NULL,
	 "Frames that the allocator manages."},
	{"machine.frames.free", "frames", STAT_GAUGE, AT(frames.free), NULL,
	 "Frames without an owner, those in the CPUs' caches included."},
	{"machine.frames.cached", "frames", STAT_GAUGE, AT(frames.cached), NULL,
	 "Free frames in the CPUs' caches."},
	{"machine.frames.guest", "frames", STAT_GAUGE, AT(frames.guest), NULL,
	 "Frames that back guests' pages."},
	{"machine.frames.table", "frames", STAT_GAUGE, AT(frames.table), NULL,
	 "Frames of second-level page tables."},
	{"machine.frames.hypervisor", "frames", STAT_GAUGE, AT(frames.hypervisor), NULL,
	 "Frames of the hypervisor's own data: VMs, primary page tables, metadata."},
	{"reclaim.reclaimed", "pages", STAT_COUNTER, AT(reclaim.reclaimed), NULL,
	 "Pages that gave up their frames."},
	{"reclaim.zeroes", "pages", STAT_COUNTER, AT(reclaim.zeroes), NULL,
	 "Those of them that were all zeroes."},
	{"reclaim.restored", "pages", STAT_COUNTER, AT(reclaim.restored), NULL,
	 "Reclaimed pages that an access brought back."},
	{"reclaim.incompressible", "pages", STAT_COUNTER, AT(reclaim.incompressible), NULL,
	 "Pages that kept their frames because they do not compress to half their size."},
	{"reclaim.races", "pages", STAT_COUNTER, AT(reclaim.lost_races), NULL,
	 "Pages that kept their frames because they were written meanwhile."},
	{"reclaim.kept", "pages", STAT_GAUGE, AT(reclaim.kept), NULL,
	 "Reclaimed pages with a content in the store."},
	{"reclaim.bytes", "bytes", STAT_GAUGE, AT(reclaim.bytes), NULL,
	 "What the store takes for them."},
	{"merge.frames.shared", "frames", STAT_GAUGE, AT(merge.pages_shared), NULL,
	 "Frames in the stable index (KSM: pages_shared)."},
	{"merge.pages.sharing", "pages", STAT_GAUGE, AT(merge.pages_sharing), NULL,
	 "Pages that would need one more frame each without merging (KSM: pages_sharing)."},
	{"merge.pages.zero", "pages", STAT_GAUGE, AT(merge.zero_pages), NULL,
	 "Pages backed by a frame of zeroes (KSM: ksm_zero_pages)."},
	{"merge.frames.zero", "frames", STAT_GAUGE, AT(merge.zero_frames), NULL,
	 "Frames of zeroes, one for each VM that has such pages."},
	{"merge.saved", "bytes", STAT_GAUGE, AT(saved), NULL,
	 "Memory saved now: sharing and zero pages, less the frames of zeroes."},
	{"merge.saved.peak", "frames", STAT_PEAK, AT(merge.best_pages), NULL,
	 "The most frames that were saved at the end of a pass."},
	{"merge.profit", "bytes", STAT_SIGNED, AT(merge.general_profit), NULL,
	 "Memory saved, less all metadata (KSM: general_profit)."},
	{"merge.metadata", "bytes", STAT_GAUGE, AT(merge.metadata_bytes), NULL,
	 "Metadata of merging: of pages, indexes, nodes, lists of a frame's users."},
	{"merge.metadata.unmerged", "bytes", STAT_GAUGE, AT(merge.metadata_unmerged_bytes), NULL,
	 "The part of it that is there for pages that are not merged, too."},
	{"merge.passes", "passes", STAT_COUNTER, AT(merge.full_scans), NULL,
	 "Passes over all mergeable memory (KSM: full_scans)."},
	{"merge.passes.quiet", "passes", STAT_GAUGE, AT(merge.quiet_passes), NULL,
	 "Passes since one merged a page; with merge_ms the scanner backs off from the third on."},
	{"merge.settled", "0 or 1", STAT_GAUGE, AT(merge.settled), NULL,
	 "1 when the last two passes merged no page: a measurement may begin."},
	{"merge.scanned", "pages", STAT_COUNTER, AT(merge.pages_scanned), NULL,
	 "Pages that the scanner passed."},
	{"merge.skipped", "pages", STAT_COUNTER, AT(merge.pages_skipped), NULL,
	 "Those of them that were passed over with their chunk: nothing in it was written."},
	{"merge.read", "pages", STAT_COUNTER, AT(merge.pages_read), NULL,
	 "Pages that were read and hashed."},
	{"merge.compares", "compares", STAT_COUNTER, AT(merge.compares), NULL,
	 "Compares of two pages in full."},
	{"merge.merged", "pages", STAT_COUNTER, AT(merge.merged), NULL,
	 "Merges with a shared frame."},
	{"merge.zeroed", "pages", STAT_COUNTER, AT(merge.zeroed), NULL,
	 "Merges with a frame of zeroes."},
	{"merge.breaks", "pages", STAT_COUNTER, AT(breaks), NULL,
	 "Shared pages that a write made private again, over all VMs."},
	{"merge.races", "pages", STAT_COUNTER, AT(merge.lost_races), NULL,
	 "Merges given up because the page was written meanwhile."},
	{"merge.large.split", "leaves", STAT_COUNTER, AT(merge.large_split), NULL,
	 "Large leaves that were split for the sake of merging."},
	{"merge.large.collapsed", "leaves", STAT_COUNTER, AT(merge.large_collapsed), NULL,
	 "Those of them that were made whole again."},
	{"merge.reason.*", "pages", STAT_GAUGE, AT(merge.by_reason), &by_merge_reason,
	 "Mergeable pages by the result of their last visit: merged, or why not."},
	{"channel.requests", "requests", STAT_COUNTER, AT(channel.requests), NULL,
	 "Requests on the control channel."},
	{"channel.refused", "requests", STAT_COUNTER, AT(channel.refused), NULL,
	 "Those of them that were answered by an error."},
	{"channel.lines", "lines", STAT_COUNTER, AT(channel.lines), NULL,
	 "Lines sent: replies and events."},
	{"channel.dropped", "lines", STAT_COUNTER, AT(channel.dropped), NULL,
	 "Lines dropped because the reader had stalled."},
	{"channel.bytes.in", "bytes", STAT_COUNTER, AT(channel.bytes_in), NULL, "Bytes received."},
	{"channel.bytes.out", "bytes", STAT_COUNTER, AT(channel.bytes_out), NULL, "Bytes sent."},
};
#undef AT

/* scope CPU */
#define AT(field) offsetof(struct stat_cpu, field)
static const struct stat_row cpu_rows[] = {
	{"turns", "turns", STAT_COUNTER, AT(turns), NULL, "Times that a vCPU was given the CPU."},
	{"flush.sent", "flushes", STAT_COUNTER, AT(flushes), NULL,
	 "Flushes of second-level translations that the CPU sent."},
	{"flush.waited", "CPUs", STAT_COUNTER, AT(waited), NULL,
	 "CPUs that it kicked for them and waited for."},
	{"scan.time", "ns", STAT_COUNTER, AT(scan_time), NULL,
	 "Time that it scanned for pages to merge."},
	{"scan.scanned", "pages", STAT_COUNTER, AT(scan.scanned), NULL, "Pages that it passed."},
	{"scan.read", "pages", STAT_COUNTER, AT(scan.read), NULL, "Pages that it read."},
	{"scan.merged", "pages", STAT_COUNTER, AT(scan.merged), NULL, "Pages that it merged."},
};
#undef AT

/* scope merge domain */
#define AT(field) offsetof(struct stat_domain, field)
static const struct stat_row domain_rows[] = {
	{"pages", "pages", STAT_GAUGE, AT(pages), NULL, "Pages of the domain's regions."},
	{"frames", "frames", STAT_GAUGE, AT(frames), NULL, "Frames in its stable index."},
	{"bytes", "bytes", STAT_GAUGE, AT(bytes), NULL, "Memory of its indexes and nodes."},
};
#undef AT

/* scope VM */
#define AT(field) offsetof(struct stat_vm, field)
static const struct stat_row vm_rows[] = {
	{"state", "state", STAT_GAUGE, AT(state), NULL,
	 "0 created, 1 runs, 2 stops, 3 dead, 4 is being destroyed, 5 ended."},
	{"paused", "0 or 1", STAT_GAUGE, AT(paused), NULL, "1 when it is paused."},
	{"exits.*", "exits", STAT_COUNTER, AT(exits), &by_reason, "Exits by reason."},
	{"exit_time.*", "ns", STAT_COUNTER, AT(exit_time), &by_reason,
	 "Time in the handlers by reason: one exit in 64 is timed and stands for the others."},
	{"exit_ticks.*", "ticks", STAT_HISTOGRAM, AT(exit_ticks), &by_reason,
	 "Times in the handlers of the exits that were timed."},
	{"slices", "turns", STAT_COUNTER, AT(slices), NULL, "Turns of its vCPUs on a CPU."},
	{"used", "ns", STAT_COUNTER, AT(used), NULL, "Time that its vCPUs were on a CPU."},
	{"stolen", "ns", STAT_COUNTER, AT(stolen), NULL,
	 "Time that its vCPUs were ready and another vCPU, or a job, had the CPU."},
	{"injected", "exceptions", STAT_COUNTER, AT(injected), NULL,
	 "Exceptions that the hypervisor raised."},
	{"starved", "waits", STAT_COUNTER, AT(starved), NULL, "Waits for a frame."},
	{"lost.ports", "accesses", STAT_COUNTER, AT(lost_ports), NULL,
	 "Accesses to ports without a device."},
	{"lost.memory", "accesses", STAT_COUNTER, AT(lost_accesses), NULL,
	 "Accesses to addresses without memory or device."},
	{"console.dropped", "bytes", STAT_COUNTER, AT(console_dropped), NULL,
	 "Bytes of its console beyond its limit."},
	{"memory.size", "bytes", STAT_GAUGE, AT(memory), NULL, "Memory of its configuration."},
	{"pages.private", "pages", STAT_GAUGE, AT(stats.pages.private), NULL,
	 "Pages with a frame of their own."},
	{"pages.shared", "pages", STAT_GAUGE, AT(stats.pages.shared), NULL,
	 "Pages with a frame that others may share."},
	{"pages.zero", "pages", STAT_GAUGE, AT(stats.pages.zero), NULL,
	 "Pages backed by the frame of zeroes."},
	{"pages.reclaimed", "pages", STAT_GAUGE, AT(stats.pages.reclaimed), NULL,
	 "Pages without a frame, their content kept."},
	{"pages.device", "pages", STAT_GAUGE, AT(stats.pages.device), NULL,
	 "Pages of a device's memory."},
	{"pages.absent", "pages", STAT_GAUGE, AT(stats.absent), NULL,
	 "Pages that were never touched, or were given back."},
	{"fault.*", "faults", STAT_COUNTER, AT(stats.stage2.outcome), &by_outcome,
	 "Stage 2 faults by outcome."},
	{"fault.ahead", "pages", STAT_COUNTER, AT(stats.stage2.ahead), NULL,
	 "Pages that the first touch of another one mapped, without a fault (fault_ahead=)."},
	{"retry.reentered", "faults", STAT_COUNTER, AT(stats.stage2.retries_reentered), NULL,
	 "Faults that raced with a change of their page and made the guest fault again."},
	{"retry.inplace", "faults", STAT_COUNTER, AT(stats.stage2.retries_inplace), NULL,
	 "Faults that raced and were resolved again in the handler."},
	{"retry.avoided", "faults", STAT_COUNTER, AT(stats.stage2.checks_avoided), NULL,
	 "Faults beside a change of another page, which one sequence number for all would retry."},
	{"fault.cause.*", "faults", STAT_COUNTER, AT(stats.stage2.cause), &by_event,
	 "Faults by the notification that had taken the leaf or its right to write."},
	{"retry.guessed", "faults", STAT_COUNTER, AT(stats.stage2.checks_guessed), NULL,
	 "Faults that were retried because the list of changes had overflowed."},
	{"stage2.dropped", "leaves", STAT_COUNTER, AT(stats.stage2.drops), NULL,
	 "Leaves that were invalidated."},
	{"stage2.in_place", "leaves", STAT_COUNTER, AT(stats.stage2.changed), NULL,
	 "Leaves that change_pte gave a new frame or new rights."},
	{"stage2.moot", "pages", STAT_COUNTER, AT(stats.stage2.moot), NULL,
	 "Pages passed to change_pte without a leaf to change."},
	{"stage2.established", "leaves", STAT_COUNTER, AT(stats.stage2.established), NULL,
	 "Leaves that change_pte made where none was (policy establish)."},
	{"stage2.tables", "frames", STAT_GAUGE, AT(stats.stage2.tables), NULL,
	 "Page tables of its stage 2."},
	{"flush.sent", "flushes", STAT_COUNTER, AT(stats.stage2.flushes), NULL,
	 "Flushes of its translations."},
	{"flush.waited", "CPUs", STAT_COUNTER, AT(stats.stage2.kicks), NULL,
	 "CPUs that were inside the guest, kicked, and waited for."},
	{"flush.put_off", "flushes", STAT_COUNTER, AT(stats.stage2.flushes_put_off), NULL,
	 "Changes that left their flush for later."},
	{"flush.avoided", "flushes", STAT_COUNTER, AT(stats.stage2.flushes_avoided), NULL,
	 "Those of them that no flush of their own followed."},
	{"notify.*.sent", "notifications", STAT_COUNTER, AT(stats.notifications), &by_event,
	 "Notifications by event."},
	{"notify.*.skipped", "operations", STAT_COUNTER, AT(stats.unwanted), &by_event,
	 "Operations without a call, because no subscriber has a role in the event."},
	{"merge.breaks", "pages", STAT_COUNTER, AT(stats.breaks), NULL,
	 "Shared pages that a write made private again."},
	{"merge.ahead", "pages", STAT_COUNTER, AT(stats.ahead), NULL,
	 "Those of them before a write to them (cow_ahead=)."},
	{"merge.metadata", "bytes", STAT_GAUGE, AT(stats.merge_metadata), NULL,
	 "Metadata of merging for its pages, with its part of the domain's index."},
	{"merge.reason.*", "pages", STAT_GAUGE, AT(stats.merge_reasons), &by_merge_reason,
	 "Mergeable pages by the result of their last visit: merged, or why not."},
};
#undef AT

/* scope VM's memory: taken by a walk over its pages */
#define AT(field) offsetof(struct vm_share, field)
static const struct stat_row memory_rows[] = {
	{"resident", "bytes", STAT_GAUGE, AT(resident), NULL, "Its pages that a frame backs."},
	{"part", "bytes", STAT_GAUGE, AT(part), NULL,
	 "The same, where a frame of n pages counts 1/n for each, and one of zeroes nothing."},
	{"saved", "bytes", STAT_GAUGE, AT(saved), NULL,
	 "Memory that sharing saves it: resident less part."},
	{"profit", "bytes", STAT_SIGNED, AT(profit), NULL, "Saved less metadata of merging."},
};
#undef AT

/* scope vCPU */
#define AT(field) offsetof(struct stat_vcpu, field)
static const struct stat_row vcpu_rows[] = {
	{"state", "state", STAT_GAUGE, AT(state), NULL, "0 off, 1 ready, 2 halted, 3 gone."},
	{"cpu", "number", STAT_GAUGE, AT(cpu), NULL, "The CPU that owns it."},
	{"exits.*", "exits", STAT_COUNTER, AT(exits), &by_reason, "Exits by reason."},
	{"slices", "turns", STAT_COUNTER, AT(slices), NULL, "Turns on its CPU."},
	{"used", "ns", STAT_COUNTER, AT(used), NULL, "Time on its CPU."},
	{"stolen", "ns", STAT_COUNTER, AT(stolen), NULL,
	 "Time that it was ready and another vCPU, or a job, had its CPU."},
	{"starved", "waits", STAT_COUNTER, AT(starved), NULL, "Waits for a frame."},
};
#undef AT

/* scope subscriber and event: of a VM, and of all VMs */
#define AT(field) offsetof(struct stat_subscriber, field)
static const struct stat_row subscriber_rows[] = {
	{"count", "subscribers", STAT_GAUGE, AT(count), NULL, "Subscribers of the kind."},
	{"accesses", "accesses", STAT_COUNTER, AT(work.accesses), NULL,
	 "Accesses of devices by a translation that they had cached."},
	{"misses", "look-ups", STAT_COUNTER, AT(work.misses), NULL,
	 "Look-ups in the primary page tables."},
	{"retries", "look-ups", STAT_COUNTER, AT(work.retries), NULL,
	 "Those of them that were void, since an invalidation came between."},
	{"waits", "invalidations", STAT_COUNTER, AT(work.waits), NULL,
	 "Invalidations that waited for a device."},
	{"wait_time", "ns", STAT_COUNTER, AT(work.waited), NULL, "The time that they waited."},
	{"*.invalidated", "calls", STAT_COUNTER, AT(invalidated), &by_event,
	 "Calls of start, which invalidate a range."},
	{"*.in_place", "pages", STAT_COUNTER, AT(in_place), &by_event,
	 "Pages passed to change_pte."},
};
#undef AT

/* scope slot */
#define AT(field) offsetof(struct stat_slot, field)
static const struct stat_row slot_rows[] = {
	{"start", "gfn", STAT_GAUGE, AT(start), NULL, "Its first page."},
	{"pages", "pages", STAT_GAUGE, AT(pages), NULL, "Its size."},
	{"kind", "kind", STAT_GAUGE, AT(kind), NULL, "0 memory, 1 ROM, 2 a device's."},
};
#undef AT

#define SCOPE(text, name)                                                         \
	{                                                                         \
		text, name##_rows, ARRAY_SIZE(name##_rows), stat_##name##_prefix, \
			stat_##name##_take                                        \
	}
const struct stat_scope stat_scopes[] = {
	SCOPE("machine", machine),
	SCOPE("CPU", cpu),
	SCOPE("merge domain", domain),
	SCOPE("VM", vm),
	SCOPE("VM's memory", memory),
	SCOPE("vCPU", vcpu),
	SCOPE("subscriber and event", subscriber),
	{"subscriber and event, all VMs", subscriber_rows, ARRAY_SIZE(subscriber_rows),
	 stat_subscribers_prefix, stat_subscribers_take},
	SCOPE("slot", slot),
};
const unsigned stat_scope_count = ARRAY_SIZE(stat_scopes);

_Static_assert(sizeof(struct stat_machine) <= STAT_FIGURES_MAX, "they fit into a cursor");
_Static_assert(sizeof(struct stat_vm) <= STAT_FIGURES_MAX, "they fit into a cursor");
