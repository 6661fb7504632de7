/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio.c: from a second-level fault on a device's page to a device access.
 *
 *     fault at gpa --> fetch the instruction --> decode --> read device --> compute --> write device, registers --> skip
 *
 * An instruction with one operand in memory takes its place from the exit. An operand that goes on
 * in another page, the 16 bytes of an XMM register, the stack of PUSH and POP and what rSI and rDI
 * of the string instructions address are located by their linear addresses; a string instruction
 * does one element an exit.
 */
#include <hv/mmio.h>
#include <arch/regs.h>
#include <hv/gva.h>
#include <hv/insn_memo.h>
#include <hv/pc.h>
#include <hv/vcpu.h>
#include "hv/emulate/private.h"
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_DEVICE

/*
 * The access at hand: where, by what, and the slow view of the CPU, which brings RIP, RSP and
 * RFLAGS here.
 */
struct access {
	struct vcpu *vcpu;
	struct gpa gpa;
	enum insn_mode mode;
	struct insn insn;
	struct guest_state state;
	u8 bytes[INSN_MAX];
	unsigned available;
	u64 flags; /* after the arithmetic */
	enum mmio_result result;
};

int insn_fetch(struct vcpu *vcpu, struct guest_state *state, u8 bytes[INSN_MAX], unsigned *got,
	       struct insn *insn)
{
	enum insn_mode mode;
	u64 linear;

	virt->get_state(&vcpu->arch, state);
	mode = mode_of(state);
	linear = mode == INSN_64 ? state->rip : (u32)(state->seg[SEG_CS].base + state->rip);
	*got = vcpu_fetch(&vcpu->arch, (struct gva){linear}, bytes, INSN_MAX);
	return insn_decode(bytes, *got, mode, insn);
}

static bool reads_memory(const struct insn *insn)
{
	bool only_writes = insn->op == INSN_MOV || insn->op == INSN_MOVBE || insn->op == INSN_SET;

	return !(insn->to_memory && only_writes);
}

/* RFLAGS and RSP are the hardware's: they change by the slow view only. */
static void store_state(struct access *access, u64 flags, u64 rsp)
{
	struct arch_vcpu *arch = &access->vcpu->arch;

	if (flags == access->state.rflags && rsp == arch->gpr[GPR_RSP])
		return;
	access->state.rflags = flags;
	(void)virt->set_state(arch, &access->state); /* arithmetic flags make no state invalid */
}

static void skip(struct access *access)
{
	const struct hv_exit exit = {
		.reason = HV_EXIT_STAGE2, .insn_len = access->insn.length, .insn_exact = true};

	virt->skip_insn(&access->vcpu->arch, &exit);
}

/* device_update: the arithmetic of an instruction. */
static bool compute(void *context, u64 *memory)
{
	struct access *access = context;
	const struct insn *insn = &access->insn;

	*memory &= size_mask(insn->size);
	access->result = mmio_compute(insn, access->vcpu->arch.gpr, memory, &access->flags);
	return access->result == MMIO_WRITES;
}

static struct gva operand_address(const struct access *access)
{
	const struct insn *insn = &access->insn;
	u64 offset = insn_offset(insn, access->vcpu->arch.gpr, access->state.rip);

	return linear_of(&access->state, access->mode, insn->segment, offset);
}

static bool writes_memory(const struct insn *insn)
{
	bool only_reads = insn->op == INSN_CMP || insn->op == INSN_TEST || insn->op == INSN_BT ||
			  (insn->op >= INSN_MUL && insn->op <= INSN_IDIV);

	return insn->to_memory && !only_reads;
}

/* An operand in two pages: not atomic, as on a bus. False: an exception was raised. */
static bool change_two_pages(struct access *access, struct gva at)
{
	const struct insn *insn = &access->insn;
	struct operand_place place;
	u64 memory = 0;

	if (!operand_locate(access->vcpu, &access->state, at, insn->size, writes_memory(insn),
			    &place))
		return false;
	if (reads_memory(insn) && !operand_read(access->vcpu, &place, &memory))
		return false;
	return !compute(access, &memory) || operand_write(access->vcpu, &place, memory);
}

