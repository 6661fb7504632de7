/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xsave.c: switching the guest's FPU registers and XCR0 (SDM vol. 1, chapter 13).
 *
 * Why whole: an FPU state restored lazily, on the first use, leaks between guests by speculation
 * (CVE-2018-3665), and saves little. So the registers move at load and at put, always and whole:
 * XRSTOR and XSAVE name every component a guest may have, whatever its XCR0 shows at the moment,
 * because a guest that narrows XCR0 keeps what it had in the hidden components.
 *
 * AMD's CPUs without XSaveErPtr neither save nor restore the x87 pointers (FIP, FDP, FOP) unless an
 * exception is pending (APM vol. 3, FXSAVE), so the last guest's would show in the next one
 * (CVE-2006-1056): there a load of a constant gives them the hypervisor's, which are no secret.
 *
 *     load: XCR0 = all offered, XRSTOR all, XCR0 = guest's      put: XCR0 = all, XSAVE all
 *
 * XCR0 is read back at put: QEMU 7.2 does not exit for XSETBV (SVM). There a guest can set bits
 * that are not offered; they are clear and their components initial after its next put.
 *
 * Invariants:
 * XSAVE-1  a bit outside arch_xcr0_allowed() never reaches XSETBV.
 * XSAVE-2  the area was written by XSAVE or by xsave_vcpu_init(), so XRSTOR cannot fault.
 */
#include <asm/xsave.h>
#include <asm/cpuid.h>
#include <asm/errata.h>
#include <asm/regs.h>
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>

#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
/*
 * No MPX: gone from new CPUs. No PKRU, no AMX: CR4.PKE and the tile data's size are not offered.
 * What is left fits the one page of the save area: 2688 bytes with AVX-512.
 */
#define XCR0_OFFERED (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

#define CPUID_1_ECX_XSAVE   BIT(26)
#define FXSAVE_FCW	    0
#define FXSAVE_MXCSR	    24
#define FXSAVE_XMM	    160
#define FCW_INIT	    0x37f
#define MXCSR_INIT	    0x1f80
#define XSAVE_HEADER_XSTATE 512

/* [I] after the boot CPU's xsave_cpu_enable(). xcr0_all 0: FXSAVE only. */
static u64 xcr0_all;
static u64 hidden; /* components that the CPU has and no guest is offered */
static bool pointers_stay;

u64 arch_xcr0_allowed(void)
{
	return xcr0_all;
}

u64 arch_xcr0(void)
{
	return xcr0_all ? xgetbv(0) : 0;
}

static u64 xcr0_supported(void)
{
	struct cpuid_regs r;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE))
		return 0;
	r = cpuid(0xd, 0);
	return (u64)r.edx << 32 | r.eax;
}

static u64 xcr0_offered(void)
{
	u64 bits = xcr0_supported() & XCR0_OFFERED;

	/* AVX-512 comes whole or not at all, and on top of AVX. */
	if ((bits & XCR0_AVX512) != XCR0_AVX512 || !(bits & XCR0_AVX))
		bits &= ~XCR0_AVX512;
	return bits;
}

static bool keeps_pointers(void)
{
	static const u32 amd[] = {0x68747541 /* "Auth" */, 0x6f677948 /* "Hygo" */};
	u32 vendor = cpuid(0, 0).ebx;

	return (vendor == amd[0] || vendor == amd[1]) &&
	       !(cpuid_has_leaf(0x80000008) && cpuid(0x80000008, 0).ebx & BIT(2));
}

static void clear_pointers(void)
{
	static const u32 zero;

	asm volatile("fnclex; emms; fildl %0" : : "m"(zero));
}

void xsave_cpu_enable(void)
{
	u64 all = xcr0_offered();

	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (all ? CR4_OSXSAVE : 0));
	if (arch_cpu_id() == 0) {
		xcr0_all = all;
		hidden = all ? xcr0_supported() & ~all : 0;
		pointers_stay = keeps_pointers();
	}
	CHECK(all == xcr0_all);
	if (!all)
		return;
	xsetbv(0, all);
	CHECK(cpuid(0xd, 0).ebx <= PAGE_SIZE);
}

