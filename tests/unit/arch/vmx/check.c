/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: which guest states VMX takes. Good states of all modes pass; each broken in one
 * place is refused by the name of the rule it breaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "check.h"
#include "vmx.h"
#include <asm/msr.h>
#include <asm/regs.h>
#include <string.h>

static const struct vmx_limits limits = {.cr4_allowed = CR4_GUEST, .physical_bits = 39};

static void set_all(struct guest_state *s, u32 code, u32 data, u32 limit)
{
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->seg[i] = (struct guest_segment_state){.limit = limit, .attr = data};
	s->seg[SEG_CS].attr = code;
	s->seg[SEG_LDTR].attr = BIT(16);
	s->seg[SEG_TR] = (struct guest_segment_state){.limit = 0xffff, .attr = 0x8b};
}

static struct guest_state real_mode(void)
{
	struct guest_state s = {
		.rip = 0xfff0,
		.rflags = RFLAGS_R1,
		.cr0 = CR0_CD | CR0_NW | CR0_ET,
		.dr6 = DR6_RESET,
		.dr7 = DR7_RESET,
		.pat = PAT_RESET,
	};

	set_all(&s, 0x9b, 0x93, 0xffff);
	s.seg[SEG_CS].base = 0xffff0000;
	return s;
}

static struct guest_state protected_mode(void)
{
	struct guest_state s = real_mode();

	s.cr0 = CR0_PE | CR0_ET;
	set_all(&s, 0xc09b, 0xc093, 0xffffffff);
	return s;
}

static struct guest_state long_mode(void)
{
	struct guest_state s = protected_mode();

	s.cr0 |= CR0_PG;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	s.seg[SEG_CS].attr = 0xa09b;
	s.rip = 0xffffffff80001000;
	return s;
}

static struct guest_state v86_mode(void)
{
	struct guest_state s = protected_mode();

	s.rflags |= RFLAGS_VM;
	set_all(&s, 0xf3, 0xf3, 0xffff);
	s.seg[SEG_DS].selector = 0x1234;
	s.seg[SEG_DS].base = 0x12340;
	return s;
}

static void good_states_of_all_modes_are_taken(void **state)
{
	struct guest_state good[] = {real_mode(), protected_mode(), long_mode(), v86_mode()};

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(vmx_check_state(&good[i], &limits));
}

/* Breaks one place of a state. */
#define BREAK(name, mode, text, statement)                                      \
	static const char *name(void)                                           \
	{                                                                       \
		struct guest_state s = mode();                                  \
		const char *broken;                                             \
                                                                                \
		statement;                                                      \
		broken = vmx_check_state(&s, &limits);                          \
		return broken && strstr(broken, text) == broken ? NULL : #name; \
	}
