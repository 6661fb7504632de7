/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c: the state of each VM while none of them prints. progress.h has the line.
 *
 * Invariants:
 * PROGRESS-1  the line comes only after `interval` in which nothing was printed.
 */
#include <hv/progress.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/vm.h>
#include <lib/format.h>
#include <lib/log.h>
#include <mm/addrspace.h>

#define LOG_THIS LOG_HV
#define LINE	 90  /* from here on VMs are only counted */
#define VM_WORDS 112 /* at most, for one VM */

/*
 * Of CPU 0. `printed` is log_writes() at the last poll, `due` the tick at which it will have stayed
 * so for long enough.
 */
static struct {
	u64 interval, due, printed;
} progress = {.due = TICK_NEVER};

void progress_start(u64 seconds)
{
	progress.interval = seconds * arch_ticks_per_second();
	progress.due = seconds ? arch_ticks() + progress.interval : TICK_NEVER;
	progress.printed = log_writes();
}

static bool vm_sleeps(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		if (ck_pr_load_32(&vm->vcpu[i]->state) == VCPU_READY)
			return false;
	return true;
}

static u64 vm_exits(const struct vm *vm)
{
	u64 sum = 0;

	for (unsigned i = 0; i < vm->config.vcpus; i++)
		for (unsigned reason = 0; reason < HV_EXIT_REASONS; reason++)
			sum += exit_count(&vm->vcpu[i]->exits[reason]);
	return sum;
}

static u64 vm_pages(const struct vm *vm)
{
	struct addrspace_pages pages;

	addrspace_count(vm->memory, &pages);
	return pages.private + pages.shared + pages.zero;
}

static size_t describe_vm(const struct vm *vm, char *text, size_t size)
{
	return format_text(text, size, "%s %s, %lu MiB, %lu exits", vm->config.name,
			   vm_sleeps(vm) ? "sleeps" : "runs", (vm_pages(vm) << PAGE_SHIFT) >> 20,
			   vm_exits(vm));
}

static void print_progress(void)
{
	unsigned more = 0;
	char line[LINE + VM_WORDS];
	size_t len = 0;
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		if (!vm_hold(vm))
			continue;
		if (len < LINE) {
			len += format_text(line + len, sizeof(line) - len, len ? "; " : "");
			len += describe_vm(vm, line + len, sizeof(line) - len);
		} else {
			more++;
		}
		vm_release(vm);
	}
	if (more)
		log_info("progress: %s; and %u more", line, more);
	else if (len)
		log_info("progress: %s", line);
}

bool progress_poll(bool idle)
{
	u64 now, printed;

	if (progress.due == TICK_NEVER || arch_cpu_id() != 0)
		return false;
	now = arch_ticks();
	printed = log_writes();
	if (printed == progress.printed && now < progress.due)
		return false;
	if (printed == progress.printed)
		print_progress();
	progress.printed = log_writes();
	progress.due = now + progress.interval;
	return false;
}

u64 progress_alarm(void)
{
	return arch_cpu_id() == 0 ? progress.due : TICK_NEVER;
}
