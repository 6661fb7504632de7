/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_cpu.c: a guest that tries to keep its CPU, or to bring down the machine, by exceptions. A
 * guest beside it must go on.
 *
 *     stack      a #PF in a REP STOSB, its frame pushed to device space: a fault in the delivery
 *     tables     page tables in device space
 *     rom        page tables in ROM, where no accessed bit can be set
 *     dr         writes random breakpoints (seed=N) and lets other vCPUs run between
 */
#include <guest.h>

#define DEVICE 0xd0000000ul
#define ROM    0xd0000ul

static void attack_stack(void)
{
	print("armed\n");
	asm volatile("movq %0, %%rsp\n\t"
		     "cld\n\t"
		     "rep stosb\n\t"
		     "ud2"
		     :
		     : "r"(DEVICE + 0x800), "D"(1ul << 40), "c"(~0ul), "a"(0)
		     : "memory");
}

static void load_tables(u64 where)
{
	print("armed\n");
	asm volatile("movq %0, %%cr3" : : "r"(where) : "memory");
}

static void attack_tables(void)
{
	load_tables(DEVICE);
}

static void attack_rom(void)
{
	load_tables(ROM);
}

static void attack_dr(void)
{
	static u64 word;
	u64 x = option_number("seed", 1) * 0x9e3779b97f4a7c15ul;

	print("armed\n");
	for (;;) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		asm volatile("movq %0, %%dr0; movq %0, %%dr1" : : "r"((u64)&word));
		asm volatile("movq %0, %%dr7" : : "r"((x & 0xffff0fff) | 0x400));
		if (x >> 40 & 1)
			hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
		asm volatile("movq %0, %%dr7" : : "r"(0x400ul));
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} attacks[] = {
	{"stack", attack_stack}, {"tables", attack_tables}, {"rom", attack_rom}, {"dr", attack_dr}};

void guest_main(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(attacks); i++)
		if (option(attacks[i].name))
			attacks[i].run();
	check(false, "no attack was chosen, or it ended");
}