int xsave_vcpu_init(struct arch_vcpu *vcpu)
{
	struct mfn frame;
	u8 *area;
	int err = frame_alloc(0, FRAME_HYPERVISOR, FRAME_ZERO, &frame);

	if (err)
		return err;
	area = arch_hpa_to_virt(mfn_to_hpa(frame));
	*(u16 *)(area + FXSAVE_FCW) = FCW_INIT;
	*(u32 *)(area + FXSAVE_MXCSR) = MXCSR_INIT;
	*(u64 *)(area + XSAVE_HEADER_XSTATE) = XCR0_X87 | XCR0_SSE;
	vcpu->xsave = area;
	vcpu->xcr0 = XCR0_X87;
	return 0;
}

void xsave_vcpu_fini(struct arch_vcpu *vcpu)
{
	if (!vcpu->xsave)
		return;
	frame_free(hpa_to_mfn(arch_virt_to_hpa(vcpu->xsave)), 0);
	vcpu->xsave = NULL;
}

void xsave_load(struct arch_vcpu *vcpu)
{
	if (pointers_stay)
		clear_pointers();
	if (!xcr0_all) {
		asm volatile("fxrstor64 (%0)" : : "r"(vcpu->xsave) : "memory");
		return;
	}
	xsetbv(0, xcr0_all);
	asm volatile("xrstor64 (%0)"
		     :
		     : "r"(vcpu->xsave), "a"((u32)xcr0_all), "d"((u32)(xcr0_all >> 32))
		     : "memory");
	if (vcpu->xcr0 != xcr0_all)
		xsetbv(0, vcpu->xcr0);
}

/*
 * Components that are not offered go back to their initial state: where XSETBV does not exit, the
 * next guest could enable and read them.
 */
static void xsave_init_hidden(void)
{
	static const u8 initial[XSAVE_HEADER_XSTATE + 64] __aligned(64); /* XSTATE_BV is 0 */

	xsetbv(0, xcr0_all | hidden);
	asm volatile("xrstor64 (%0)"
		     :
		     : "r"(initial), "a"((u32)hidden), "d"((u32)(hidden >> 32))
		     : "memory");
	xsetbv(0, xcr0_all);
}

void xsave_put(struct arch_vcpu *vcpu)
{
	if (!xcr0_all) {
		asm volatile("fxsave64 (%0)" : : "r"(vcpu->xsave) : "memory");
		return;
	}
	vcpu->xcr0 = xgetbv(0) & xcr0_all;
	if (vcpu->xcr0 != xcr0_all)
		xsetbv(0, xcr0_all);
	asm volatile("xsave64 (%0)"
		     :
		     : "r"(vcpu->xsave), "a"((u32)xcr0_all), "d"((u32)(xcr0_all >> 32))
		     : "memory");
	if (errata.free_xsetbv && hidden)
		xsave_init_hidden();
}

/* In the legacy region of the area (SDM vol. 1, 13.4.1). */
static u64 *xmm_of(struct arch_vcpu *vcpu, unsigned reg)
{
	return (u64 *)((u8 *)vcpu->xsave + FXSAVE_XMM + 16 * reg);
}

void arch_xmm_get(struct arch_vcpu *vcpu, unsigned reg, u64 value[2])
{
	xsave_put(vcpu);
	value[0] = xmm_of(vcpu, reg)[0];
	value[1] = xmm_of(vcpu, reg)[1];
	xsave_load(vcpu);
}

/* Without its bit in XSTATE_BV the component would be loaded with its initial state. */
void arch_xmm_set(struct arch_vcpu *vcpu, unsigned reg, const u64 value[2])
{
	xsave_put(vcpu);
	xmm_of(vcpu, reg)[0] = value[0];
	xmm_of(vcpu, reg)[1] = value[1];
	*(u64 *)((u8 *)vcpu->xsave + XSAVE_HEADER_XSTATE) |= XCR0_SSE;
	xsave_load(vcpu);
}

int arch_xsetbv(struct arch_vcpu *vcpu, u32 index, u64 value)
{
	if (index != 0 || (value & ~xcr0_all) || !(value & XCR0_X87))
		return ERR_INVALID;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return ERR_INVALID;
	if ((value & XCR0_AVX512) && ((value & XCR0_AVX512) != XCR0_AVX512 || !(value & XCR0_AVX)))
		return ERR_INVALID;
	vcpu->xcr0 = value;
	xsetbv(0, value);
	return 0;
}
