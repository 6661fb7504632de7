/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile.c: a guest that uses every interface wrongly; no other VM may be disturbed.
 *
 * A fault is caught and the next attempt follows. What the guest cannot survive comes last and is
 * chosen by the command line: triple, stack, idt, tables, halt, cr3, spin; else it shuts down.
 */
#include <guest.h>

static u64 raised, survived;

static void attempt(void (*function)(void *), u64 argument)
{
	if (catch_fault(function, (void *)argument).vector == VECTOR_NONE)
		survived++;
	else
		raised++;
}

static void report(const char *what)
{
	print("%s: %lu raised a fault, %lu did not\n", what, raised, survived);
	raised = 0;
	survived = 0;
}

static void read_cpuid(void *leaf)
{
	for (u32 subleaf = 0; subleaf < 8; subleaf++)
		cpuid((u32)(u64)leaf, subleaf);
}

static void all_cpuid(void)
{
	static const u32 ranges[] = {0,		 0x20000000, 0x40000000, 0x80000000,
				     0x86000000, 0xc0000000, 0xffffff00};

	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		for (u32 leaf = 0; leaf < 0x40; leaf++)
			attempt(read_cpuid, ranges[i] + leaf);
	report("cpuid");
}

static void read_msr(void *index)
{
	rdmsr((u32)(u64)index);
}

static void set_msr(void *index)
{
	wrmsr((u32)(u64)index, 0xdeadbeefcafebabe);
}

/* FS base, GS base and KERNEL_GS_BASE: the library needs them. */
static bool spared(u32 index)
{
	return index >= 0xc0000100 && index <= 0xc0000102;
}

static void sampled_msrs(void)
{
	static const u32 ranges[] = {0,		 0x400,	     0x800,	 0x40000000, 0xc0000000,
				     0xc0000080, 0xc0010000, 0xc0010100, 0xc0011000, 0xfffffff0};

	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		for (u32 offset = 0; offset < 0x120; offset++) {
			u32 index = ranges[i] + offset;

			attempt(read_msr, index);
			if (!spared(index))
				attempt(set_msr, index);
		}
	for (u64 index = 0x1000; index < 0xc0000000; index += 0x00fedcb1)
		attempt(read_msr, index);
	report("msr");
}

static u64 read_cr(unsigned number)
{
	u64 value = 0;

	if (number == 0)
		asm volatile("movq %%cr0, %0" : "=r"(value));
	else
		asm volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}

static void flip_cr0(void *bit)
{
	u64 old = read_cr(0);

	asm volatile("movq %0, %%cr0" : : "r"(old ^ (u64)bit));
	asm volatile("movq %0, %%cr0" : : "r"(old));
}

static void flip_cr4(void *bit)
{
	u64 old = read_cr(4);

	asm volatile("movq %0, %%cr4" : : "r"(old ^ (u64)bit));
	asm volatile("movq %0, %%cr4" : : "r"(old));
}

static void write_cr8(void *value)
{
	asm volatile("movq %0, %%cr8" : : "r"(value));
}

static void write_cr3_back(void *bits)
{
	u64 old;

	asm volatile("movq %%cr3, %0" : "=r"(old));
	asm volatile("movq %0, %%cr3" : : "r"(old | (u64)bits));
	asm volatile("movq %0, %%cr3" : : "r"(old));
}

/* CR0.PG and PE and CR4.PAE would end it all; the CPU refuses them in 64-bit code. */
static void all_control_registers(void)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		attempt(flip_cr0, BIT(bit));
		if (bit != 20 && bit != 21) /* SMEP and SMAP: our pages are user pages */
			attempt(flip_cr4, BIT(bit));
		attempt(write_cr8, BIT(bit));
		if (bit < 12)
			attempt(write_cr3_back, BIT(bit));
	}
	report("cr");
}

static void set_xcr0(void *value)
{
	asm volatile("xsetbv" : : "c"(0), "a"((u32)(u64)value), "d"((u32)((u64)value >> 32)));
}

static void set_xcr1(void *value)
{
	asm volatile("xsetbv" : : "c"(1), "a"((u32)(u64)value), "d"(0));
}

