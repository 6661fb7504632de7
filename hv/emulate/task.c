/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.c: a task switch by hardware, carried out (SDM vol. 3A, 8.3).
 *
 *     old task                                  new task
 *     TSS <-- registers         TR, CR3, registers, LDTR <-- TSS
 *     descriptor: busy off                      descriptor: busy on
 *                                               link: old task, NT (CALL, task gate)
 *                                               segments, error code of the event on the stack
 *
 * VT-x never switches: it checks the new TSS's descriptor and exits (SDM 26.4.2). AMD-V could, but
 * cannot begin again after a second-level fault in the middle: it exits, too. QEMU's does not.
 *
 * Invariants:
 * TASK-1  all that may fault for the old task (descriptors, both TSSes) is tried before anything is
 *         written; such a fault leaves the old task as it was.
 * TASK-2  a fault after that is the new task's: its registers are loaded as far as they go.
 * TASK-3  nothing that the guest can place in a TSS or a descriptor reaches the CPU unchecked: a
 *         state that set_state() refuses stops the VM.
 */
#include <hv/task.h>
#include <arch/regs.h>
#include <hv/exit.h>
#include <hv/vcpu.h>
#include <hv/vm_memory.h>
#include <lib/string.h>
#include "hv/emulate/segment.h"

#define TYPE_BUSY	2u
#define TYPE_TSS_32	8u   /* of a system descriptor: 1, 3 with 16 bits; 9, 11 with 32 */
#define TSS_TYPE_BITS	0x1d /* S and type, but for the two above */
#define DESCRIPTOR_TYPE 5
#define TSS_SIZE	104
#define TSS_TRAP	0x64
#define DR7_LOCAL	0x155ull
#define DR6_BT		BIT(15)
#define RFLAGS_LOADED	0x3f7fd7ull
#define TASK_SEGMENTS	6

/* Offsets in a TSS; registers and segments follow each other in the order of their numbers. */
struct tss_layout {
	u8 width;		   /* of an entry */
	u8 size, ip, flags, gpr;   /* of what the CPU saves and loads; IP, FLAGS, AX ... DI */
	u8 segments, segment, ldt; /* how many; ES ...; LDT */
	u8 cr3;			   /* 0: none */
};

static const struct tss_layout layout_16 = {2, 44, 0x0e, 0x10, 0x12, 4, 0x22, 0x2a, 0};
static const struct tss_layout layout_32 = {4, TSS_SIZE, 0x20, 0x24, 0x28, 6, 0x48, 0x60, 0x1c};

struct task {
	const struct tss_layout *layout;
	struct guest_segment_state tr;
	u64 descriptor; /* its linear address */
	u8 tss[TSS_SIZE];
};

struct task_switch {
	struct vcpu *vcpu;
	const struct hv_exit *exit;
	struct guest_state state;
	struct task old, new;
	struct fault fault;
};

static const struct tss_layout *layout_of(u32 attr)
{
	return attr & TYPE_TSS_32 ? &layout_32 : &layout_16;
}

static u32 tss_get(const struct task *task, unsigned offset)
{
	u32 value = 0;

	memcpy(&value, task->tss + offset, task->layout->width);
	return value;
}

static void tss_put(struct task *task, unsigned offset, u32 value)
{
	memcpy(task->tss + offset, &value, task->layout->width);
}

static bool task_fault(struct task_switch *sw, u8 vector, u16 selector)
{
	sw->fault = (struct fault){.vector = vector, .error_code = selector & ~3u};
	return false;
}

/* IRET goes back to a TSS that is busy; the others enter one that is not. */
static bool is_return(const struct task_switch *sw)
{
	return sw->exit->task.source == TASK_IRET;
}

static bool links(const struct task_switch *sw)
{
	return sw->exit->task.source == TASK_CALL || sw->exit->task.source == TASK_GATE;
}

/* The new TSS and its descriptor, checked again, as another vCPU may have changed it. */
static bool find_new(struct task_switch *sw)
{
	struct task *new = &sw->new;
	u16 selector = sw->exit->task.selector;
	u8 vector = is_return(sw) ? VECTOR_TS : VECTOR_GP;
	u64 descriptor;

	if (!descriptor_locate(&sw->state, selector & ~4u, &new->descriptor) || selector & 4)
		return task_fault(sw, vector, selector);
	if (!linear_read(sw->vcpu, &sw->state, new->descriptor, &descriptor, sizeof(descriptor),
			 &sw->fault))
		return false;
	new->tr = segment_of(selector, descriptor);
	if ((new->tr.attr &TSS_TYPE_BITS & ~TYPE_TSS_32) != 1 ||
	    !!(new->tr.attr &TYPE_BUSY) != is_return(sw))
		return task_fault(sw, vector, selector);
	if (!(new->tr.attr &SEG_ATTR_P))
		return task_fault(sw, VECTOR_NP, selector);
	new->layout = layout_of(new->tr.attr);
	if (new->tr.limit < new->layout->size - 1u)
		return task_fault(sw, VECTOR_TS, selector);
	return linear_read(sw->vcpu, &sw->state, new->tr.base, new->tss, new->layout->size,
			   &sw->fault);
}

