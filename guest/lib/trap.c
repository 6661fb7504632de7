/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap.c: exceptions, expected and not, and interrupts.
 */
#include <lib.h>

#define VECTORS	    64
#define STUB_SIZE   16
#define CODE_64	    0x08
#define TSS	    0x28
#define DATA	    0x10
#define GATE	    0x8e00
#define MSR_GS_BASE 0xc0000101
#define FIRST_IRQ   32

struct gate {
	u16 offset_low, selector, attributes, offset_middle;
	u32 offset_high, reserved;
};

bool (*guest_on_exception)(struct guest_frame *frame);

static struct gate idt[VECTORS];
static struct guest_cpu cpus[GUEST_VCPUS_MAX];

static struct guest_cpu *this_cpu(void)
{
	struct guest_cpu *cpu;

	asm volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

static void fill_idt(void)
{
	for (unsigned i = 0; i < VECTORS; i++) {
		u64 stub = (u64)guest_trap_stubs + i * STUB_SIZE;

		idt[i] = (struct gate){
			.offset_low = (u16)stub,
			.selector = CODE_64,
			.attributes = GATE,
			.offset_middle = (u16)(stub >> 16),
			.offset_high = (u32)(stub >> 32),
		};
	}
}

/*
 * For the way from ring 3 to ring 0, which takes its stack from here. Only vCPU 0 goes to ring 3.
 */
static struct {
	u32 reserved;
	u64 rsp[3];
	u64 unused[9];
	u16 reserved2, io_map;
} __attribute__((packed)) tss;

static void load_tss(void)
{
	static u8 stack[4096] __attribute__((aligned(16)));
	u64 base = (u64)&tss;

	tss.rsp[0] = (u64)stack + sizeof(stack);
	tss.io_map = sizeof(tss);
	guest_gdt[TSS / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ul << 40 |
			     (base >> 24 & 0xff) << 56;
	guest_gdt[TSS / 8 + 1] = base >> 32;
	asm volatile("ltr %w0" : : "r"(TSS));
}

void trap_init(unsigned number)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1, (u64)idt};
	struct guest_cpu *cpu = &cpus[number];

	cpu->self = cpu;
	cpu->number = number;
	wrmsr(MSR_GS_BASE, (u64)cpu);
	if (number == 0) {
		fill_idt();
		load_tss();
	}
	asm volatile("lidt %0" : : "m"(pointer));
}

unsigned vcpu_number(void)
{
	return (unsigned)this_cpu()->number;
}

u64 irq_count_of(unsigned vcpu, unsigned vector)
{
	return *(volatile u64 *)&cpus[vcpu].irqs[vector];
}

u64 irq_count(unsigned vector)
{
	return irq_count_of(vcpu_number(), vector);
}

static u64 read_cr2(void)
{
	u64 value;

	asm volatile("movq %%cr2, %0" : "=r"(value));
	return value;
}

static void unexpected(const struct guest_frame *frame)
{
	check(false, "no fault: vector %lu, error %lx, rip %lx, rflags %lx, cr2 %lx, on vCPU %u",
	      frame->vector, frame->error_code, frame->rip, frame->rflags, read_cr2(),
	      vcpu_number());
	guest_end();
}

void guest_trap(struct guest_frame *frame)
{
	struct guest_cpu *cpu;

	if (guest_from_user(frame))
		wrmsr(MSR_GS_BASE, (u64)&cpus[0]); /* ring 3 may have changed it */
	cpu = this_cpu();
	if (guest_on_exception && guest_on_exception(frame))
		return;
	if (frame->vector >= FIRST_IRQ) {
		cpu->irqs[frame->vector]++;
		return;
	}
	if (!cpu->catch_rsp)
		unexpected(frame);
	cpu->fault = (struct guest_fault){(u8)frame->vector, frame->error_code, frame->rip,
					  frame->vector == VECTOR_PF ? read_cr2() : 0};
	frame->rip = (u64)guest_caught;
	frame->rsp = cpu->catch_rsp;
	if (guest_from_user(frame))
		frame->rflags = BIT(1);
	frame->cs = CODE_64;
	frame->ss = DATA;
	cpu->catch_rsp = 0;
}

struct guest_fault catch_fault(void (*function)(void *), void *argument)
{
	struct guest_cpu *cpu = this_cpu();

	if (guest_call_catching(function, argument, &cpu->catch_rsp))
		return cpu->fault;
	cpu->catch_rsp = 0;
	return (struct guest_fault){.vector = VECTOR_NONE};
}

static void enter_user(void *function)
{
	guest_enter_user((void (*)(void))function);
}

struct guest_fault catch_user_fault(void (*function)(void))
{
	return catch_fault(enter_user, (void *)function);
}