static void all_xcr0(void)
{
	u64 cr4 = read_cr(4);

	if (!(cpuid(1, 0).ecx & BIT(26)))
		return;
	asm volatile("movq %0, %%cr4" : : "r"(cr4 | BIT(18)));
	for (unsigned bit = 0; bit < 64; bit++) {
		attempt(set_xcr0, BIT(bit));
		attempt(set_xcr0, BIT(bit) | 1);
		attempt(set_xcr1, BIT(bit));
	}
	attempt(set_xcr0, ~0ul);
	attempt(set_xcr0, 1);
	report("xcr0");
}

static void use_port(void *port)
{
	u16 number = (u16)(u64)port;

	in8(number);
	in32(number);
	out8(number, 0x55);
	out32(number, 0xaaaaaaaa);
}

/* Not the ports that end the VM or print. */
static void all_ports(void)
{
	u64 step = option_number("port_step", 1);

	for (u64 port = 0; port < 0x10000; port += step) {
		bool ours = port + 3 >= MACHINE_PORT_UART && port < MACHINE_PORT_UART + 8;

		if (!ours && (port + 3 < MACHINE_PORT_EXIT || port > MACHINE_PORT_EXIT) &&
		    (port + 3 < MACHINE_PORT_CONSOLE || port > MACHINE_PORT_CONSOLE))
			attempt(use_port, port);
	}
	report("ports");
}

static void read_byte(void *address)
{
	*(volatile u8 *)address;
}

static void store(void *address)
{
	*(volatile u64 *)address = 0x6666666666666666;
}

static void jump(void *address)
{
	((void (*)(void))address)();
}

static void cross(void *address)
{
	*(volatile u64 *)((u64)address - 4) = 1;
}

static void wild_memory(void)
{
	u64 end = 0x100000 + ((u64)guest_info->mem_upper << 10);

	for (u64 at = end; at < 1ul << 32; at += 0x01234000) {
		attempt(read_byte, at);
		attempt(store, at);
		attempt(jump, at);
	}
	for (unsigned bit = 32; bit < 64; bit++) {
		attempt(read_byte, BIT(bit));
		attempt(store, BIT(bit) | 0x123);
	}
	for (u64 at = 0xa0000; at < 0x100000; at += 0x1000)
		attempt(store, at);
	attempt(cross, end);
	report("memory");
}

static void vmx_instructions(void *operand)
{
	asm volatile("vmptrld (%0)" : : "r"(operand) : "memory");
}

static void vmx_vmxon(void *operand)
{
	asm volatile("vmxon (%0)" : : "r"(operand) : "memory");
}

static void vmx_vmread(void *operand)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=r"(value) : "r"(operand));
}

static void vmx_vmlaunch(void *operand)
{
	asm volatile("vmlaunch");
}

static void vmx_invept(void *operand)
{
	asm volatile("invept (%0), %1" : : "r"(operand), "r"(1ul) : "memory");
}

static void svm_vmrun(void *operand)
{
	asm volatile("vmrun" : : "a"(operand) : "memory");
}

static void svm_vmload(void *operand)
{
	asm volatile("vmload" : : "a"(operand) : "memory");
}

static void svm_vmsave(void *operand)
{
	asm volatile("vmsave" : : "a"(operand) : "memory");
}

static void svm_stgi(void *operand)
{
	asm volatile("stgi");
}

static void svm_clgi(void *operand)
{
	asm volatile("clgi");
}

static void svm_skinit(void *operand)
{
	asm volatile("skinit" : : "a"(operand));
}

static void svm_invlpga(void *operand)
{
	asm volatile("invlpga" : : "a"(operand), "c"(0));
}

static void odd_monitor(void *operand)
{
	asm volatile("monitor" : : "a"(operand), "c"(0), "d"(0));
	asm volatile("mwait" : : "a"(0), "c"(0));
}

static void odd_rsm(void *operand)
{
	asm volatile("rsm");
}

static void odd_getsec(void *operand)
{
	asm volatile("getsec" : : "a"(0));
}

