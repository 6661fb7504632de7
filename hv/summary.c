/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.c: the end of each VM and its counts, in lines for people and the tests. Results come by
 * the control channel.
 *
 *     summary: vm hello: shut down, status 0, 4 slices, 31 exits, 0 exceptions raised
 *     summary: vm hello: exits: cpuid 3, hypercall 1, pio 20, stage2 7
 *     summary: audit: 4096 pages, 12 translations, 65012 frames: no faults
 *     summary: vm hello: pages at its end: 60 private, 0 shared, 12 zero, 0 reclaimed, 4024 absent
 *     summary: vm hello: events (notified/skipped) under masked: merge 15/0, cow_break 3/0, soft_dirty 0/90
 *     summary: vm hello: subscriber stage2 x1 (invalidated/changed): merge 0/15, cow_break 0/3
 *     summary: vm hello: stage 2: 7 faults, 0 drops, 15 changed in place, 0 moot, 0 raced, 2 false retries avoided
 *     summary: frames: 65012 free, as before the first VM
 */
#include <hv/summary.h>
#include <arch/exit.h>
#include <hv/exit.h>
#include <hv/vm.h>
#include <lib/format.h>
#include <lib/log.h>
#include <mm/audit.h>
#include <mm/frame.h>

#define LOG_THIS LOG_HV

static u64 sum_of(const u64 *exits)
{
	u64 sum = 0;

	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		sum += exits[i];
	return sum;
}

static void list_exits(const struct vm *vm)
{
	char line[200];
	size_t len = 0;

	line[0] = '\0';
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		if (vm->exits[i] && len < sizeof(line))
			len += format_text(line + len, sizeof(line) - len, "%s%s %lu",
					   len ? ", " : "", hv_exit_name(i), vm->exits[i]);
	log_info("summary: vm %s: exits: %s", vm->config.name, line);
}

/* "merge 15/0, cow_break 3/0": two counts of each event that has any. */
static void format_events(char *line, size_t size, const u64 *first, const u64 *second)
{
	size_t len = 0;

	line[0] = '\0';
	for (unsigned i = 0; i < EVENTS && len < size; i++)
		if (first[i] || second[i])
			len += format_text(line + len, size - len, "%s%s %lu/%lu", len ? ", " : "",
					   notify_event_name(i), first[i], second[i]);
}

/* Events of its memory: notifications, and those that no subscriber had subscribed to. */
static void list_events(const struct vm *vm)
{
	const struct vm_memory_stats *stats = &vm->memory_stats;
	char line[200];

	format_events(line, sizeof(line), stats->notifications, stats->unwanted);
	log_info("summary: vm %s: events (notified/skipped) under %s: %s", vm->config.name,
		 stats->policy, line);
}

static void list_pages(const struct vm *vm)
{
	const struct addrspace_pages *pages = &vm->memory_stats.pages;

	log_info("summary: vm %s: pages at its end: %lu private, %lu shared, %lu zero, %lu "
		 "reclaimed, %lu absent",
		 vm->config.name, pages->private, pages->shared, pages->zero, pages->reclaimed,
		 vm->memory_stats.absent);
}

/* By event: invalidated ranges, and pages passed to change_pte. */
static void list_subscriber(const struct vm *vm, const struct vm_subscriber_stats *row)
{
	char line[160];

	format_events(line, sizeof(line), row->drops, row->changes);
	log_info("summary: vm %s: subscriber %s x%u (invalidated/changed): %s", vm->config.name,
		 row->name, row->count, line);
}

static void list_subscribers(const struct vm *vm)
{
	const struct vm_subscriber_stats *row = vm->memory_stats.subscribers;

	for (unsigned i = 0; i < VM_SUBSCRIBERS_MAX && row[i].name; i++)
		list_subscriber(vm, &row[i]);
}

static void list_stage2(const struct vm *vm)
{
	const struct stage2_stats *s = &vm->memory_stats.stage2;

	log_info("summary: vm %s: stage 2: %lu faults, %lu drops, %lu changed in place, %lu "
		 "moot, %lu raced, %lu false retries avoided",
		 vm->config.name, s->faults, s->drops, s->changed, s->moot,
		 (s->retries_reentered + s->retries_inplace), s->checks_avoided);
	log_info("summary: vm %s: stage 2: %lu flushes, %lu put off, %lu kicks, %lu tables",
		 vm->config.name, s->flushes, s->flushes_put_off, s->kicks, s->tables);
}

static void list_vm(const struct vm *vm)
{
	char status[32] = "";

	if (vm->end == VM_END_SHUTDOWN)
		format_text(status, sizeof(status), ", status %lu", vm->status);
	log_info("summary: vm %s: %s%s, %lu slices, %lu exits, %lu exceptions raised",
		 vm->config.name, vm_end_name(vm->end), status, vm->slices, sum_of(vm->exits),
		 vm->injected);
	if (vm->lost_ports || vm->lost_accesses || vm->console.dropped)
		log_info("summary: vm %s: %lu accesses to ports and %lu to memory that are not "
			 "there, %lu bytes of console dropped",
			 vm->config.name, vm->lost_ports, vm->lost_accesses, vm->console.dropped);
	if (vm->starved)
		log_info("summary: vm %s: waited %lu times for memory", vm->config.name,
			 vm->starved);
	list_exits(vm);
	list_pages(vm);
	list_events(vm);
	list_subscribers(vm);
	list_stage2(vm);
}

void summary_vms(void)
{
	const struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++)
		list_vm(vm);
}

bool summary_audit(struct control_verdict *verdict)
{
	struct audit_report *report = &verdict->audit;
	const struct vm *vm;

	verdict->faults = audit_run(0, report);
	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		report->pages += vm->audit.pages;
		report->translations += vm->audit.translations;
		verdict->faults += vm->audit.total;
	}
	if (verdict->faults == 0) {
		log_info("summary: audit: %lu pages, %lu translations, %lu frames: no faults",
			 report->pages, report->translations, report->frames);
		return true;
	}
	log_error("summary: audit: %lu faults", verdict->faults);
	return false;
}

bool summary_frames(u64 free_before, struct control_verdict *verdict)
{
	struct frame_stats now;

	frame_stats(&now);
	verdict->frames_missing = (s64)free_before - (s64)now.free;
	if (now.free == free_before) {
		log_info("summary: frames: %lu free, as before the first VM", now.free);
		return true;
	}
	log_error("summary: frames: %lu free, %lu before the first VM; %lu guest, %lu table, "
		  "%lu hypervisor",
		  now.free, free_before, now.guest, now.table, now.hypervisor);
	return false;
}
