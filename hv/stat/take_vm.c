/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_vm.c: the figures of a VM and of its parts, as they are now; of a VM that has ended, as they
 * were at its end.
 *
 * A VM that runs is held while its parts are read. One that stops has none to be read until
 * stat_vm_end() has stored them.
 */
#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/format.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/addrspace.h>
#include "hv/stat/private.h"

#define WALK_PAGES 4096 /* in one step, for what is shared */

/* A merge reason's name is one word in a figure's name. */
const char *stat_reason_name(unsigned index)
{
	return index == MERGE_NO_MEMORY ? "no_memory" : merge_reason_name(index);
}

const char *stat_exit_name(unsigned index)
{
	return hv_exit_name(index);
}

const char *stat_fault_name(unsigned index)
{
	return index == FAULT_NO_MEMORY	  ? "no_memory"
	       : index == FAULT_READ_ONLY ? "read_only"
					  : fault_outcome_name(index);
}

const char *stat_event_name(unsigned index)
{
	return notify_event_name(index);
}

static bool vm_is_ended(const struct vm *vm)
{
	return ck_pr_load_uint(&vm->state) == VM_ENDED;
}

/* --- What mm has of a VM -------------------------------------------------------------------- */

static void count_pages(struct vm *vm, struct vm_memory_stats *stats)
{
	const struct addrspace_pages *pages = &stats->pages;
	u64 all = vm->config.memory >> PAGE_SHIFT;

	addrspace_count(vm->memory, &stats->pages);
	stats->absent =
		all - MIN(all, pages->private + pages->shared + pages->zero + pages->reclaimed);
}

/* The row of a kind, or the first empty one. */
static struct vm_subscriber_stats *subscriber_row(struct vm_subscriber_stats *row, const char *name)
{
	const struct vm_subscriber_stats *end = row + VM_SUBSCRIBERS_MAX;

	while (row < end && row->name && strcmp(row->name, name) != 0)
		row++;
	CHECK(row < end);
	row->name = name;
	return row;
}

static void add_work(struct subscriber_work *to, const struct subscriber_work *from)
{
	to->accesses += from->accesses;
	to->misses += from->misses;
	to->retries += from->retries;
	to->waits += from->waits;
	to->waited += from->waited;
}

static void add_subscribers(struct vm_subscriber_stats *to, const struct vm_subscriber_stats *from)
{
	to->count += from->count;
	add_work(&to->work, &from->work);
	for (unsigned event = 0; event < EVENTS; event++) {
		to->drops[event] += from->drops[event];
		to->changes[event] += from->changes[event];
	}
}

static int add_subscriber(struct subscription *sub, void *argument)
{
	struct vm_memory_stats *stats = argument;
	struct vm_subscriber_stats *row = subscriber_row(stats->subscribers, sub->ops->name);
	struct subscriber_work work = {0};

	if (sub->ops->work)
		sub->ops->work(sub, &work);
	add_work(&row->work, &work);
	row->count++;
	for (unsigned event = 0; event < EVENTS; event++) {
		row->drops[event] += ck_pr_load_64(&sub->counters[event].starts);
		row->changes[event] += ck_pr_load_64(&sub->counters[event].changed_gfns);
	}
	return 0;
}

static void count_events(struct vm *vm, struct vm_memory_stats *stats)
{
	struct notifier *notifier = addrspace_notifier(vm->memory);
	const struct notifier_policy policy = addrspace_policy(vm->memory);

	notifier_each(notifier, add_subscriber, stats);
	notifier_policy_text(&policy, stats->policy, sizeof(stats->policy));
	for (unsigned event = 0; event < EVENTS; event++) {
		stats->notifications[event] = notifier_notifications(notifier, event);
		stats->unwanted[event] = ck_pr_load_64(&notifier->skipped[event]);
	}
	stats->breaks = addrspace_breaks(vm->memory, &stats->ahead);
}