/* The old TSS and its descriptor; TASK-1: where the switch writes is tried. */
static bool find_old(struct task_switch *sw)
{
	struct task *old = &sw->old;
	const struct guest_state *s = &sw->state;

	old->tr = s->seg[SEG_TR];
	old->layout = layout_of(old->tr.attr);
	if (old->tr.limit < old->layout->size - 1u ||
	    !descriptor_locate(s, old->tr.selector & ~7u, &old->descriptor))
		return task_fault(sw, VECTOR_TS, old->tr.selector);
	return linear_reachable(sw->vcpu, s, old->tr.base, old->layout->size, true, &sw->fault) &&
	       linear_reachable(sw->vcpu, s, old->descriptor, 8, true, &sw->fault) &&
	       linear_reachable(sw->vcpu, s, sw->new.descriptor, 8, true, &sw->fault) &&
	       linear_reachable(sw->vcpu, s, sw->new.tr.base, 2, links(sw), &sw->fault) &&
	       linear_read(sw->vcpu, s, old->tr.base, old->tss, old->layout->size, &sw->fault);
}

static bool set_busy(struct task_switch *sw, const struct task *task, bool busy)
{
	u64 at = task->descriptor + DESCRIPTOR_TYPE;
	u8 type;

	if (!linear_read(sw->vcpu, &sw->state, at, &type, 1, &sw->fault))
		return false;
	type = busy ? type | TYPE_BUSY : type & ~TYPE_BUSY;
	return linear_write(sw->vcpu, &sw->state, at, &type, 1, &sw->fault);
}

/* The registers into the old TSS; CR3 and LDTR are not saved. */
static bool save_old(struct task_switch *sw)
{
	struct task *old = &sw->old;
	const struct tss_layout *layout = old->layout;
	const struct guest_state *s = &sw->state;
	u64 flags = is_return(sw) ? s->rflags & ~RFLAGS_NT : s->rflags;

	tss_put(old, layout->ip, (u32)(s->rip + sw->exit->insn_len));
	tss_put(old, layout->flags, (u32)flags);
	for (unsigned i = GPR_RAX; i <= GPR_RDI; i++)
		tss_put(old, layout->gpr + i * layout->width, (u32)sw->vcpu->arch.gpr[i]);
	for (unsigned i = 0; i < layout->segments; i++)
		memcpy(old->tss + layout->segment + i * layout->width, &s->seg[i].selector, 2);
	return linear_write(sw->vcpu, s, old->tr.base + layout->ip, old->tss + layout->ip,
			    layout->segment + layout->segments * layout->width - layout->ip,
			    &sw->fault);
}

/* Steps 4 to 9 of 8.3, in memory. */
static bool leave_old(struct task_switch *sw)
{
	bool keeps_busy = links(sw);

	if (!keeps_busy && !set_busy(sw, &sw->old, false))
		return false;
	if (!save_old(sw))
		return false;
	if (keeps_busy && !linear_write(sw->vcpu, &sw->state, sw->new.tr.base, &sw->old.tr.selector,
					2, &sw->fault))
		return false;
	return is_return(sw) || set_busy(sw, &sw->new, true);
}

/* CR3 and, with PAE paging, the four entries that the CPU keeps. */
static bool load_cr3(struct task_switch *sw)
{
	struct guest_state *s = &sw->state;
	u64 at;

	if (!sw->new.layout->cr3 || !(s->cr0 & CR0_PG))
		return true;
	s->cr3 = tss_get(&sw->new, sw->new.layout->cr3);
	at = s->cr3 & BITS(31, 5);
	if (!(s->cr4 & CR4_PAE) ||
	    vm_read_memory(sw->vcpu->vm, (struct gpa){at}, s->pdpte, sizeof(s->pdpte)) == 0)
		return true;
	return task_fault(sw, VECTOR_GP, 0);
}

static bool load_registers(struct task_switch *sw)
{
	const struct task *new = &sw->new;
	const struct tss_layout *layout = new->layout;
	struct guest_state *s = &sw->state;

	s->seg[SEG_TR] = new->tr;
	s->seg[SEG_TR].attr |= TYPE_BUSY;
	s->cr0 |= CR0_TS;
	s->dr7 &= ~DR7_LOCAL;
	if (sw->exit->task.nmi)
		s->interruptibility |= GUEST_BLOCKED_BY_NMI;
	else if (is_return(sw))
		s->interruptibility &= ~GUEST_BLOCKED_BY_NMI;
	s->interruptibility &= ~(GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS);
	s->rip = tss_get(new, layout->ip);
	s->rflags = (tss_get(new, layout->flags) & RFLAGS_LOADED) | RFLAGS_R1;
	if (links(sw))
		s->rflags |= RFLAGS_NT;
	for (unsigned i = GPR_RAX; i <= GPR_RDI; i++)
		sw->vcpu->arch.gpr[i] = tss_get(new, layout->gpr + i * layout->width);
	return load_cr3(sw);
}

