/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm.c: a #DB that raises the next one in its delivery, for ever (CVE-2015-8104).
 *
 *     DR0 watches the word that the CPU pushes SS to when it delivers #DB
 *     #DB -> push SS: hit -> #DB before the handler's first instruction -> push SS: hit -> ...
 *
 * The stack of #DB comes from the TSS (IST), so that each delivery pushes to the same place. A CPU
 * that is left alone with this never gets to the next instruction and takes no interrupt. vCPU 1
 * does it; vCPU 0, on the same CPU, must go on being given its turns, and ends the VM (VMX-5).
 */
#include <guest.h>

#define TURNS	     20ul
#define SELECTOR_TSS 0x18
#define IST_1	     1

struct __attribute__((packed)) tss {
	u32 reserved0;
	u64 rsp[3], reserved1, ist[7], reserved2;
	u16 reserved3, io_map;
};

struct __attribute__((packed)) pointer {
	u16 limit;
	u64 base;
};

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, reserved;
};

static u64 gdt[5] = {0, 0x00209b0000000000, 0x00cf93000000ffff};
static struct gate idt[2];
static struct tss tss;
static u64 stack[64] __attribute__((aligned(16)));
static volatile u64 storming;

void storm_handler(void);
asm("storm_handler: incq storm_handled(%rip); iretq");
u64 storm_handled;

static void fill_tables(void)
{
	u64 base = (u64)&tss, handler = (u64)storm_handler;

	gdt[3] = 0x0000890000000067 | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	gdt[4] = base >> 32;
	tss.ist[IST_1 - 1] = (u64)&stack[ARRAY_SIZE(stack)];
	tss.io_map = sizeof(tss);
	idt[1] = (struct gate){
		.offset_low = (u16)handler,
		.selector = 0x08,
		.ist = IST_1,
		.type = 0x8e,
		.offset_middle = (u16)(handler >> 16),
		.offset_high = (u32)(handler >> 32),
	};
}

/* Watches the top word of the #DB stack for writes of eight bytes, then writes it. */
static void storm(u64 unused)
{
	struct pointer gdtr = {sizeof(gdt) - 1, (u64)gdt}, idtr = {sizeof(idt) - 1, (u64)idt};
	volatile u64 *watched = &stack[ARRAY_SIZE(stack) - 1];

	fill_tables();
	asm volatile("lgdt %0; ltr %w1; lidt %2" : : "m"(gdtr), "r"(SELECTOR_TSS), "m"(idtr));
	asm volatile("mov %0, %%dr0" : : "r"(watched));
	asm volatile("mov %0, %%dr7" : : "r"(0x90403ul));
	storming = 1;
	for (;;)
		*watched = 0;
}

void guest_main(void)
{
	u64 turns = 0;

	check(vcpu_run(1, storm, 0) == 0, "vCPU 1 starts its storm");
	while (turns < TURNS) {
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
		turns += storming;
	}
	check(turns == TURNS, "%lu turns while vCPU 1 was at it", turns);
	print("handled: %lu\n", storm_handled);
}
