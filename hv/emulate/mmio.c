/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio.c: from a second-level fault on a device's page to a device access.
 *
 *     fault at gpa --> fetch the instruction --> decode --> read device --> compute --> write device, registers --> skip
 *
 * The APICs' registers are 32 bits wide and a multiple of 16 bytes apart: a narrow read gets its
 * part of one, a wide write is cut to one. Where nothing is, every bit of a read is one, whatever
 * its width.
 *
 * MOVS has a second operand in memory, which the exit does not name: mmio_movs_operand() computes
 * its address, and the guest's own tables say where it lies.
 */
#include <hv/mmio.h>
#include <arch/cpu.h>
#include <arch/regs.h>
#include <hv/gva.h>
#include <hv/pc.h>
#include <hv/vcpu.h>
#include <hv/vm_memory.h>
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_DEVICE

static enum insn_mode mode_of(const struct guest_state *state)
{
	u32 attr = state->seg[SEG_CS].attr;

	if (state->efer & EFER_LMA && attr & SEG_ATTR_L)
		return INSN_64;
	if (!(state->cr0 & CR0_PE) || state->rflags & RFLAGS_VM)
		return INSN_16;
	return attr & SEG_ATTR_DB ? INSN_32 : INSN_16;
}

/*
 * The access at hand: where, by what, and the slow view of the CPU, which brings RIP, RSP and
 * RFLAGS here.
 */
struct access {
	struct vcpu *vcpu;
	struct gpa gpa;
	struct insn insn;
	struct guest_state state;
};

static int fetch(struct access *access)
{
	struct guest_state *state = &access->state;
	enum insn_mode mode;
	u8 bytes[INSN_MAX];
	unsigned got;
	u64 linear;

	virt->get_state(&access->vcpu->arch, state);
	mode = mode_of(state);
	linear = mode == INSN_64 ? state->rip : (u32)(state->seg[SEG_CS].base + state->rip);
	got = vcpu_fetch(&access->vcpu->arch, (struct gva){linear}, bytes, sizeof(bytes));
	return insn_decode(bytes, got, mode, &access->insn);
}

static u64 read_register(const struct vcpu *vcpu, const struct insn *insn)
{
	u64 value = vcpu->arch.gpr[insn->reg];

	return insn->high_byte ? value >> 8 & 0xff : value & BITS(8 * insn->reg_size - 1, 0);
}

/* A 32-bit result clears the upper half, a narrower one keeps the rest (SDM vol. 1, 3.4.1.1). */
static void write_register(struct vcpu *vcpu, const struct insn *insn, u64 value)
{
	u64 *gpr = &vcpu->arch.gpr[insn->reg];
	u64 mask = BITS(8 * insn->reg_size - 1, 0);

	if (insn->high_byte)
		*gpr = (*gpr & ~0xff00ull) | (value & 0xff) << 8;
	else if (insn->reg_size == 4)
		*gpr = (u32)value;
	else
		*gpr = (*gpr & ~mask) | (value & mask);
}

static u64 read_device(struct vcpu *vcpu, struct gpa gpa, unsigned size)
{
	struct gpa reg = {ALIGN_DOWN(gpa.raw, 4)}, next = {reg.raw + 4};
	unsigned offset = gpa.raw & 3;
	u64 value = pc_mmio_read(vcpu, reg);

	if (offset + size > 4)
		value |= (u64)pc_mmio_read(vcpu, next) << 32;
	return value >> (8 * offset);
}

/* A string instruction moves its pointers and counts; true when it is through. */
static bool step_string(const struct access *access)
{
	const struct insn *insn = &access->insn;
	u64 *gpr = access->vcpu->arch.gpr;
	u64 step = access->state.rflags & RFLAGS_DF ? -(u64)insn->size : insn->size;

	if (insn->op != INSN_STOS)
		gpr[GPR_RSI] += step;
	if (insn->op != INSN_LODS)
		gpr[GPR_RDI] += step;
	return !insn->rep || --gpr[GPR_RCX] == 0;
}

static bool reads_memory(const struct insn *insn)
{
	return insn->op != INSN_STOS && !(insn->op == INSN_MOV && insn->to_memory);
}