static u16 new_selector(const struct task *new, unsigned segment)
{
	const struct tss_layout *layout = new->layout;
	u16 selector = 0;

	if (segment < layout->segments)
		memcpy(&selector, new->tss + layout->segment + segment * layout->width, 2);
	return selector;
}

/* A virtual-8086 task has real-mode segments. */
static void load_v86_segments(struct task_switch *sw)
{
	for (unsigned i = 0; i < TASK_SEGMENTS; i++) {
		u16 selector = new_selector(&sw->new, i);

		sw->state.seg[i] = (struct guest_segment_state){
			.selector = selector, .limit = 0xffff, .attr = 0xf3, .base = selector << 4};
	}
}

/*
 * LDTR first, as the others may lie in its table; all selectors before the first descriptor. A CS
 * that does not load keeps the old task's, as the CPU cannot be entered without one.
 */
static bool load_segments(struct task_switch *sw)
{
	static const u8 order[] = {SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
	const struct guest_segment_state code = sw->state.seg[SEG_CS];
	struct guest_state *s = &sw->state;
	unsigned cpl = new_selector(&sw->new, SEG_CS) & 3;
	u16 ldt = (u16)tss_get(&sw->new, sw->new.layout->ldt);

	for (unsigned i = 0; i < TASK_SEGMENTS; i++)
		s->seg[i] = (struct guest_segment_state){.selector = new_selector(&sw->new, i),
							 .attr = SEG_ATTR_UNUSABLE};
	s->seg[SEG_CS] = code;
	s->seg[SEG_SS].attr |= code.attr & SEG_ATTR_DPL_BITS; /* the CPL, to VT-x */
	if (!segment_load(sw->vcpu, s, SEG_LDTR, ldt, cpl, &sw->fault))
		return false;
	if (s->rflags & RFLAGS_VM) {
		load_v86_segments(sw);
		return true;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		u16 selector = new_selector(&sw->new, order[i]);

		if (segment_load(sw->vcpu, s, order[i], selector, cpl, &sw->fault))
			continue;
		if (order[i] == SEG_CS)
			s->seg[SEG_CS] = code;
		return false;
	}
	return true;
}

/* The event's error code on the new stack, in the width of the new TSS. */
static bool push_error_code(struct task_switch *sw)
{
	const struct hv_exit_task *task = &sw->exit->task;
	const struct guest_segment_state *ss = &sw->state.seg[SEG_SS];
	u64 *rsp = &sw->vcpu->arch.gpr[GPR_RSP], mask = ss->attr & SEG_ATTR_DB ? ~0u : 0xffff;
	unsigned width = sw->new.layout->width;
	u64 top = (*rsp - width) & mask;

	if (!task->has_error_code)
		return true;
	if (!linear_write(sw->vcpu, &sw->state, ss->base + top, &task->error_code, width,
			  &sw->fault))
		return false;
	*rsp = (*rsp & ~mask) | top;
	return true;
}

static bool enter_new(struct task_switch *sw)
{
	if (!load_registers(sw) || !load_segments(sw) || !push_error_code(sw))
		return false;
	if (sw->state.rip > sw->state.seg[SEG_CS].limit)
		return task_fault(sw, VECTOR_GP, 0);
	if (sw->new.layout == &layout_32 && sw->new.tss[TSS_TRAP] & 1) {
		sw->state.dr6 |= DR6_BT;
		return task_fault(sw, VECTOR_DB, 0);
	}
	return true;
}

static void raise_fault(struct task_switch *sw)
{
	const struct fault *fault = &sw->fault;

	vcpu_raise(sw->vcpu, fault->vector, fault->vector != VECTOR_DB, fault->error_code,
		   fault->address);
}

/*
 * The event that came by the gate is delivered by the switch: it leaves the queue (virt.h). A fault
 * before that merges with it, as in any delivery.
 */
enum exit_verdict exit_task_switch(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct hv_exit known = *exit;
	struct task_switch sw = {.vcpu = vcpu, .exit = &known};
	bool entered;

	if (virt->complete_exit)
		virt->complete_exit(&vcpu->arch, &known);
	virt->get_state(&vcpu->arch, &sw.state);
	if (!find_new(&sw) || !find_old(&sw) || !leave_old(&sw)) {
		raise_fault(&sw);
		return EXIT_RESUME;
	}
	entered = enter_new(&sw);
	virt->drop_events(&vcpu->arch);
	vcpu_recheck(vcpu);
	if (virt->set_state(&vcpu->arch, &sw.state) != 0)
		return exit_unhandled(vcpu, exit, "the state of its new task is none of a CPU's");
	if (!entered)
		raise_fault(&sw);
	return EXIT_RESUME;
}