/* One operand in memory. */
static void carry_out(struct access *access)
{
	const struct insn *insn = &access->insn;
	struct vcpu *vcpu = access->vcpu;
	u64 rsp = vcpu->arch.gpr[GPR_RSP], memory = 0;
	struct gva at = operand_address(access);

	access->flags = access->state.rflags;
	if (page_offset(at.raw) + insn->size > PAGE_SIZE) {
		if (!change_two_pages(access, at))
			return;
	} else if (reads_memory(insn)) {
		device_change(vcpu, access->gpa, insn->size, compute, access);
	} else if (compute(access, &memory)) {
		device_write(vcpu, access->gpa, insn->size, memory);
	}
	if (access->result == MMIO_DIVIDE_ERROR) {
		vcpu_raise(vcpu, VECTOR_DE, false, 0, 0);
		return;
	}
	store_state(access, access->flags, rsp);
	skip(access);
}

static void set_xmm(struct vcpu *vcpu, const struct insn *insn, const u64 memory[2])
{
	u64 xmm[2] = {0, 0};

	if (insn->size < 16 && insn->part != INSN_LOW_ALONE)
		arch_xmm_get(&vcpu->arch, insn->reg, xmm);
	xmm[insn->part == INSN_HIGH] = memory[0];
	if (insn->size == 16)
		xmm[1] = memory[1];
	arch_xmm_set(&vcpu->arch, insn->reg, xmm);
}

/* Eight bytes at a time, as a device has no wider registers; all are located before the first. */
static void carry_out_xmm(struct access *access)
{
	const struct insn *insn = &access->insn;
	struct vcpu *vcpu = access->vcpu;
	unsigned parts = insn->size == 16 ? 2 : 1, size = MIN(insn->size, 8u);
	struct gva at = operand_address(access);
	struct operand_place place[2];
	u64 xmm[2] = {0, 0};

	for (unsigned i = 0; i < parts; i++) {
		if (!operand_locate(vcpu, &access->state, (struct gva){at.raw + 8ull * i}, size,
				    insn->to_memory, &place[i]))
			return;
	}
	if (insn->to_memory)
		arch_xmm_get(&vcpu->arch, insn->reg, xmm);
	if (insn->to_memory && insn->part == INSN_HIGH)
		xmm[0] = xmm[1];
	for (unsigned i = 0; i < parts; i++) {
		if (!(insn->to_memory ? operand_write(vcpu, &place[i], xmm[i])
				      : operand_read(vcpu, &place[i], &xmm[i])))
			return;
	}
	if (!insn->to_memory)
		set_xmm(vcpu, insn, xmm);
	skip(access);
}

/* PUSH of a device's register, POP to one. The stack's width is SS's (SDM vol. 1, 6.2.3). */
static void carry_out_stack(struct access *access)
{
	const struct insn *insn = &access->insn;
	struct vcpu *vcpu = access->vcpu;
	u64 *gpr = vcpu->arch.gpr, rsp = gpr[GPR_RSP], value;
	bool wide = access->state.seg[SEG_SS].attr & SEG_ATTR_DB, push = insn->op == INSN_PUSH;
	unsigned width = access->mode == INSN_64 ? 8 : wide ? 4 : 2;
	u64 offset = (push ? rsp - insn->size : rsp) & size_mask(width);
	struct gva at = linear_of(&access->state, access->mode, SEG_SS, offset);
	struct operand_place stack;

	if (!operand_locate(vcpu, &access->state, at, insn->size, push, &stack))
		return;
	if (push) {
		value = device_read(vcpu, access->gpa, insn->size);
		if (!operand_write(vcpu, &stack, value))
			return;
	} else {
		if (!operand_read(vcpu, &stack, &value))
			return;
		device_write(vcpu, access->gpa, insn->size, value);
	}
	register_set(gpr, GPR_RSP, width, push ? rsp - insn->size : rsp + insn->size);
	store_state(access, access->state.rflags, rsp);
	skip(access);
}

