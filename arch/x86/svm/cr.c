/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cr.c: which control-register values a guest may have, and writes to them that exited (AMD APM
 * vol. 2, 3.1, 15.5.1).
 *
 * The rules are the CPU's own, checked here because VMRUN answers a broken one with VMEXIT_INVALID,
 * which ends the VM, where the guest should get a #GP(0). One more rule: CR4 may hold only
 * features with a state that a vCPU switch keeps apart, so no protection keys, CET or LA57.
 */
#include <asm/cpuid.h>
#include <asm/guest.h>
#include <asm/regs.h>
#include <lib/error.h>
#include "svm.h"

#define CR0_ALLOWED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
#define CR4_ALWAYS                                                                                \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
	 CR4_OSFXSR | CR4_OSXMMEXCPT)
#define EFER_ALLOWED (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR)

#define CR3_NO_FLUSH BIT(63)
#define CR3_PCID     0xfffull

/* [I] after svm_cr_init(). */
static u64 cr4_allowed, address_mask;

void svm_cr_init(void)
{
	struct cpuid_regs leaf1 = cpuid(1, 0), leaf7 = {0};
	unsigned bits = cpuid_has_leaf(0x80000008) ? cpuid(0x80000008, 0).eax & 0xff : 36;

	if (cpuid_has_leaf(7))
		leaf7 = cpuid(7, 0);
	address_mask = BIT(bits) - 1;
	cr4_allowed = CR4_ALWAYS;
	cr4_allowed |= leaf1.ecx & BIT(17) ? CR4_PCIDE : 0;
	cr4_allowed |= leaf1.ecx & BIT(26) ? CR4_OSXSAVE : 0;
	cr4_allowed |= leaf7.ebx & BIT(0) ? CR4_FSGSBASE : 0;
	cr4_allowed |= leaf7.ebx & BIT(7) ? CR4_SMEP : 0;
	cr4_allowed |= leaf7.ebx & BIT(20) ? CR4_SMAP : 0;
	cr4_allowed |= leaf7.ecx & BIT(2) ? CR4_UMIP : 0;
}

/*
 * Without paging LME means nothing yet, so the VMCB does without: QEMU 7.2 loads the host's CR0
 * before CR4 and EFER at an exit, and with the guest's LME set and its PAE clear it leaves the
 * host's paging off.
 */
void svm_set_efer(struct svm_vcpu *svm, u64 cr0, u64 efer)
{
	svm->lme = efer & EFER_LME;
	svm->vmcb.save.efer = (cr0 & CR0_PG ? efer : efer & ~EFER_LME) | EFER_SVME;
}

u64 svm_efer(const struct svm_vcpu *svm)
{
	return (svm->vmcb.save.efer & ~EFER_SVME) | (svm->lme ? EFER_LME : 0);
}

static bool svm_long_mode_valid(const struct guest_state *s)
{
	u32 attr = s->seg[SEG_CS].attr;
	bool paging = s->cr0 & CR0_PG, enabled = s->efer & EFER_LME;

	if (!!(s->efer & EFER_LMA) != (paging && enabled))
		return false;
	if (s->efer & EFER_LMA)
		return s->cr4 & CR4_PAE && !(attr & SEG_ATTR_L && attr & SEG_ATTR_DB);
	return !(s->cr4 & CR4_PCIDE);
}

bool svm_control_valid(const struct guest_state *s)
{
	if (s->cr0 & ~CR0_ALLOWED || !guest_cr0_valid(s->cr0))
		return false;
	if (s->cr4 & ~cr4_allowed || s->efer & ~EFER_ALLOWED)
		return false;
	if (s->cr3 & ~address_mask)
		return false;
	return svm_long_mode_valid(s);
}

/* Paging off means LMA off; on, it means LMA on where LME is (APM vol. 2, 14.6.1). */
static int change_cr0(struct guest_state *s, u64 value)
{
	bool was_on = s->cr0 & CR0_PG, on = value & CR0_PG;

	/* Reserved bits of the lower half are ignored, ET is always 1. */
	s->cr0 = (value & (CR0_ALLOWED | BITS(63, 32))) | CR0_ET;
	if (was_on && !on) {
		if (s->seg[SEG_CS].attr & SEG_ATTR_L || s->cr4 & CR4_PCIDE)
			return ERR_INVALID;
		s->efer &= ~EFER_LMA;
	}
	if (!was_on && on && s->efer & EFER_LME) {
		if (s->seg[SEG_CS].attr & SEG_ATTR_L)
			return ERR_INVALID;
		s->efer |= EFER_LMA;
	}
	return 0;
}

static int change_cr3(struct guest_state *s, u64 value)
{
	if (s->cr4 & CR4_PCIDE)
		value &= ~CR3_NO_FLUSH;
	s->cr3 = value;
	return 0;
}

static int change_cr4(struct guest_state *s, u64 value)
{
	bool enables_pcid = value & CR4_PCIDE && !(s->cr4 & CR4_PCIDE);

	if (enables_pcid && s->cr3 & CR3_PCID)
		return ERR_INVALID;
	s->cr4 = value;
	return 0;
}

int svm_write_cr(struct arch_vcpu *vcpu, unsigned cr, u64 value)
{
	static int (*const writers[])(struct guest_state *,
				      u64) = {[0] = change_cr0, [3] = change_cr3, [4] = change_cr4};
	struct svm_vcpu *svm = svm_of(vcpu);
	struct guest_state state;

	if (cr >= ARRAY_SIZE(writers) || !writers[cr])
		return ERR_INVALID;
	svm_get_state(vcpu, &state);
	if (writers[cr](&state, value) || !svm_control_valid(&state))
		return ERR_INVALID;
	svm->vmcb.save.cr0 = state.cr0;
	svm->vmcb.save.cr3 = state.cr3;
	svm->vmcb.save.cr4 = state.cr4;
	svm_set_efer(svm, state.cr0, state.efer);
	svm_dirty(svm, CLEAN_CR);
	svm_drop_translations(svm);
	return 0;
}
