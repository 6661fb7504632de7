/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall.c: what a guest asks for by VMCALL or VMMCALL.
 *
 * Invariants:
 * HYPERCALL-1  a call checks all its arguments before it changes anything.
 * HYPERCALL-2  a wrong argument is the caller's own business: it gets an error code, nobody else
 *              notices.
 */
#include <hv/hypercall.h>
#include <hv/irqchip.h>
#include <hv/sched.h>
#include <lib/error.h>
#include <lib/log.h>
#include "hv/call/private.h"

#define CONSOLE_MAX 4096
#define COPY_CHUNK  128

typedef s64 (*call_handler)(struct vcpu *vcpu);

s64 hypercall_error(int err)
{
	switch (err) {
	case 0:
		return 0;
	case ERR_NO_MEMORY:
		return HYPERCALL_ERROR_NO_MEMORY;
	case ERR_RANGE:
	case ERR_NOT_FOUND:
		return HYPERCALL_ERROR_RANGE;
	case ERR_BUSY:
		return HYPERCALL_ERROR_BUSY;
	case ERR_PERMISSION:
		return HYPERCALL_ERROR_PERMISSION;
	case ERR_UNSUPPORTED:
		return HYPERCALL_ERROR_UNSUPPORTED;
	default:
		return HYPERCALL_ERROR_INVALID;
	}
}

static s64 call_ping(struct vcpu *vcpu)
{
	return 0;
}

static void print(struct console *console, const char *text, size_t len)
{
	spin_lock(&console->lock);
	for (size_t i = 0; i < len; i++)
		console_put(console, text[i]);
	spin_unlock(&console->lock);
}

static s64 call_console(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	u64 from = hypercall_argument(vcpu, 0), len = hypercall_argument(vcpu, 1);
	char text[COPY_CHUNK];

	if (len > CONSOLE_MAX || from + len < from)
		return HYPERCALL_ERROR_INVALID;
	for (u64 done = 0, chunk; done < len; done += chunk) {
		struct gpa at = {from + done};
		int err;

		chunk = MIN(MIN(len - done, (u64)COPY_CHUNK), PAGE_SIZE - page_offset(at.raw));
		err = hypercall_device_copy(vcpu, 0, at, text, chunk);
		if (err != 0)
			return hypercall_error(err);
		print(&vm->console, text, chunk);
	}
	return (s64)len;
}

static s64 call_shutdown(struct vcpu *vcpu)
{
	vm_stop(vcpu->vm, VM_END_SHUTDOWN, hypercall_argument(vcpu, 0));
	return 0;
}

static s64 call_yield(struct vcpu *vcpu)
{
	vcpu_request(vcpu, REQUEST_RESCHEDULE);
	return 0;
}

static s64 call_time(struct vcpu *vcpu)
{
	u64 ticks = arch_ticks(), rate = arch_ticks_per_second();

	return (s64)(ticks / rate * 1000000000 + ticks % rate * 1000000000 / rate);
}

static struct vcpu *vcpu_named(const struct vcpu *caller, u64 index)
{
	struct vm *vm = caller->vm;

	return index < vm->config.vcpus ? vm->vcpu[index] : NULL;
}

static s64 call_vcpu_start(struct vcpu *vcpu)
{
	struct vcpu *target = vcpu_named(vcpu, hypercall_argument(vcpu, 0));

	if (!target)
		return HYPERCALL_ERROR_RANGE;
	return hypercall_error(vcpu_start(target, vcpu, hypercall_argument(vcpu, 1),
					  hypercall_argument(vcpu, 2),
					  hypercall_argument(vcpu, 3)));
}

static s64 call_vcpu_count(struct vcpu *vcpu)
{
	return vcpu->vm->config.vcpus;
}

static s64 call_ipi(struct vcpu *vcpu)
{
	struct vcpu *target = vcpu_named(vcpu, hypercall_argument(vcpu, 0));
	u32 state;

	if (!target)
		return HYPERCALL_ERROR_RANGE;
	if (hypercall_argument(vcpu, 1) < 32 || hypercall_argument(vcpu, 1) >= VCPU_VECTORS)
		return HYPERCALL_ERROR_INVALID;
	state = __atomic_load_n(&target->state, __ATOMIC_ACQUIRE);
	if (state == VCPU_OFF || state == VCPU_GONE)
		return HYPERCALL_ERROR_BUSY;
	vcpu_raise_irq(target, (u8)hypercall_argument(vcpu, 1));
	return 0;
}

