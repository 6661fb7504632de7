/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_stack.c: accesses of the CPU's own to device space: an event that pushes its frame there,
 * at a REP STOSB that could be taken for the access; or page tables that lie there. Neither ends by
 * itself, so the VM has to be stopped.
 *
 *     tables      page tables in device space
 *     rom         page tables in ROM, where the CPU cannot set their accessed bits
 */
#include <guest.h>

#define DEVICE 0xd0000000ul
#define ROM    0xd0000ul

static void load_tables(u64 where)
{
	asm volatile("movq %0, %%cr3" : : "r"(where) : "memory");
}

void guest_main(void)
{
	print("attacks\n");
	if (option("tables"))
		load_tables(DEVICE);
	if (option("rom"))
		load_tables(ROM);
	asm volatile("movq %0, %%rsp\n\t"
		     "movq %1, %%rdi\n\t"
		     "movq %2, %%rcx\n\t"
		     "xorl %%eax, %%eax\n\t"
		     "cld\n\t"
		     "rep stosb\n\t"
		     "ud2"
		     :
		     : "r"(DEVICE + 0x800), "r"(1ul << 40), "r"(~0ul)
		     : "memory");
}
