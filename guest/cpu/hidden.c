/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hidden.c: XSAVE components that are not offered (BND registers, PKRU) do not pass from one VM to
 * the next. Where XSETBV exits they cannot be enabled (XSAVE-1); QEMU 7.2 lets it through on AMD-V.
 *
 *     write      fills them with a pattern; else they are read, after each turn of the other VM
 */
#include <guest.h>

#define CR4_OSXSAVE BIT(18)
#define XSTATE_BV   (512 / 8) /* in words of 8 bytes */
#define FIRST_WORD  (576 / 8)
#define WORDS	    512u
#define PATTERN	    0x5ec4e75ec4e70000ul
#define TURNS	    200u

static u64 area[WORDS] __attribute__((aligned(64)));
static const u64 components[] = {BIT(3) | BIT(4), BIT(9)};

static void set_xcr0(void *value)
{
	asm volatile("xsetbv" : : "c"(0), "a"((u32)(u64)value), "d"(0));
}

static void save(void *component)
{
	asm volatile("xsave64 (%0)" : : "r"(area), "a"((u32)(u64)component), "d"(0) : "memory");
}

static void restore(void *component)
{
	asm volatile("xrstor64 (%0)" : : "r"(area), "a"((u32)(u64)component), "d"(0) : "memory");
}

static void fill(u64 component)
{
	for (unsigned i = 0; i < WORDS; i++)
		area[i] = i >= FIRST_WORD ? PATTERN : 0;
	area[XSTATE_BV] = component;
	catch_fault(restore, (void *)component);
}

static unsigned patterns(u64 component)
{
	unsigned found = 0;

	for (unsigned i = 0; i < WORDS; i++)
		area[i] = 0;
	catch_fault(save, (void *)component);
	for (unsigned i = FIRST_WORD; i < WORDS; i++)
		found += area[i] >> 16 == PATTERN >> 16 || area[i] == (u32)PATTERN;
	return found;
}

void guest_main(void)
{
	bool writer = option("write");
	unsigned found = 0, let_in = 0;
	u64 cr4;

	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	asm volatile("movq %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE));
	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (unsigned i = 0; i < ARRAY_SIZE(components); i++) {
			u64 xcr0 = components[i] | 1;

			if (catch_fault(set_xcr0, (void *)xcr0).vector != VECTOR_NONE)
				continue;
			let_in++;
			if (writer)
				fill(components[i]);
			else
				found += patterns(components[i]);
			set_xcr0((void *)1ul);
		}
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	}
	print("%u times a component was let in\n", let_in);
	check(found == 0, "nothing of the other VM is left in them: %u words", found);
}