#define BREAKS(X)                                                                               \
	X(cr0_high, protected_mode, "CR0", s.cr0 |= 1ull << 32)                                 \
	X(cr0_pg_without_pe, real_mode, "CR0", s.cr0 |= CR0_PG)                                 \
	X(cr0_nw_without_cd, real_mode, "CR0", s.cr0 &= ~CR0_CD)                                \
	X(cr3_wide, long_mode, "CR3", s.cr3 = 1ull << 39)                                       \
	X(pdpte_reserved, protected_mode, "PDPTEs", s.cr0 |= CR0_PG; s.cr4 = CR4_PAE;           \
	  s.pdpte[3] = 3)                                                                       \
	X(cr4_vmxe, long_mode, "CR4", s.cr4 |= CR4_VMXE)                                        \
	X(cr4_la57, long_mode, "CR4", s.cr4 |= CR4_LA57)                                        \
	X(cr4_pcide, protected_mode, "CR4", s.cr4 |= CR4_PCIDE)                                 \
	X(efer_svme, long_mode, "EFER", s.efer |= EFER_SVME)                                    \
	X(efer_lma_alone, protected_mode, "EFER", s.efer = EFER_LMA)                            \
	X(efer_lma_late, long_mode, "EFER", s.efer &= ~EFER_LMA)                                \
	X(efer_without_pae, long_mode, "EFER", s.cr4 = 0)                                       \
	X(dr7_high, long_mode, "DR6", s.dr7 |= 1ull << 40)                                      \
	X(pat_reserved, long_mode, "PAT", s.pat = 2)                                            \
	X(pat_wide, long_mode, "PAT", s.pat = 8ull << 56)                                       \
	X(lstar, long_mode, "SYSENTER", s.lstar = 1ull << 47)                                   \
	X(kernel_gs, long_mode, "SYSENTER", s.kernel_gs_base = 1ull << 63)                      \
	X(sfmask, long_mode, "SYSENTER", s.sfmask = 1ull << 32)                                 \
	X(sysenter_eip, real_mode, "SYSENTER", s.sysenter_eip = 1ull << 60)                     \
	X(gdtr_limit, long_mode, "GDTR", s.gdtr.limit = 0x10000)                                \
	X(idtr_base, long_mode, "GDTR", s.idtr.base = 1ull << 50)                               \
	X(rip_not_canonical, long_mode, "RIP", s.rip = 1ull << 47)                              \
	X(rip_high, protected_mode, "RIP", s.rip = 1ull << 32)                                  \
	X(rflags_fixed, long_mode, "RFLAGS", s.rflags = 0)                                      \
	X(rflags_reserved, long_mode, "RFLAGS", s.rflags |= BIT(3))                             \
	X(rflags_vm_long, long_mode, "RFLAGS", s.rflags |= RFLAGS_VM)                           \
	X(rflags_vm_real, real_mode, "RFLAGS", s.rflags |= RFLAGS_VM)                           \
	X(shadow_both, long_mode, "interruptibility", s.rflags |= RFLAGS_IF;                    \
	  s.interruptibility = 3)                                                               \
	X(shadow_sti, long_mode, "interruptibility", s.interruptibility = GUEST_BLOCKED_BY_STI) \
	X(shadow_smi, long_mode, "interruptibility", s.interruptibility = GUEST_BLOCKED_BY_SMI) \
	X(cs_unusable, long_mode, "CS", s.seg[SEG_CS].attr |= BIT(16))                          \
	X(cs_l_and_d, long_mode, "CS", s.seg[SEG_CS].attr |= BIT(14))                           \
	X(cs_data, protected_mode, "CS", s.seg[SEG_CS].attr = 0xc091)                           \
	X(cs_dpl, protected_mode, "CS", s.seg[SEG_CS].attr |= 0x60)                             \
	X(cs_base, protected_mode, "CS", s.seg[SEG_CS].base = 1ull << 32)                       \
	X(cs_limit, protected_mode, "CS", s.seg[SEG_CS].limit = 0x1000)                         \
	X(cs_byte_limit, real_mode, "CS", s.seg[SEG_CS].limit = 0x100000)                       \
	X(v86_base, v86_mode, "CS", s.seg[SEG_DS].base = 0)                                     \
	X(v86_attr, v86_mode, "CS", s.seg[SEG_ES].attr = 0x93)                                  \
	X(ss_code, protected_mode, "SS", s.seg[SEG_SS].attr = 0xc09b)                           \
	X(ss_dpl_real, real_mode, "CS", s.seg[SEG_SS].attr |= 0x60)                             \
	X(ds_not_accessed, protected_mode, "DS", s.seg[SEG_DS].attr = 0xc092)                   \
	X(fs_base, long_mode, "DS", s.seg[SEG_FS].base = 1ull << 47)                            \
	X(es_base, long_mode, "DS", s.seg[SEG_ES].base = 1ull << 32)                            \
	X(tr_unusable, long_mode, "TR", s.seg[SEG_TR].attr |= BIT(16))                          \
	X(tr_16_bit, long_mode, "TR", s.seg[SEG_TR].attr = 0x83)                                \
	X(tr_ti, long_mode, "TR", s.seg[SEG_TR].selector = 4)                                   \
	X(ldtr_type, long_mode, "LDTR", s.seg[SEG_LDTR].attr = 0x8b)
BREAKS(BREAK)

/* VMX-6. */
static void a_state_with_one_break_is_refused_by_name(void **state)
{
#define CALL(name, mode, text, statement) name,
	static const char *(*const all[])(void) = {BREAKS(CALL)};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		const char *passed = all[i]();

		if (passed)
			fail_msg("%s was not refused as it should be", passed);
	}
}

static void unusable_segments_may_hold_anything(void **state)
{
	struct guest_state s = long_mode();

	s.seg[SEG_DS].attr = BIT(16);
	s.seg[SEG_DS].base = 1ull << 40;
	s.seg[SEG_ES].attr = BIT(16) | 0xf;
	assert_null(vmx_check_state(&s, &limits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_states_of_all_modes_are_taken),
		cmocka_unit_test(a_state_with_one_break_is_refused_by_name),
		cmocka_unit_test(unusable_segments_may_hold_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
