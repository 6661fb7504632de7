/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c: rules of a guest CPU that hold on both back ends. All but the breakpoints is pure.
 */
#include <asm/guest.h>
#include <asm/msr.h>
#include <asm/regs.h>

#define HAS_ERROR_CODE                                                                        \
	(BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | BIT(VECTOR_GP) | \
	 BIT(VECTOR_PF) | BIT(VECTOR_AC))

/* SDM vol. 3A table 6-4; #PF is a class of its own. */
#define CONTRIBUTORY                                                                          \
	(BIT(VECTOR_DE) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | BIT(VECTOR_GP) | \
	 BIT(VECTOR_CP))

#define TRAPS_AND_ABORTS \
	(BIT(VECTOR_DB) | BIT(VECTOR_BP) | BIT(VECTOR_OF) | BIT(VECTOR_DF) | BIT(VECTOR_MC))

bool guest_pat_valid(u64 pat)
{
	for (; pat; pat >>= 8) {
		u64 type = pat & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool guest_exception_has_error(unsigned vector)
{
	return vector < 32 && HAS_ERROR_CODE >> vector & 1;
}

bool guest_exception_is_fault(unsigned vector)
{
	return vector < 32 && !(TRAPS_AND_ABORTS >> vector & 1);
}

static bool is_contributory(unsigned vector)
{
	return vector < 32 && CONTRIBUTORY >> vector & 1;
}

unsigned guest_merge_exceptions(unsigned first, unsigned second)
{
	bool second_faults = is_contributory(second) || second == VECTOR_PF;

	if (first == VECTOR_DF && second_faults)
		return GUEST_SHUTDOWN;
	if (is_contributory(first) && is_contributory(second))
		return VECTOR_DF;
	return first == VECTOR_PF && second_faults ? VECTOR_DF : second;
}

void guest_load_breakpoints(const u64 dr[4])
{
	write_dr0(dr[0]);
	write_dr1(dr[1]);
	write_dr2(dr[2]);
	write_dr3(dr[3]);
}

void guest_save_breakpoints(u64 dr[4])
{
	dr[0] = read_dr0();
	dr[1] = read_dr1();
	dr[2] = read_dr2();
	dr[3] = read_dr3();
}

const struct guest_state guest_reset_state = {
	.rip = 0xfff0,
	.rflags = RFLAGS_R1,
	.cr0 = CR0_CD | CR0_NW | CR0_ET,
	.dr6 = DR6_RESET,
	.dr7 = DR7_RESET,
	.pat = PAT_RESET,
	.seg =
		{
			[SEG_ES] = {0, 0xffff, 0x93, 0},
			[SEG_CS] = {0xf000, 0xffff, 0x9b, 0xffff0000},
			[SEG_SS] = {0, 0xffff, 0x93, 0},
			[SEG_DS] = {0, 0xffff, 0x93, 0},
			[SEG_FS] = {0, 0xffff, 0x93, 0},
			[SEG_GS] = {0, 0xffff, 0x93, 0},
			[SEG_LDTR] = {0, 0xffff, 0x82, 0},
			[SEG_TR] = {0, 0xffff, 0x8b, 0},
		},
	.gdtr = {0, 0xffff},
	.idtr = {0, 0xffff},
};
