/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr_policy.c: the MSRs that hv answers, and the checks of a guest's writes. Pure, so that it is
 * tested on the host; hv/cpu/msr.c carries it out.
 *
 * Invariants:
 * MSR-1  the rules are sorted by index, each index once, and msr_find() finds each.
 * MSR-2  no rule gives a guest an MSR of the hypervisor's own: VMX, SVM, APIC, speculation control.
 */
#include <abi/machine.h>
#include <arch/regs.h>
#include <hv/msr.h>

#define STATE(field) offsetof(struct guest_state, field)

/* X(index, kind, canonical, field, value, why) */
#define RULES(X)                                                                                   \
	X(0x00000010, MSR_TSC, false, 0, 0, "TSC: the machine's plus an offset of the vCPU's own") \
	X(0x00000017, MSR_READ_ONLY, false, 0, 0, "PLATFORM_ID: no platform")                      \
	X(0x0000008b, MSR_CONSTANT, false, 0, 0,                                                   \
	  "BIOS_SIGN_ID: no microcode; written before each read")                                  \
	X(0x00000174, MSR_STATE, false, STATE(sysenter_cs), 0, "SYSENTER_CS")                      \
	X(0x00000175, MSR_STATE, true, STATE(sysenter_esp), 0, "SYSENTER_ESP")                     \
	X(0x00000176, MSR_STATE, true, STATE(sysenter_eip), 0, "SYSENTER_EIP")                     \
	X(0x000001a0, MSR_CONSTANT, false, 0, 1,                                                   \
	  "MISC_ENABLE: fast strings; the rest is not there")                                      \
	X(0x000001d9, MSR_FIXED, false, 0, 0, "DEBUGCTL: no branch recording")                     \
	X(0x00000277, MSR_PAT, false, STATE(pat), 0,                                               \
	  "PAT: memory types of the guest's own tables")                                           \
	X(MACHINE_MSR_SCRATCH, MSR_SCRATCH, false, 0, 0, "ours: keeps what is written")            \
	X(0xc0000080, MSR_EFER, false, 0, 0,                                                       \
	  "EFER: SCE, LME, NX; LMA is the CPU's, SVME is hidden")                                  \
	X(0xc0000081, MSR_STATE, false, STATE(star), 0, "STAR")                                    \
	X(0xc0000082, MSR_STATE, true, STATE(lstar), 0, "LSTAR")                                   \
	X(0xc0000083, MSR_STATE, true, STATE(cstar), 0, "CSTAR")                                   \
	X(0xc0000084, MSR_STATE, false, STATE(sfmask), 0, "SFMASK")                                \
	X(0xc0000100, MSR_SEGMENT, true, SEG_FS, 0, "FS_BASE")                                     \
	X(0xc0000101, MSR_SEGMENT, true, SEG_GS, 0, "GS_BASE")                                     \
	X(0xc0000102, MSR_STATE, true, STATE(kernel_gs_base), 0, "KERNEL_GS_BASE")                 \
	X(0xc0010000, MSR_CONSTANT, false, 0, 0, "PERF_CTL: AMD's counters; none")                 \
	X(0xc0010001, MSR_CONSTANT, false, 0, 0, "PERF_CTL: AMD's counters; none")                 \
	X(0xc0010002, MSR_CONSTANT, false, 0, 0, "PERF_CTL: AMD's counters; none")                 \
	X(0xc0010003, MSR_CONSTANT, false, 0, 0, "PERF_CTL: AMD's counters; none")                 \
	X(0xc0010004, MSR_CONSTANT, false, 0, 0, "PERF_CTR: likewise")                             \
	X(0xc0010005, MSR_CONSTANT, false, 0, 0, "PERF_CTR: likewise")                             \
	X(0xc0010006, MSR_CONSTANT, false, 0, 0, "PERF_CTR: likewise")                             \
	X(0xc0010007, MSR_CONSTANT, false, 0, 0, "PERF_CTR: likewise")                             \
	X(0xc0010010, MSR_CONSTANT, false, 0, 0, "SYSCFG: AMD's memory types; nothing to set")     \
	X(0xc0010015, MSR_CONSTANT, false, 0, 0, "HWCR: AMD's; nothing to set")                    \
	X(0xc001001f, MSR_CONSTANT, false, 0, 0, "NB_CFG: AMD's; nothing to set")                  \
	X(0xc0010055, MSR_CONSTANT, false, 0, 0,                                                   \
	  "INT_PENDING: AMD's; no C1E, which Linux reads it for")

#define ROW(...) {__VA_ARGS__},
static const struct msr_rule rules[] = {RULES(ROW)};

#define NUMBER(index, ...) NUMBER_##index,
enum { RULES(NUMBER) };

/*
 * The rule that an index may have: one multiplication and a byte. The factor gives each index a
 * place of its own; with a rule that shares one the table does not compile, and another is drawn.
 * A place without a rule names the first, which has another index.
 */
#define PLACES	       64
#define PLACE(index)   ((u32)((index)*0x9f5f48b5u) >> 26)
#define AT(index, ...) [PLACE(index)] = NUMBER_##index,
static const u8 place[PLACES] = {RULES(AT)};

const struct msr_rule *msr_find(u32 index)
{
	const struct msr_rule *rule = &rules[place[PLACE(index)]];

	return rule->index == index ? rule : NULL;
}

const struct msr_rule *msr_policy_rule(unsigned i)
{
	return i < ARRAY_SIZE(rules) ? &rules[i] : NULL;
}

bool msr_canonical(u64 address)
{
	s64 sign = (s64)address >> 47;

	return sign == 0 || sign == -1;
}

bool msr_efer_valid(u64 old, u64 value, u64 cr0)
{
	if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return false;
	if ((cr0 & CR0_PG) && ((old ^ value) & EFER_LME))
		return false;
	return true;
}

bool msr_pat_valid(u64 value)
{
	for (unsigned i = 0; i < 8; i++) {
		u64 type = value >> (8 * i) & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}