static void count_merging(struct vm *vm, struct vm_memory_stats *stats)
{
	struct merge_space_stats merge;

	if (merge_space_stats(vm->memory, &merge) != 0)
		return;
	stats->merge_metadata = merge.metadata_bytes;
	memcpy(stats->merge_reasons, merge.by_reason, sizeof(stats->merge_reasons));
}

static void take_memory_stats(struct vm *vm, struct vm_memory_stats *stats)
{
	*stats = (struct vm_memory_stats){0};
	count_pages(vm, stats);
	vm_stage2_stats(vm, &stats->stage2);
	count_events(vm, stats);
	count_merging(vm, stats);
}

static void take_share(struct vm *vm, struct vm_share *share, const struct share_count *sum)
{
	struct merge_space_stats merge;
	bool merged = merge_space_stats(vm->memory, &merge) == 0;

	share->resident = sum->resident;
	share->part = sum->part;
	share->saved = sum->saved;
	share->profit = (s64)sum->saved - (s64)(merged ? merge.metadata_bytes : 0);
}

void stat_vm_end(struct vm *vm)
{
	struct share_count sum = {0};
	struct gfn gfn = {0};

	vm->memory_stats = (struct vm_memory_stats){0};
	count_pages(vm, &vm->memory_stats);
	count_merging(vm, &vm->memory_stats);
	while (inspect_share(vm->memory, &gfn, WALK_PAGES, &sum))
		;
	take_share(vm, &vm->share, &sum);
}

void stat_vm_end_counters(struct vm *vm)
{
	vm_stage2_stats(vm, &vm->memory_stats.stage2);
	count_events(vm, &vm->memory_stats);
}

u64 stat_vm_breaks(struct vm *vm)
{
	u64 breaks = vm->memory_stats.breaks, ahead;

	if (vm_hold(vm)) {
		breaks = addrspace_breaks(vm->memory, &ahead);
		vm_release(vm);
	}
	return breaks;
}

/* --- VM ------------------------------------------------------------------------------------- */

bool stat_vm_prefix(unsigned instance, char *prefix)
{
	const struct vm *vm = vm_get(instance);

	if (vm)
		format_text(prefix, STAT_PREFIX_MAX, "vm.%s.", vm->config.name);
	return vm;
}

/* Adds those of a vCPU to those of the vCPUs that are GONE. */
static void add_vcpu(struct stat_vm *out, struct vcpu *vcpu, struct exit_times *times)
{
	if (ck_pr_load_32(&vcpu->state) == VCPU_GONE)
		return;
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++) {
		out->exits[i] += exit_count(&vcpu->exits[i]);
		times->ticks[i] += ck_pr_load_64(&vcpu->times.ticks[i]);
		for (unsigned n = 0; n < EXIT_BUCKETS; n++)
			times->bucket[i][n] += ck_pr_load_32(&vcpu->times.bucket[i][n]);
	}
	out->slices += ck_pr_load_64(&vcpu->slices);
	out->used += ck_pr_load_64(&vcpu->used);
	out->stolen += ck_pr_load_64(&vcpu->stolen);
	out->injected += ck_pr_load_64(&vcpu->injected);
	out->lost_accesses += ck_pr_load_64(&vcpu->lost_accesses);
	out->starved += ck_pr_load_64(&vcpu->starved);
}

/* The exits that were timed stand for all of their reason. */
static void take_times(struct stat_vm *out, const struct exit_times *times)
{
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++) {
		u64 timed = 0;

		for (unsigned n = 0; n < EXIT_BUCKETS; n++) {
			out->exit_ticks[i][n] = times->bucket[i][n];
			timed += times->bucket[i][n];
		}
		out->exit_time[i] = timed ? stat_ns(times->ticks[i] / timed) * out->exits[i] : 0;
	}
}

static void take_gone(struct stat_vm *out, struct vm *vm)
{
	*out = (struct stat_vm){
		.slices = vm->slices,
		.used = vm->used,
		.stolen = vm->stolen,
		.injected = vm->injected,
		.lost_accesses = vm->lost_accesses,
		.starved = vm->starved,
		.lost_ports = ck_pr_load_64(&vm->lost_ports),
		.console_dropped = vm->console.dropped,
		.state = ck_pr_load_uint(&vm->state),
		.paused = ck_pr_load_32(&vm->paused),
		.memory = vm->config.memory,
	};
	memcpy(out->exits, vm->exits, sizeof(out->exits));
}

