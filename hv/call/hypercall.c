/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall.c: dispatch of VMCALL and VMMCALL, and the short calls.
 *
 * Invariants:
 * HYPERCALL-1  a call checks all its arguments before it changes anything.
 * HYPERCALL-2  a wrong argument has one effect, an error code for the caller.
 * HYPERCALL-3  a call takes HYPERCALL_STEP_MAX instructions at most, whatever its arguments.
 */
#include <hv/hypercall.h>
#include <ck_pr.h>
#include <hv/irqchip.h>
#include <hv/sched.h>
#include <lib/error.h>
#include <lib/log.h>
#include <trace/trace.h>
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
	case ERR_EXISTS:
	case ERR_WOULD_BLOCK:
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

/* Up to the end of a line, which is what the machine's UART is slow for. Returns how many. */
static size_t print_line(struct console *console, const char *text, size_t len)
{
	size_t done = 0;

	spin_lock(&console->lock);
	do
		console_put(console, text[done]);
	while (text[done++] != '\n' && done < len);
	spin_unlock(&console->lock);
	return done;
}

static s64 call_console(struct vcpu *vcpu)
{
	u64 from = hypercall_argument(vcpu, 0), len = hypercall_argument(vcpu, 1), chunk;
	char text[COPY_CHUNK];
	int err;

	if (len > CONSOLE_MAX || from + len < from)
		return HYPERCALL_ERROR_INVALID;
	if (len == 0)
		return 0;
	chunk = MIN(MIN(len, (u64)COPY_CHUNK), PAGE_SIZE - page_offset(from));
	err = hypercall_device_copy(vcpu, 0, (struct gpa){from}, text, chunk);
	if (err)
		return hypercall_error(err);
	return (s64)print_line(&vcpu->vm->console, text, chunk);
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
	state = ck_pr_load_32(&target->state);
	if (state == VCPU_OFF || state == VCPU_GONE)
		return HYPERCALL_ERROR_BUSY;
	vcpu_raise_irq(target, (u8)hypercall_argument(vcpu, 1));
	return 0;
}

static s64 total_exits(const struct vcpu *vcpu)
{
	u64 sum = 0;

	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		sum += exit_count(&vcpu->exits[i]);
	return (s64)sum;
}

static s64 total_flushes(const struct vm *vm, bool kicks)
{
	struct stage2_stats stats;

	vm_stage2_stats(vm, &stats);
	return (s64)(kicks ? stats.kicks : stats.flushes);
}

static int add_waits(struct subscription *sub, void *argument)
{
	struct subscriber_work *sum = argument, work;

	if (!sub->ops->work)
		return 0;
	sub->ops->work(sub, &work);
	sum->waits += work.waits;
	sum->waited += work.waited;
	return 0;
}

static struct subscriber_work total_waits(struct notifier *notifier)
{
	struct subscriber_work sum = {0};

	notifier_each(notifier, add_waits, &sum);
	return sum;
}

static s64 call_statistic(struct vcpu *vcpu)
{
	struct notifier *notifier = addrspace_notifier(vcpu->vm->memory);
	struct vcpu *target = vcpu_named(vcpu, hypercall_argument(vcpu, 1));
	u64 ahead;

	if (hypercall_argument(vcpu, 0) >= HYPERCALL_STATISTICS)
		return HYPERCALL_ERROR_INVALID;
	if (!target)
		return HYPERCALL_ERROR_RANGE;
	switch ((enum hypercall_statistic)hypercall_argument(vcpu, 0)) {
	case HYPERCALL_STATISTIC_EXITS:
		return total_exits(target);
	case HYPERCALL_STATISTIC_FAULTS:
		return (s64)exit_count(&target->exits[HV_EXIT_STAGE2]);
	case HYPERCALL_STATISTIC_SLICES:
		return (s64)target->slices;
	case HYPERCALL_STATISTIC_CPU:
		return target->cpu;
	case HYPERCALL_STATISTIC_TURNS:
		return (s64)sched_turns(target->cpu);
	case HYPERCALL_STATISTIC_FLUSHES:
		return total_flushes(vcpu->vm, false);
	case HYPERCALL_STATISTIC_CALLBACKS:
		return (s64)notifier_callbacks(notifier);
	case HYPERCALL_STATISTIC_MERGES:
		return (s64)notifier_events(notifier, EVENT_MERGE);
	case HYPERCALL_STATISTIC_BREAKS:
		return (s64)addrspace_breaks(vcpu->vm->memory, &ahead);
	case HYPERCALL_STATISTIC_KICKS:
		return total_flushes(vcpu->vm, true);
	case HYPERCALL_STATISTIC_WAITS:
		return (s64)total_waits(notifier).waits;
	case HYPERCALL_STATISTIC_WAITED:
		return (s64)total_waits(notifier).waited;
	case HYPERCALL_STATISTICS:
		break;
	}
	return HYPERCALL_ERROR_INVALID;
}