static void odd_rdpmc(void *counter)
{
	u32 low, high;

	asm volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(counter));
}

static void odd_invd(void *operand)
{
	asm volatile("wbinvd" : : : "memory");
}

static void odd_ud2(void *operand)
{
	asm volatile("ud2");
}

static void odd_debug(void *operand)
{
	asm volatile("movq %0, %%dr7" : : "r"(operand));
	asm volatile("movq %0, %%dr7" : : "r"(0x400ul));
}

static void privileged_instructions(void)
{
	static u8 page[4096] __attribute__((aligned(4096)));
	static void (*const tries[])(void *) = {
		vmx_instructions, vmx_vmxon,   vmx_vmread,  vmx_vmlaunch, vmx_invept,
		svm_vmrun,	  svm_vmload,  svm_vmsave,  svm_stgi,	  svm_clgi,
		svm_skinit,	  svm_invlpga, odd_monitor, odd_rsm,	  odd_getsec,
		odd_rdpmc,	  odd_invd,    odd_ud2,	    odd_debug,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(tries); i++)
		attempt(tries[i], (u64)page);
	report("instructions");
}

static void wild_hypercalls(void)
{
	static const u64 values[] = {0, 1, 0xfff, 1ul << 31, 1ul << 47, 1ul << 63, ~0ul};

	for (u64 number = 0; number < 64; number++)
		for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
			for (unsigned j = 0; j < ARRAY_SIZE(values); j++) {
				if (number == HYPERCALL_SHUTDOWN || number == HYPERCALL_VCPU_START)
					continue;
				if (number == HYPERCALL_CONSOLE && values[i] < 0x100000)
					continue;
				if (number >= HYPERCALL_PROTECT && number <= HYPERCALL_UNMAP)
					hypercall(number, values[i] | 0x800, values[j], 7, 9);
				else if (hypercall(number, values[i], values[j], 1, 2) < 0)
					raised++;
				else
					survived++;
			}
	report("hypercalls");
}

/* --- Ends that the guest does not survive. --- */

static void load_idt(u16 limit)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = {limit, 0xa0000};

	asm volatile("lidt %0" : : "m"(none));
}

static void end_triple(void)
{
	load_idt(0);
	asm volatile("ud2");
}

/* Each exception frame is pushed where no memory is. */
static void end_stack(void)
{
	asm volatile("movq $0xa0800, %%rsp; pushq $0" : : : "memory");
}

/* The IDT itself lies where no memory is. */
static void end_idt(void)
{
	load_idt(0xfff);
	asm volatile("ud2");
}

/* Page tables where no memory is: not even the next instruction can be fetched. */
static void end_tables(void)
{
	asm volatile("movq %0, %%cr3" : : "r"(0xb0000ul) : "memory");
}

/* Bits of CR3 that must be zero: #GP on real hardware, a state the CPU refuses under QEMU. */
static void end_cr3(void)
{
	u64 old;

	asm volatile("movq %%cr3, %0" : "=r"(old));
	asm volatile("movq %0, %%cr3" : : "r"(old | BIT(60)) : "memory");
	cpuid(0, 0);
}

static void end_halt(void)
{
	asm volatile("cli; hlt");
}

/* Hypercalls until 30 time slices are used up. */
static void end_spin(void)
{
	u64 slices = 0;

	while (slices < 30)
		slices = (u64)hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_SLICES, 0, 0, 0);
	out8(MACHINE_PORT_EXIT, 33);
}

static const struct {
	const char *name;
	void (*act)(void);
} ends[] = {{"triple", end_triple}, {"stack", end_stack}, {"idt", end_idt}, {"tables", end_tables},
	    {"halt", end_halt},	    {"spin", end_spin},	  {"cr3", end_cr3}};

void guest_main(void)
{
	all_cpuid();
	sampled_msrs();
	all_control_registers();
	all_xcr0();
	all_ports();
	wild_memory();
	privileged_instructions();
	wild_hypercalls();
	check(true, "still there");
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		if (option(ends[i].name))
			ends[i].act();
}
