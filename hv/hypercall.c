/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall.c: what a guest asks for by VMCALL or VMMCALL.
 *
 * Invariants:
 * HYPERCALL-1  a call checks all its arguments before it changes anything.
 * HYPERCALL-2  a wrong argument is the caller's own business: it gets an error code, nobody else notices.
 */
#include <abi/hypercall.h>
#include <hv/exits.h>
#include <hv/sched.h>
#include <hv/vcpu.h>
#include <lib/error.h>
#include <lib/log.h>

#define CONSOLE_MAX 4096
#define COPY_CHUNK  128
#define FORGET_MAX  4096
#define MAX_GFN	    (1ull << 40) /* 52 address bits */

/* Arguments are in the vCPU's registers; what a call means for the run loop, it says as a request. */
typedef s64 (*call_handler)(struct vcpu *vcpu);

static u64 argument(const struct vcpu *vcpu, unsigned i)
{
	static const u8 registers[] = {GPR_RDI, GPR_RSI, GPR_RDX, GPR_R10};

	return vcpu->arch.gpr[registers[i]];
}

static s64 call_error(int err)
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
	(void)vcpu;
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
	u64 from = argument(vcpu, 0), len = argument(vcpu, 1);
	char text[COPY_CHUNK];

	if (len > CONSOLE_MAX || from + len < from)
		return HYPERCALL_ERROR_INVALID;
	for (u64 done = 0; done < len; done += COPY_CHUNK) {
		size_t chunk = MIN(len - done, (u64)COPY_CHUNK);
		int err = addrspace_read(vm->memory, (struct gpa){from + done}, text, chunk);

		if (err != 0)
			return err == ERR_NO_MEMORY ? HYPERCALL_ERROR_NO_MEMORY
						    : HYPERCALL_ERROR_RANGE;
		print(&vm->console, text, chunk);
	}
	return (s64)len;
}

static s64 call_shutdown(struct vcpu *vcpu)
{
	vm_stop(vcpu->vm, VM_END_SHUTDOWN, argument(vcpu, 0));
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

	(void)vcpu;
	return (s64)(ticks / rate * 1000000000 + ticks % rate * 1000000000 / rate);
}

static struct vcpu *vcpu_named(const struct vcpu *caller, u64 index)
{
	struct vm *vm = caller->vm;

	return index < vm->config.vcpus ? vm->vcpu[index] : NULL;
}

static s64 call_vcpu_start(struct vcpu *vcpu)
{
	struct vcpu *target = vcpu_named(vcpu, argument(vcpu, 0));

	if (!target)
		return HYPERCALL_ERROR_RANGE;
	return call_error(
		vcpu_start(target, vcpu, argument(vcpu, 1), argument(vcpu, 2), argument(vcpu, 3)));
}

static s64 call_vcpu_count(struct vcpu *vcpu)
{
	return vcpu->vm->config.vcpus;
}

static s64 call_ipi(struct vcpu *vcpu)
{
	struct vcpu *target = vcpu_named(vcpu, argument(vcpu, 0));
	u32 state;

	if (!target)
		return HYPERCALL_ERROR_RANGE;
	if (argument(vcpu, 1) < 32 || argument(vcpu, 1) >= VCPU_VECTORS)
		return HYPERCALL_ERROR_INVALID;
	state = __atomic_load_n(&target->state, __ATOMIC_ACQUIRE);
	if (state == VCPU_OFF || state == VCPU_GONE)
		return HYPERCALL_ERROR_BUSY;
	vcpu_raise_irq(target, (u8)argument(vcpu, 1));
	return 0;
}

static s64 total_exits(const struct vcpu *vcpu)
{
	u64 sum = 0;

	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		sum += vcpu->exits[i];
	return (s64)sum;
}

static s64 call_statistic(struct vcpu *vcpu)
{
	struct vcpu *target = vcpu_named(vcpu, argument(vcpu, 1));

	if (argument(vcpu, 0) >= HYPERCALL_STATISTICS)
		return HYPERCALL_ERROR_INVALID;
	if (!target)
		return HYPERCALL_ERROR_RANGE;
	switch ((enum hypercall_statistic)argument(vcpu, 0)) {
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
	case HYPERCALL_STATISTICS:
		break;
	}
	return HYPERCALL_ERROR_INVALID;
}

/* Arguments 0 and 1 as a range of gfns. What lies outside memory, mm refuses. */
static bool range_of(const struct vcpu *vcpu, struct gfn_range *out)
{
	u64 first = argument(vcpu, 0), frames = argument(vcpu, 1);

	if (frames == 0 || first + frames < first || first + frames > MAX_GFN)
		return false;
	*out = gfn_range((struct gfn){first}, frames);
	return true;
}

static s64 call_protect(struct vcpu *vcpu)
{
	struct gfn_range range;
	u64 access = argument(vcpu, 2);

	if (!range_of(vcpu, &range) ||
	    (access != HYPERCALL_ACCESS_READ && access != HYPERCALL_ACCESS_WRITE))
		return HYPERCALL_ERROR_INVALID;
	return call_error(
		addrspace_protect(vcpu->vm->memory, range, access == HYPERCALL_ACCESS_WRITE));
}

static s64 call_discard(struct vcpu *vcpu)
{
	struct gfn_range range;

	if (!range_of(vcpu, &range))
		return HYPERCALL_ERROR_INVALID;
	return call_error(addrspace_clear(vcpu->vm->memory, range, 0));
}

static s64 call_watch(struct vcpu *vcpu)
{
	struct gfn_range range;

	if (!range_of(vcpu, &range))
		return HYPERCALL_ERROR_INVALID;
	return call_error(addrspace_clear_soft_dirty(vcpu->vm->memory, range));
}

static s64 call_forget(struct vcpu *vcpu)
{
	struct gfn_range range;
	int err = 0;

	if (!range_of(vcpu, &range) || gfn_range_frames(range) > FORGET_MAX)
		return HYPERCALL_ERROR_INVALID;
	for (u64 i = 0; err == 0 && i < gfn_range_frames(range); i++)
		err = addrspace_exclusive(vcpu->vm->memory, gfn_add(range.start, i), NULL);
	return call_error(err);
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
	(void)exit;
	vcpu->arch.gpr[GPR_RAX] = (u64)dispatch(vcpu);
	return EXIT_NEXT_INSN;
}
