/* SPDX-License-Identifier: Apache-2.0 */
/*
 * desc.c: GDT and TSS of each CPU, and the IDT they share.
 *
 * NMI, #DF and #MC come at any instruction, also where the stack is bad, so each has a stack of its
 * own through the IST (SDM vol. 3A, 6.14.5). The others stay on the stack they interrupt: when that
 * one is used up, the push hits the guard page and becomes a #DF, with the guard page's address in
 * CR2.
 */
#include <asm/desc.h>
#include <asm/layout.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/stacks.h>
#include <asm/traps.h>

#define DESC_CODE 0x00209b0000000000ull /* present, ring 0, execute/read, accessed, 64 bit */
#define DESC_DATA 0x0000930000000000ull /* present, ring 0, read/write, accessed */
#define DESC_TSS  0x0000890000000000ull /* present, 64-bit TSS, available */

#define IDT_VECTORS	  256
#define GATE_INTERRUPT	  0x8e /* present, ring 0, interrupts off */
#define EARLY_STACK_PAGES 1

_Static_assert(sizeof(struct idt_gate) == 16, "a gate of long mode has 16 bytes");

/* A page of its own, so that paging_init() can make it read-only. [I] after idt_init() */
struct idt_gate idt[IDT_VECTORS] __aligned(PAGE_SIZE);

/* For NMI, #DF and #MC of CPU 0 until its mapped stacks exist. */
static u8 early_stack[EARLY_STACK_PAGES * PAGE_SIZE] __aligned(16);

static unsigned ist_of(unsigned vector)
{
	switch (vector) {
	case VECTOR_NMI:
		return IST_NMI;
	case VECTOR_DF:
		return IST_DF;
	case VECTOR_MC:
		return IST_MC;
	default:
		return IST_NONE;
	}
}

void idt_init(void)
{
	for (unsigned i = 0; i < IDT_VECTORS; i++) {
		u64 stub = (u64)trap_stubs + i * TRAP_STUB_SIZE;

		idt[i] = (struct idt_gate){
			.offset_low = (u16)stub,
			.offset_middle = (u16)(stub >> 16),
			.offset_high = (u32)(stub >> 32),
			.selector = SEL_CODE,
			.ist = (u8)ist_of(i),
			.type = GATE_INTERRUPT,
		};
	}
}

void desc_use_early_stack(struct percpu *cpu)
{
	for (unsigned i = 0; i < ISTS; i++)
		cpu->tss.ist[i] = (u64)early_stack + sizeof(early_stack);
}

void desc_use_stacks(struct percpu *cpu)
{
	cpu->tss.ist[IST_NMI - 1] = stack_of(cpu->id, STACK_NMI).top;
	cpu->tss.ist[IST_DF - 1] = stack_of(cpu->id, STACK_DF).top;
	cpu->tss.ist[IST_MC - 1] = stack_of(cpu->id, STACK_MC).top;
}

static void gdt_fill(struct percpu *cpu)
{
	u64 tss = (u64)&cpu->tss;

	cpu->gdt[GDT_CODE] = DESC_CODE;
	cpu->gdt[GDT_DATA] = DESC_DATA;
	cpu->gdt[GDT_TSS] = DESC_TSS | (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 |
			    (tss >> 24 & 0xff) << 56;
	cpu->gdt[GDT_TSS_HIGH] = tss >> 32;
	cpu->tss.io_map = sizeof(struct tss);
}

void desc_load(struct percpu *cpu)
{
	struct desc_pointer gdtr = {sizeof(cpu->gdt) - 1, (u64)cpu->gdt};
	struct desc_pointer idtr = {sizeof(idt) - 1, (u64)idt};

	gdt_fill(cpu);
	asm volatile("lgdt %0" : : "m"(gdtr));
	asm volatile("pushq %[code]\n\t"
		     "leaq 1f(%%rip), %%rax\n\t"
		     "pushq %%rax\n\t"
		     "lretq\n"
		     "1:\n\t"
		     "movl %[data], %%eax\n\t"
		     "movl %%eax, %%ss\n\t"
		     "movl %%eax, %%ds\n\t"
		     "movl %%eax, %%es\n\t"
		     "xorl %%eax, %%eax\n\t"
		     "movl %%eax, %%fs\n\t"
		     "movl %%eax, %%gs\n\t"
		     "lldt %%ax"
		     :
		     : [code] "i"(SEL_CODE), [data] "i"(SEL_DATA)
		     : "rax", "memory");
	asm volatile("ltr %w0" : : "r"(SEL_TSS));
	asm volatile("lidt %0" : : "m"(idtr));
	/* Loading GS cleared its base; until here no per-CPU data may be used. */
	cpu->self = cpu;
	wrmsr(MSR_GS_BASE, (u64)cpu);
}
