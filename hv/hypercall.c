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

struct call {
	struct vcpu *vcpu;
	u64 arg[4];
	enum exit_verdict verdict; /* EXIT_RESUME unless the call says otherwise */
};

typedef s64 (*call_handler)(struct call *call);

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

static s64 call_ping(struct call *call)
{
	(void)call;
	return 0;
}

static void print(struct console *console, const char *text, size_t len)
{
	spin_lock(&console->lock);
	for (size_t i = 0; i < len; i++)
		console_put(console, text[i]);
	spin_unlock(&console->lock);
}

static s64 call_console(struct call *call)
{
	struct vm *vm = call->vcpu->vm;
	u64 from = call->arg[0], len = call->arg[1];
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

static s64 call_shutdown(struct call *call)
{
	vm_stop(call->vcpu->vm, VM_END_SHUTDOWN, call->arg[0]);
	call->verdict = EXIT_RESCHEDULE;
	return 0;
}

static s64 call_yield(struct call *call)
{
	call->verdict = EXIT_RESCHEDULE;
	return 0;
}

static s64 call_time(struct call *call)
{
	u64 ticks = arch_ticks(), rate = arch_ticks_per_second();

	(void)call;
	return (s64)(ticks / rate * 1000000000 + ticks % rate * 1000000000 / rate);
}

static struct vcpu *vcpu_named(const struct call *call, u64 index)
{
	struct vm *vm = call->vcpu->vm;

	return index < vm->config.vcpus ? vm->vcpu[index] : NULL;
}

static s64 call_vcpu_start(struct call *call)
{
	struct vcpu *vcpu = vcpu_named(call, call->arg[0]);

	if (!vcpu)
		return HYPERCALL_ERROR_RANGE;
	return call_error(vcpu_start(vcpu, call->vcpu, call->arg[1], call->arg[2], call->arg[3]));
}

static s64 call_vcpu_count(struct call *call)
{
	return call->vcpu->vm->config.vcpus;
}

static s64 call_ipi(struct call *call)
{
	struct vcpu *vcpu = vcpu_named(call, call->arg[0]);
	u32 state;

	if (!vcpu)
		return HYPERCALL_ERROR_RANGE;
	if (call->arg[1] < 32 || call->arg[1] >= VCPU_VECTORS)
		return HYPERCALL_ERROR_INVALID;
	state = __atomic_load_n(&vcpu->state, __ATOMIC_ACQUIRE);
	if (state == VCPU_OFF || state == VCPU_GONE)
		return HYPERCALL_ERROR_BUSY;
	vcpu_raise_irq(vcpu, (u8)call->arg[1]);
	return 0;
}

static s64 total_exits(const struct vcpu *vcpu)
{
	u64 sum = 0;

	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		sum += vcpu->exits[i];
	return (s64)sum;
}

static s64 call_statistic(struct call *call)
{
	struct vcpu *vcpu = vcpu_named(call, call->arg[1]);

	if (call->arg[0] >= HYPERCALL_STATISTICS)
		return HYPERCALL_ERROR_INVALID;
	if (!vcpu)
		return HYPERCALL_ERROR_RANGE;
	switch ((enum hypercall_statistic)call->arg[0]) {
	case HYPERCALL_STATISTIC_EXITS:
		return total_exits(vcpu);
	case HYPERCALL_STATISTIC_FAULTS:
		return (s64)vcpu->exits[HV_EXIT_STAGE2];
	case HYPERCALL_STATISTIC_SLICES:
		return (s64)vcpu->slices;
	case HYPERCALL_STATISTIC_CPU:
		return vcpu->cpu;
	case HYPERCALL_STATISTIC_TURNS:
		return (s64)sched_turns(vcpu->cpu);
	case HYPERCALL_STATISTICS:
		break;
	}
	return HYPERCALL_ERROR_INVALID;
}

/* Arguments 0 and 1 as a range of gfns. What lies outside memory, mm refuses. */
static bool range_of(const struct call *call, struct gfn_range *out)
{
	u64 first = call->arg[0], frames = call->arg[1];

	if (frames == 0 || first + frames < first || first + frames > MAX_GFN)
		return false;
	*out = gfn_range((struct gfn){first}, frames);
	return true;
}

static s64 call_protect(struct call *call)
{
	struct gfn_range range;
	u64 access = call->arg[2];

	if (!range_of(call, &range) ||
	    (access != HYPERCALL_ACCESS_READ && access != HYPERCALL_ACCESS_WRITE))
		return HYPERCALL_ERROR_INVALID;
	return call_error(
		addrspace_protect(call->vcpu->vm->memory, range, access == HYPERCALL_ACCESS_WRITE));
}

static s64 call_discard(struct call *call)
{
	struct gfn_range range;

	if (!range_of(call, &range))
		return HYPERCALL_ERROR_INVALID;
	return call_error(addrspace_clear(call->vcpu->vm->memory, range, 0));
}

static s64 call_watch(struct call *call)
{
	struct gfn_range range;

	if (!range_of(call, &range))
		return HYPERCALL_ERROR_INVALID;
	return call_error(addrspace_clear_soft_dirty(call->vcpu->vm->memory, range));
}

static s64 call_forget(struct call *call)
{
	struct gfn_range range;
	int err = 0;

	if (!range_of(call, &range) || gfn_range_frames(range) > FORGET_MAX)
		return HYPERCALL_ERROR_INVALID;
	for (u64 i = 0; err == 0 && i < gfn_range_frames(range); i++)
		err = addrspace_exclusive(call->vcpu->vm->memory, gfn_add(range.start, i), NULL);
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

static s64 dispatch(struct call *call)
{
	u64 number = call->vcpu->arch.gpr[GPR_RAX];

	if (unlikely(virt->cpl(&call->vcpu->arch) != 0))
		return HYPERCALL_ERROR_PERMISSION;
	if (unlikely(number >= HYPERCALLS))
		return HYPERCALL_ERROR_NUMBER;
	return calls[number](call);
}

enum exit_verdict exit_hypercall(struct vcpu *vcpu, const struct hv_exit *exit)
{
	u64 *gpr = vcpu->arch.gpr;
	struct call call = {
		.vcpu = vcpu,
		.arg = {gpr[GPR_RDI], gpr[GPR_RSI], gpr[GPR_RDX], gpr[GPR_R10]},
		.verdict = EXIT_RESUME,
	};

	virt->skip_insn(&vcpu->arch, exit);
	gpr[GPR_RAX] = (u64)dispatch(&call);
	return call.verdict;
}