enum stat_taken stat_vm_take(unsigned instance, void *figures, u64 *walk)
{
	static struct exit_times times; /* too large for a stack */
	struct vm *vm = vm_get(instance);
	struct stat_vm *out = figures;

	bool held = vm_hold(vm);

	spin_lock(&vm->lock); /* a vCPU's counts move into the VM's under it */
	take_gone(out, vm);
	times = vm->times;
	for (unsigned i = 0; held && i < vm->config.vcpus; i++)
		add_vcpu(out, vm->vcpu[i], &times);
	spin_unlock(&vm->lock);
	if (held) {
		take_memory_stats(vm, &out->stats);
		vm_release(vm);
	} else {
		out->stats = vm->memory_stats;
	}
	take_times(out, &times);
	out->used = stat_ns(out->used);
	out->stolen = stat_ns(out->stolen);
	return STAT_TAKEN;
}

/* --- A VM's memory: a walk in steps --------------------------------------------------------- */

bool stat_memory_prefix(unsigned instance, char *prefix)
{
	const struct vm *vm = vm_get(instance);

	if (vm)
		format_text(prefix, STAT_PREFIX_MAX, "vm.%s.memory.", vm->config.name);
	return vm;
}

enum stat_taken stat_memory_take(unsigned instance, void *figures, u64 *walk)
{
	struct vm *vm = vm_get(instance);
	struct vm_share *out = figures;
	struct share_count *sum = (struct share_count *)(out + 1);
	struct gfn gfn = {*walk};
	bool more = false;

	if (!vm_hold(vm)) {
		*out = vm->share;
		return vm_is_ended(vm) ? STAT_TAKEN : STAT_NONE;
	}
	if (!*walk)
		*sum = (struct share_count){0};
	more = inspect_share(vm->memory, &gfn, WALK_PAGES, sum);
	*walk = gfn.raw;
	if (!more)
		take_share(vm, out, sum);
	vm_release(vm);
	return more ? STAT_AGAIN : STAT_TAKEN;
}

/* --- vCPU, subscriber, slot ------------------------------------------------------------------ */

/* Part `instance` of all VMs' parts: its VM, and its number there. */
static struct vm *part_of(unsigned *instance, unsigned (*parts)(const struct vm *vm))
{
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		unsigned count = parts(vm);

		if (*instance < count)
			return vm;
		*instance -= count;
	}
	return NULL;
}

static unsigned vcpus_of(const struct vm *vm)
{
	return vm->config.vcpus;
}

bool stat_vcpu_prefix(unsigned instance, char *prefix)
{
	const struct vm *vm = part_of(&instance, vcpus_of);

	if (vm)
		format_text(prefix, STAT_PREFIX_MAX, "vm.%s.vcpu.%u.", vm->config.name, instance);
	return vm;
}

enum stat_taken stat_vcpu_take(unsigned instance, void *figures, u64 *walk)
{
	struct vm *vm = part_of(&instance, vcpus_of);
	struct stat_vcpu *out = figures;
	struct vcpu *vcpu;

	if (!vm_hold(vm))
		return STAT_NONE;
	vcpu = vm->vcpu[instance];
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		out->exits[i] = exit_count(&vcpu->exits[i]);
	out->state = ck_pr_load_32(&vcpu->state);
	out->cpu = vcpu->cpu;
	out->slices = ck_pr_load_64(&vcpu->slices);
	out->used = stat_ns(ck_pr_load_64(&vcpu->used));
	out->stolen = stat_ns(ck_pr_load_64(&vcpu->stolen));
	out->starved = ck_pr_load_64(&vcpu->starved);
	vm_release(vm);
	return STAT_TAKEN;
}

