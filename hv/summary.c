/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.c: how each VM ended and what it cost, in lines that a test can read.
 *
 *     summary: vm hello: shut down, status 0, 4 slices, 31 exits, 0 exceptions raised
 *     summary: vm hello: exits: cpuid 3, hypercall 1, pio 20, stage2 7
 *     summary: audit: 4096 pages, 12 translations, 65012 frames: no faults
 *     summary: vm hello: pages at its end: 60 private, 0 shared, 12 zero, 0 reclaimed, 4024 absent
 *     summary: vm hello: events (told/unwanted) under masked: merge 15/0, cow_break 3/0, soft_dirty 0/90
 *     summary: vm hello: subscriber stage2 x1 (drops/changes): merge 0/15, cow_break 0/3
 *     summary: vm hello: stage 2: 7 faults, 0 drops, 15 changed in place, 0 moot, 0 raced, 2 false retries avoided
 *     summary: frames: 65012 free, as before the first VM
 */
#include <hv/summary.h>
#include <arch/exit.h>
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
			len += format_text(line + len, sizeof(line) - len, "%s%s %llu",
					   len ? ", " : "", hv_exit_name(i),
					   (unsigned long long)vm->exits[i]);
	log_info("summary: vm %s: exits: %s", vm->config.name, line);
}

/* "merge 15/0, cow_break 3/0": two counts of each event that has any. */
static void format_events(char *line, size_t size, const u64 *first, const u64 *second)
{
	size_t len = 0;

	line[0] = '\0';
	for (unsigned i = 0; i < EVENTS && len < size; i++)
		if (first[i] || second[i])
			len += format_text(line + len, size - len, "%s%s %llu/%llu",
					   len ? ", " : "", notify_event_name(i),
					   (unsigned long long)first[i],
					   (unsigned long long)second[i]);
}

/*
 * Events that happened to its memory: how many subscribers were told of, and how many nobody wanted
 * to know.
 */
static void list_events(const struct vm *vm)
{
	const struct vm_memory_stats *stats = &vm->memory_stats;
	char line[200];

	format_events(line, sizeof(line), stats->notifications, stats->unwanted);
	log_info("summary: vm %s: events (told/unwanted) under %s: %s", vm->config.name,
		 stats->policy, line);
}

static void list_pages(const struct vm *vm)
{
	const struct addrspace_pages *pages = &vm->memory_stats.pages;

	log_info("summary: vm %s: pages at its end: %llu private, %llu shared, %llu zero, %llu "
		 "reclaimed, %llu absent",
		 vm->config.name, (unsigned long long)pages->private,
		 (unsigned long long)pages->shared, (unsigned long long)pages->zero,
		 (unsigned long long)pages->reclaimed, (unsigned long long)vm->memory_stats.absent);
}

/* Event by event: how often it was told to drop, and how many pages it was handed the change of. */
static void list_subscriber(const struct vm *vm, const struct vm_subscriber_stats *row)
{
	char line[160];

	format_events(line, sizeof(line), row->drops, row->changes);
	log_info("summary: vm %s: subscriber %s x%u (drops/changes): %s", vm->config.name,
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

	log_info("summary: vm %s: stage 2: %llu faults, %llu drops, %llu changed in place, %llu "
		 "moot, "
		 "%llu raced, %llu false retries avoided",
		 vm->config.name, (unsigned long long)s->faults, (unsigned long long)s->drops,
		 (unsigned long long)s->changed, (unsigned long long)s->moot,
		 (unsigned long long)(s->retries_reentered + s->retries_inplace),
		 (unsigned long long)s->checks_avoided);
	log_info("summary: vm %s: stage 2: %llu flushes, %llu put off, %llu kicks, %llu tables",
		 vm->config.name, (unsigned long long)s->flushes,
		 (unsigned long long)s->flushes_put_off, (unsigned long long)s->kicks,
		 (unsigned long long)s->tables);
}

static void list_vm(const struct vm *vm)
{
	char status[32] = "";

	if (vm->end == VM_END_SHUTDOWN)
		format_text(status, sizeof(status), ", status %llu",
			    (unsigned long long)vm->status);
	log_info("summary: vm %s: %s%s, %llu slices, %llu exits, %llu exceptions raised",
		 vm->config.name, vm_end_name(vm->end), status, (unsigned long long)vm->slices,
		 (unsigned long long)sum_of(vm->exits), (unsigned long long)vm->injected);
	if (vm->lost_ports || vm->lost_accesses || vm->console.dropped)
		log_info("summary: vm %s: %llu accesses to ports and %llu to memory that are not "
			 "there, %llu bytes of console dropped",
			 vm->config.name, (unsigned long long)vm->lost_ports,
			 (unsigned long long)vm->lost_accesses,
			 (unsigned long long)vm->console.dropped);
	if (vm->starved)
		log_info("summary: vm %s: waited %llu times for memory", vm->config.name,
			 (unsigned long long)vm->starved);
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

bool summary_audit(void)
{
	struct audit_report report;
	u64 faults = audit_run(0, &report);
	const struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		report.pages += vm->audit.pages;
		report.translations += vm->audit.translations;
		faults += vm->audit.total;
	}
	if (faults == 0) {
		log_info("summary: audit: %llu pages, %llu translations, %llu frames: no faults",
			 (unsigned long long)report.pages, (unsigned long long)report.translations,
			 (unsigned long long)report.frames);
		return true;
	}
	log_error("summary: audit: %llu faults", (unsigned long long)faults);
	return false;
}

bool summary_frames(u64 free_before)
{
	struct frame_stats now;

	frame_stats(&now);
	if (now.free == free_before) {
		log_info("summary: frames: %llu free, as before the first VM",
			 (unsigned long long)now.free);
		return true;
	}
	log_error("summary: frames: %llu free, %llu before the first VM; %llu guest, %llu table, "
		  "%llu hypervisor",
		  (unsigned long long)now.free, (unsigned long long)free_before,
		  (unsigned long long)now.guest, (unsigned long long)now.table,
		  (unsigned long long)now.hypervisor);
	return false;
}
