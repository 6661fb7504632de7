/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permmap.c: which ports and MSRs a guest may use without an exit (AMD APM vol. 2, 15.10, 15.11).
 *
 * A set bit intercepts. All guests share both maps: the I/O map is constant (every port exits), the
 * MSR map is built once from msr_passthrough[] and never written again. An MSR has two bits, read
 * below write, in one of three ranges; one outside the ranges always exits.
 *
 * PAT exits although the VMCB holds it: QEMU 7.2 ignores G_PAT, so that a guest would write the
 * host's PAT and the next guest read it.
 */
#include <arch/virt.h>
#include <asm/cpuid.h>
#include <asm/msr.h>
#include "svm.h"

/* One bit a port, and three more for an access that runs past port 0xffff. */
#define IOPM_SIZE 0x3000

static const u8 iopm[IOPM_SIZE] __aligned(4096) = {[0 ... IOPM_SIZE - 1] = 0xff};
static u8 msrpm[MSRPM_SIZE] __aligned(4096);

/* [I] after svm_permmap_init(). */
static struct hpa iopm_hpa, msrpm_hpa;

static const struct {
	u32 first;
	u32 offset;
} msrpm_ranges[] = {
	{0x00000000, 0x0000},
	{0xc0000000, 0x0800},
	{0xc0010000, 0x1000},
};

#define MSRPM_RANGE_MSRS 0x2000

bool svm_msrpm_allow(u8 *map, u32 index, bool read, bool write)
{
	for (unsigned i = 0; i < ARRAY_SIZE(msrpm_ranges); i++) {
		u32 n = index - msrpm_ranges[i].first;
		u8 bits = (u8)((read ? 1 : 0) | (write ? 2 : 0));

		if (n >= MSRPM_RANGE_MSRS)
			continue;
		map[msrpm_ranges[i].offset + n / 4] &= (u8) ~(bits << n % 4 * 2);
		return true;
	}
	return false;
}

void svm_permmap_init(void)
{
	iopm_hpa = arch_virt_to_hpa(iopm);
	msrpm_hpa = arch_virt_to_hpa(msrpm);
	for (unsigned i = 0; i < MSRPM_SIZE; i++)
		msrpm[i] = 0xff;
	for (const struct msr_passthrough *m = msr_passthrough; m->index; m++) {
		if (m->index != MSR_PAT)
			(void)svm_msrpm_allow(msrpm, m->index, m->read, m->write);
	}
	if (cpuid_has(CPUID_RDTSCP))
		(void)svm_msrpm_allow(msrpm, MSR_TSC_AUX, true, true);
}

struct hpa svm_iopm(void)
{
	return iopm_hpa;
}

struct hpa svm_msrpm(void)
{
	return msrpm_hpa;
}