static unsigned kinds_of(const struct vm *vm)
{
	return VM_SUBSCRIBERS_MAX;
}

/* Of kind `kind` of a VM, as it runs or as it ended. False: there are none. */
static bool take_kind(struct vm *vm, unsigned kind, struct vm_subscriber_stats *out)
{
	struct vm_memory_stats stats = {0};

	if (vm_hold(vm)) {
		notifier_each(addrspace_notifier(vm->memory), add_subscriber, &stats);
		*out = stats.subscribers[kind];
		vm_release(vm);
	} else {
		*out = vm->memory_stats.subscribers[kind];
	}
	return out->name;
}

/* A kind without subscribers has no figures; its prefix matches no pattern. */
bool stat_subscriber_prefix(unsigned instance, char *prefix)
{
	struct vm *vm = part_of(&instance, kinds_of);
	struct vm_subscriber_stats stats;

	if (vm && take_kind(vm, instance, &stats))
		format_text(prefix, STAT_PREFIX_MAX, "vm.%s.sub.%s.", vm->config.name, stats.name);
	else
		prefix[0] = '\0';
	return vm;
}

static void fill_subscriber(struct stat_subscriber *out, const struct vm_subscriber_stats *stats)
{
	out->count = stats->count;
	out->work = stats->work;
	out->work.waited = stat_ns(out->work.waited);
	memcpy(out->invalidated, stats->drops, sizeof(out->invalidated));
	memcpy(out->in_place, stats->changes, sizeof(out->in_place));
}

enum stat_taken stat_subscriber_take(unsigned instance, void *figures, u64 *walk)
{
	struct vm *vm = part_of(&instance, kinds_of);
	struct vm_subscriber_stats stats;

	if (!take_kind(vm, instance, &stats))
		return STAT_NONE;
	fill_subscriber(figures, &stats);
	return STAT_TAKEN;
}

/* Of kind `kind` of all VMs, in the order in which the VMs have them. False: there are no more. */
static bool take_kind_of_all(unsigned kind, struct vm_subscriber_stats *out)
{
	struct vm_subscriber_stats all[VM_SUBSCRIBERS_MAX] = {0}, one;
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++)
		for (unsigned k = 0; k < VM_SUBSCRIBERS_MAX; k++)
			if (take_kind(vm, k, &one))
				add_subscribers(subscriber_row(all, one.name), &one);
	*out = all[kind];
	return out->name;
}

bool stat_subscribers_prefix(unsigned instance, char *prefix)
{
	struct vm_subscriber_stats stats;

	if (instance >= VM_SUBSCRIBERS_MAX || !take_kind_of_all(instance, &stats))
		return false;
	format_text(prefix, STAT_PREFIX_MAX, "sub.%s.", stats.name);
	return true;
}

enum stat_taken stat_subscribers_take(unsigned instance, void *figures, u64 *walk)
{
	struct vm_subscriber_stats stats;

	if (!take_kind_of_all(instance, &stats))
		return STAT_NONE;
	fill_subscriber(figures, &stats);
	return STAT_TAKEN;
}

#define SLOTS_MAX 32

static unsigned slots_of(const struct vm *vm)
{
	return SLOTS_MAX;
}

bool stat_slot_prefix(unsigned instance, char *prefix)
{
	struct vm *vm = part_of(&instance, slots_of);

	if (vm)
		format_text(prefix, STAT_PREFIX_MAX, "vm.%s.slot.%u.", vm->config.name, instance);
	return vm;
}

enum stat_taken stat_slot_take(unsigned instance, void *figures, u64 *walk)
{
	struct vm *vm = part_of(&instance, slots_of);
	struct stat_slot *out = figures;
	struct gfn_range range;
	enum slot_kind kind;
	bool found;

	if (!vm_hold(vm))
		return STAT_NONE;
	found = inspect_slot(vm->memory, instance, &range, &kind);
	vm_release(vm);
	if (!found)
		return STAT_NONE;
	*out = (struct stat_slot){range.start.raw, gfn_range_frames(range), kind};
	return STAT_TAKEN;
}
