/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.c: the small functions of include/arch/cpu.h: the CPU's number, the direct map, pages cleared
 * and copied.
 */
#include <arch/cpu.h>
#include <asm/cpuid.h>
#include <asm/image.h>
#include <asm/insn.h>
#include <asm/layout.h>
#include <asm/percpu.h>
#include <lib/log.h>

struct percpu percpu_area[ARCH_CPUS_MAX];

struct arch_cpuid arch_cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r = cpuid(leaf, subleaf);

	return (struct arch_cpuid){r.eax, r.ebx, r.ecx, r.edx};
}

void arch_cpu_relax(void)
{
	cpu_pause();
}

_Static_assert(DIRECT_MAP == DIRECT_MAP_BASE, "<arch/inline.h> has the direct map's base");

struct hpa arch_virt_to_hpa(const void *address)
{
	u64 raw = (u64)address;

	if (raw >= IMAGE_BASE)
		return image_to_hpa(address);
	DEBUG_CHECK(raw >= DIRECT_MAP_BASE && raw < DIRECT_MAP_END);
	return (struct hpa){raw - DIRECT_MAP_BASE};
}

/*
 * One instruction a word is the fewest the general registers allow, and what REP counts without
 * ERMS; with ERMS the CPU moves whole lines at once.
 */
void arch_page_zero(void *page)
{
	u64 count = PAGE_SIZE / sizeof(u64);

	asm volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0ull) : "memory");
}

void arch_page_copy(void *to, const void *from)
{
	u64 count = PAGE_SIZE / sizeof(u64);

	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