static s64 total_exits(const struct vcpu *vcpu)
{
	u64 sum = 0;

	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		sum += vcpu->exits[i];
	return (s64)sum;
}

static s64 total_flushes(const struct vm *vm)
{
	struct stage2_stats stats;

	stage2_stats(vm->stage2, &stats);
	return (s64)stats.flushes;
}

static s64 call_statistic(struct vcpu *vcpu)
{
	struct notifier *notifier = addrspace_notifier(vcpu->vm->memory);
	struct vcpu *target = vcpu_named(vcpu, hypercall_argument(vcpu, 1));

	if (hypercall_argument(vcpu, 0) >= HYPERCALL_STATISTICS)
		return HYPERCALL_ERROR_INVALID;
	if (!target)
		return HYPERCALL_ERROR_RANGE;
	switch ((enum hypercall_statistic)hypercall_argument(vcpu, 0)) {
	case HYPERCALL_STATISTIC_EXITS:
		return total_exits(target);
	case HYPERCALL_STATISTIC_FAULTS:
		return (s64)target->exits[HV_EXIT_STAGE2];
	case HYPERCALL_STATISTIC_SLICES:
		return (s64)target->slices;
	case HYPERCALL_STATISTIC_CPU:
		return target->cpu;
	case HYPERCALL_STATISTIC_TURNS:
		return (s64)sched_turns(target->cpu);
	case HYPERCALL_STATISTIC_FLUSHES:
		return total_flushes(vcpu->vm);
	case HYPERCALL_STATISTIC_CALLBACKS:
		return (s64)notifier_callbacks(notifier);
	case HYPERCALL_STATISTIC_MERGES:
		return (s64)notifier_events(notifier, EVENT_MERGE);
	case HYPERCALL_STATISTIC_BREAKS:
		return (s64)notifier_events(notifier, EVENT_COW_BREAK);
	case HYPERCALL_STATISTICS:
		break;
	}
	return HYPERCALL_ERROR_INVALID;
}

static const call_handler calls[HYPERCALLS] = {
	[HYPERCALL_PING] = call_ping,
	[HYPERCALL_CONSOLE] = call_console,
	[HYPERCALL_SHUTDOWN] = call_shutdown,
	[HYPERCALL_YIELD] = call_yield,
	[HYPERCALL_TIME] = call_time,
	[HYPERCALL_VCPU_START] = call_vcpu_start,
	[HYPERCALL_VCPU_COUNT] = call_vcpu_count,
	[HYPERCALL_IPI] = call_ipi,
	[HYPERCALL_STATISTIC] = call_statistic,
	[HYPERCALL_PROTECT] = call_protect,
	[HYPERCALL_DISCARD] = call_discard,
	[HYPERCALL_WATCH] = call_watch,
	[HYPERCALL_FORGET] = call_forget,
	[HYPERCALL_DEVICE_READ] = call_device_read,
	[HYPERCALL_SHARE] = call_share,
	[HYPERCALL_DIRTY] = call_dirty,
	[HYPERCALL_MERGE] = call_merge,
	[HYPERCALL_MERGE_STATS] = call_merge_stats,
	[HYPERCALL_MERGE_ENGINE] = call_merge_engine,
	[HYPERCALL_MERGE_SCAN] = call_merge_scan,
	[HYPERCALL_RECLAIM] = call_reclaim,
};

static s64 dispatch(struct vcpu *vcpu)
{
	u64 number = vcpu->arch.gpr[GPR_RAX];

	if (unlikely(virt->cpl(&vcpu->arch) != 0))
		return HYPERCALL_ERROR_PERMISSION;
	if (unlikely(number >= HYPERCALLS))
		return HYPERCALL_ERROR_NUMBER;
	return calls[number](vcpu);
}

enum exit_verdict exit_hypercall(struct vcpu *vcpu, const struct hv_exit *exit)
{
	vcpu->arch.gpr[GPR_RAX] = (u64)dispatch(vcpu);
	return EXIT_NEXT_INSN;
}