/* For VMs with test_calls=yes only. */
static const call_handler test_calls[HYPERCALLS] = {
	[HYPERCALL_PROTECT] = call_protect,
	[HYPERCALL_DISCARD] = call_discard,
	[HYPERCALL_WATCH] = call_watch,
	[HYPERCALL_UNMAP] = call_unmap,
	[HYPERCALL_DEVICE_READ] = call_device_read,
	[HYPERCALL_SHARE] = call_share,
	[HYPERCALL_DIRTY] = call_dirty,
	[HYPERCALL_RECLAIM] = call_reclaim,
	[HYPERCALL_OPERATE] = call_operate,
};

static s64 call_for_tests(struct vcpu *vcpu)
{
	if (!vcpu->vm->config.test_calls)
		return HYPERCALL_ERROR_PERMISSION;
	return test_calls[vcpu->arch.gpr[GPR_RAX]](vcpu);
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
	[HYPERCALL_MERGE] = call_merge,
	[HYPERCALL_MERGE_STATS] = call_merge_stats,
	[HYPERCALL_MERGE_ENGINE] = call_merge_engine,
	[HYPERCALL_MERGE_SCAN] = call_merge_scan,
	[HYPERCALL_PROTECT] = call_for_tests,
	[HYPERCALL_DISCARD] = call_for_tests,
	[HYPERCALL_WATCH] = call_for_tests,
	[HYPERCALL_UNMAP] = call_for_tests,
	[HYPERCALL_DEVICE_READ] = call_for_tests,
	[HYPERCALL_SHARE] = call_for_tests,
	[HYPERCALL_DIRTY] = call_for_tests,
	[HYPERCALL_RECLAIM] = call_for_tests,
	[HYPERCALL_OPERATE] = call_for_tests,
};

static __always_inline s64 hypercall_dispatch(struct vcpu *vcpu)
{
	u64 number;

	if (unlikely(*vcpu->arch.cpl) && virt->cpl(&vcpu->arch) != 0)
		return HYPERCALL_ERROR_PERMISSION;
	number = vcpu->arch.gpr[GPR_RAX];
	if (unlikely(number >= HYPERCALLS))
		return HYPERCALL_ERROR_NUMBER;
	return calls[number](vcpu);
}

/* Not cold: a function optimized for size copies the event's fields byte by byte. */
static __noinline enum exit_verdict hypercall_traced(struct vcpu *vcpu)
{
	u64 number = vcpu->arch.gpr[GPR_RAX], result = (u64)hypercall_dispatch(vcpu);

	vcpu->arch.gpr[GPR_RAX] = result;
	TRACE(hypercall, addrspace_id(vcpu->vm->memory), .argument0 = hypercall_argument(vcpu, 0),
	      .argument1 = hypercall_argument(vcpu, 1), .result = result, .number = (u32)number,
	      .vcpu = (u16)vcpu->index);
	return EXIT_NEXT_INSN;
}

enum exit_verdict exit_hypercall(struct vcpu *vcpu, const struct hv_exit *exit)
{
	if (TRACE_ON(hypercall))
		return hypercall_traced(vcpu);
	vcpu->arch.gpr[GPR_RAX] = (u64)hypercall_dispatch(vcpu);
	return EXIT_NEXT_INSN;
}