static bool is_unary(const struct insn *insn)
{
	return insn->op >= INSN_INC && insn->op <= INSN_NEG;
}

static bool changes_register(const struct insn *insn)
{
	return insn->op == INSN_XCHG ||
	       (!insn->to_memory && insn->op != INSN_CMP && insn->op != INSN_TEST);
}

/* RFLAGS and RSP are the hardware's: they change by the slow view only. */
static void store_state(struct access *access, u64 flags)
{
	struct arch_vcpu *arch = &access->vcpu->arch;
	bool stack = changes_register(&access->insn) && access->insn.reg == GPR_RSP;

	if (flags == access->state.rflags && !stack)
		return;
	access->state.rflags = flags;
	(void)virt->set_state(arch, &access->state); /* arithmetic flags make no state invalid */
}

static void carry_out(struct access *access)
{
	const struct insn *insn = &access->insn;
	struct vcpu *vcpu = access->vcpu;
	struct hv_exit skip = {.reason = HV_EXIT_STAGE2, .insn_len = insn->length};
	bool string = insn->op == INSN_STOS || insn->op == INSN_LODS;
	u64 flags = access->state.rflags, other = insn->value, memory = 0;

	if (reads_memory(insn))
		memory = read_device(vcpu, access->gpa, insn->size);
	if (!insn->immediate && !is_unary(insn))
		other = read_register(vcpu, insn);
	if (mmio_compute(insn, &memory, &other, &flags))
		pc_mmio_write(vcpu, access->gpa, (u32)memory);
	if (changes_register(insn))
		write_register(vcpu, insn, other);
	store_state(access, flags);
	if (!string || step_string(access))
		virt->skip_insn(&vcpu->arch, &skip);
}

/* Between the device and RAM at `gpa`, or another device's page. */
static void move(const struct access *access, struct gpa gpa, bool to_device)
{
	struct vm *vm = access->vcpu->vm;
	unsigned size = access->insn.size;
	u64 value = 0;

	if (!to_device) {
		value = read_device(access->vcpu, access->gpa, size);
		if (vm_write_memory(vm, gpa, &value, size) != 0)
			pc_mmio_write(access->vcpu, gpa, (u32)value);
		return;
	}
	if (vm_read_memory(vm, gpa, &value, size) != 0)
		value = read_device(access->vcpu, gpa, size);
	pc_mmio_write(access->vcpu, access->gpa, (u32)value);
}

/*
 * One element, which lies in one page if it is aligned; one that crosses is moved by its first
 * page.
 */
static void carry_out_movs(const struct access *access, bool to_device)
{
	struct vcpu *vcpu = access->vcpu;
	struct hv_exit skip = {.reason = HV_EXIT_STAGE2, .insn_len = access->insn.length};
	struct gva operand =
		mmio_movs_operand(&access->insn, mode_of(&access->state), &access->state,
				  vcpu->arch.gpr[to_device ? GPR_RSI : GPR_RDI], to_device);
	struct gpa gpa;

	if (!gva_locate(vcpu, &access->state, operand, !to_device, &gpa))
		return;
	move(access, gpa, to_device);
	if (step_string(access))
		virt->skip_insn(&vcpu->arch, &skip);
}

enum exit_verdict mmio_access(struct vcpu *vcpu, const struct hv_exit *exit)
{
	struct access access = {.vcpu = vcpu, .gpa = exit->stage2.gpa};
	int err = exit->stage2.access & HV_EXEC ? ERR_PERMISSION : fetch(&access);

	if (err == 0) {
		if (access.insn.op == INSN_MOVS)
			carry_out_movs(&access, exit->stage2.access & HV_WRITE);
		else
			carry_out(&access);
		return EXIT_RESUME;
	}
	log_debug("%s: access %x to device memory at %llx by an instruction at %llx that is not "
		  "decoded (%s)",
		  vcpu->vm->config.name, exit->stage2.access,
		  (unsigned long long)exit->stage2.gpa.raw, (unsigned long long)access.state.rip,
		  error_name(err));
	vcpu->lost_accesses++;
	vcpu_raise_gp(vcpu);
	return EXIT_RESUME;
}
