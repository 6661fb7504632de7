/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c: where each VM is, while it says nothing itself. progress.h has the line.
 *
 * Invariants:
 * PROGRESS-1  the line comes only after `interval` in which nobody has printed.
 */
#include <hv/progress.h>
#include <arch/cpu.h>
#include <hv/vm.h>
#include <lib/format.h>
#include <lib/log.h>
#include <mm/addrspace.h>

#define LOG_THIS LOG_HV
#define LINE	 90  /* from here on VMs are only counted */
#define VM_WORDS 112 /* at most, for one VM */

/*
 * Of CPU 0. `printed` is log_writes() at the last look, `due` when it will have stayed so for long
 * enough.
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

static bool sleeps(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		if (__atomic_load_n(&vm->vcpu[i]->state, __ATOMIC_RELAXED) == VCPU_READY)
			return false;
	return true;
}

static u64 exits_of(const struct vm *vm)
{
	u64 sum = 0;

	for (unsigned i = 0; i < vm->config.vcpus; i++)
		for (unsigned reason = 0; reason < HV_EXIT_REASONS; reason++)
			sum += __atomic_load_n(&vm->vcpu[i]->exits[reason], __ATOMIC_RELAXED);
	return sum;
}

static u64 pages_of(const struct vm *vm)
{
	struct addrspace_pages pages;

	addrspace_count(vm->memory, &pages);
	return pages.private + pages.shared + pages.zero;
}

static size_t describe(const struct vm *vm, char *text, size_t size)
{
	return format_text(text, size, "%s %s, %llu MiB, %llu exits", vm->config.name,
			   sleeps(vm) ? "sleeps" : "runs",
			   (unsigned long long)(pages_of(vm) * PAGE_SIZE >> 20),
			   (unsigned long long)exits_of(vm));
}

static void tell(void)
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
			len += describe(vm, line + len, sizeof(line) - len);
		} else {
			more++;
		}
		vm_let_go(vm);
	}
	if (more)
		log_info("progress: %s; and %u more", line, more);
	else if (len)
		log_info("progress: %s", line);
}

void progress_poll(void)
{
	u64 now, printed;

	if (progress.due == TICK_NEVER || arch_cpu_id() != 0)
		return;
	now = arch_ticks();
	printed = log_writes();
	if (printed == progress.printed && now < progress.due)
		return;
	if (printed == progress.printed)
		tell();
	progress.printed = log_writes();
	progress.due = now + progress.interval;
}

u64 progress_alarm(void)
{
	return arch_cpu_id() == 0 ? progress.due : TICK_NEVER;
}