static bool locate_string(struct access *access, unsigned segment, unsigned reg, bool write,
			  struct operand_place *out)
{
	const struct insn *insn = &access->insn;
	u64 offset = string_register(access->vcpu->arch.gpr, insn, reg);
	struct gva at = linear_of(&access->state, access->mode, segment, offset);

	return operand_locate(access->vcpu, &access->state, at, insn->size, write, out);
}

/* One element of MOVS, CMPS, LODS, STOS or SCAS. False: an exception was raised. */
static bool move_element(struct access *access, u64 *flags)
{
	const struct insn *insn = &access->insn;
	struct vcpu *vcpu = access->vcpu;
	bool from = insn->op == INSN_MOVS || insn->op == INSN_CMPS || insn->op == INSN_LODS;
	struct operand_place source, destination;
	u64 value = 0, other = 0;

	if (from && !locate_string(access, insn->segment, GPR_RSI, false, &source))
		return false;
	if (insn->op != INSN_LODS &&
	    !locate_string(access, SEG_ES, GPR_RDI, insn->to_memory, &destination))
		return false;
	if (from && !operand_read(vcpu, &source, &value))
		return false;
	if (!from && !insn->to_memory && !operand_read(vcpu, &destination, &value))
		return false;
	if (insn->op == INSN_CMPS) {
		if (!operand_read(vcpu, &destination, &other))
			return false;
		mmio_compare(insn->size, value, other, flags);
	} else if (insn->op != INSN_MOVS) {
		(void)mmio_compute(insn, vcpu->arch.gpr, &value, flags);
	}
	return !insn->to_memory || operand_write(vcpu, &destination, value);
}

static void carry_out_string(struct access *access)
{
	struct vcpu *vcpu = access->vcpu;
	u64 flags = access->state.rflags;

	if (!move_element(access, &flags))
		return;
	store_state(access, flags, vcpu->arch.gpr[GPR_RSP]);
	if (!string_step(vcpu->arch.gpr, &access->insn, flags))
		skip(access);
	else if (flags & RFLAGS_TF)
		raise_single_step(vcpu, &access->state);
}

static enum exit_verdict refuse(const struct access *access, const struct hv_exit *exit, int err)
{
	struct vcpu *vcpu = access->vcpu;
	const u8 *bytes = access->bytes;

	log_debug("%s: access %x to device memory at %lx by an instruction at %lx that is not "
		  "carried out: %s (%s; %u bytes: %02x %02x %02x %02x)",
		  vcpu->vm->config.name, exit->stage2.access, exit->stage2.gpa.raw,
		  access->state.rip,
		  exit->stage2.access & HV_EXEC
			  ? "a fetch"
			  : insn_unsupported(bytes, access->available, access->mode),
		  error_name(err), access->available, bytes[0], bytes[1], bytes[2], bytes[3]);
	vcpu->lost_accesses++;
	vcpu_raise_gp(vcpu);
	return EXIT_RESUME;
}

static bool in_apic_page(struct gpa gpa)
{
	return gpa.raw - LAPIC_BASE < PAGE_SIZE;
}

enum exit_verdict mmio_access(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct access access = {.vcpu = vcpu, .gpa = exit->stage2.gpa};
	int err = ERR_PERMISSION;

	if (!(exit->stage2.access & HV_EXEC))
		err = insn_fetch(vcpu, &access.state, access.bytes, &access.available,
				 &access.insn);
	access.mode = mode_of(&access.state);
	if (!err && (access.insn.op == INSN_INS || access.insn.op == INSN_OUTS))
		err = ERR_UNSUPPORTED; /* those exit by their port */
	if (err)
		return refuse(&access, exit, err);
	if (in_apic_page(access.gpa) && access.insn.op == INSN_MOV)
		insn_memo_keep(vcpu, access.gpa, &access.state);
	if (insn_is_string(&access.insn))
		carry_out_string(&access);
	else if (access.insn.op == INSN_PUSH || access.insn.op == INSN_POP)
		carry_out_stack(&access);
	else if (access.insn.op == INSN_MOV_XMM)
		carry_out_xmm(&access);
	else
		carry_out(&access);
	return EXIT_RESUME;
}
