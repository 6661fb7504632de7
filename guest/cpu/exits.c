/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.c: each kind of exit once, the result checked against docs/exits.md.
 */
#include <guest.h>

#define MSR_MISC_ENABLE 0x1a0
#define MSR_MTRR_FIX64K 0x250
#define MSR_PAT		0x277
#define MSR_EFER	0xc0000080
#define MSR_LSTAR	0xc0000082
#define MSR_NONE	0x0000beef
#define MSR_K7_FIRST	0xc0010000
#define MSR_K7_LAST	0xc0010007
#define MSR_FEATURES	0x3a /* VMX lock */
#define MSR_VM_CR	0xc0010114

#define IRQ_TEST 40

static void check_cpuid_features(void)
{
	struct cpuid one = cpuid(1, 0), extended = cpuid(0x80000001, 0);

	check(!(one.ecx & BIT(5)), "CPUID hides VMX");
	check(!(extended.ecx & BIT(2)), "CPUID hides SVM");
	check(!(one.edx & BIT(9)), "CPUID shows no local APIC");
	check(one.ecx >> 31, "CPUID shows a hypervisor");
	check(one.ebx >> 24 == 0, "APIC id of vCPU 0 is 0");
	check(extended.edx & BIT(29), "CPUID shows long mode");
}

static void check_cpuid_ranges(void)
{
	struct cpuid ours = cpuid(MACHINE_CPUID_HYPERCALLS, 0);
	struct cpuid none = cpuid(0x7fffffff, 0);

	check(cpuid(0, 0).eax >= 1, "CPUID has basic leaves");
	check(cpuid(0x80000000, 0).eax == 0x80000008, "the last extended leaf is 80000008h");
	check(ours.eax == MACHINE_VERSION && ours.ebx == HYPERCALLS, "leaf 40000001h");
	check(!(none.eax | none.ebx | none.ecx | none.edx), "a leaf that is not there reads zero");
}

static void set_osxsave(void)
{
	u64 cr4;

	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	asm volatile("movq %0, %%cr4" : : "r"(cr4 | BIT(18)));
}

static void bad_xcr0(void *argument)
{
	asm volatile("xsetbv" : : "c"(0), "a"(0), "d"(0)); /* x87 may not be off */
}

static void check_xsave(void)
{
	struct cpuid leaf;

	if (!(cpuid(1, 0).ecx & BIT(26)))
		return;
	check(!(cpuid(1, 0).ecx & BIT(27)), "OSXSAVE is clear before CR4.OSXSAVE is set");
	set_osxsave();
	check(cpuid(1, 0).ecx & BIT(27), "OSXSAVE follows CR4.OSXSAVE");
	leaf = cpuid(0xd, 0);
	asm volatile("xsetbv" : : "c"(0), "a"(leaf.eax), "d"(0));
	check(cpuid(0xd, 0).ebx == leaf.ecx, "leaf 0xD gives the size for the XCR0 that was set");
	check(catch_fault(bad_xcr0, NULL).vector == VECTOR_GP, "XCR0 = 0 raises #GP");
}

static void check_hypercalls(void)
{
	static char text[] = "printed by hypercall\n";

	check(hypercall(HYPERCALL_PING, 0, 0, 0, 0) == 0, "ping");
	check(hypercall(HYPERCALLS, 0, 0, 0, 0) == HYPERCALL_ERROR_NUMBER, "no such call");
	check(hypercall(HYPERCALL_MERGE_SCAN, 1, 0, 0, 0) == HYPERCALL_ERROR_PERMISSION,
	      "a VM that is not merged has nothing to scan");
	check(hypercall(~0ul, 0, 0, 0, 0) == HYPERCALL_ERROR_NUMBER, "no such call, large");
	check(hypercall(HYPERCALL_CONSOLE, (u64)text, sizeof(text) - 1, 0, 0) == sizeof(text) - 1,
	      "console");
	check(hypercall(HYPERCALL_CONSOLE, (u64)text, 4097, 0, 0) == HYPERCALL_ERROR_INVALID,
	      "console refuses a long text");
	check(hypercall(HYPERCALL_CONSOLE, 1ul << 52, 1, 0, 0) == HYPERCALL_ERROR_RANGE,
	      "console refuses an address where nothing is");
	check(hypercall(HYPERCALL_CONSOLE, ~0ul, 2, 0, 0) == HYPERCALL_ERROR_INVALID,
	      "console refuses a range that wraps");
	check(hypercall(HYPERCALL_VCPU_COUNT, 0, 0, 0, 0) == 1, "one vCPU");
	check(hypercall(HYPERCALL_VCPU_START, 1, 0, 0, 0) == HYPERCALL_ERROR_RANGE,
	      "a vCPU that is not there is not started");
	check(hypercall(HYPERCALL_VCPU_START, 0, 0, 0, 0) == HYPERCALL_ERROR_BUSY,
	      "a vCPU that runs is not started");
	check(hypercall(HYPERCALL_IPI, 0, 31, 0, 0) == HYPERCALL_ERROR_INVALID,
	      "an exception is no interrupt");
	check(hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTICS, 0, 0, 0) ==
		      HYPERCALL_ERROR_INVALID,
	      "no such statistic");
	check(hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_EXITS, 0, 0, 0) > 0,
	      "exits are counted");
}

static void check_time(void)
{
	s64 before = hypercall(HYPERCALL_TIME, 0, 0, 0, 0);
	s64 after;

	check(hypercall(HYPERCALL_YIELD, 0, 0, 0, 0) == 0, "yield");
	after = hypercall(HYPERCALL_TIME, 0, 0, 0, 0);
	check(before > 0 && after >= before, "time does not go back");
}

static void check_uart(void)
{
	u16 port = MACHINE_PORT_UART;
	u8 outputs, ready, back;

	out8(port + 7, 0x5a);
	check(in8(port + 7) == 0x5a, "the UART's scratch register keeps a byte");
	out8(port + 4, 0x1b); /* loopback, OUT2, RTS, DTR */
	outputs = in8(port + 6);
	out8(port, 'x');
	ready = in8(port + 5);
	back = in8(port);
	out8(port + 4, 0x0b);
	check((outputs & 0xf0) == 0xb0, "the UART's loopback shows its own outputs");
	check((ready & 1) && back == 'x', "a byte sent in loopback comes back");
	check(in8(port + 5) == 0x60, "the transmitter is empty");
}

static void string_out(void *text)
{
	u64 count = 5;

	asm volatile("rep outsb" : "+S"(text), "+c"(count) : "d"(MACHINE_PORT_UART) : "memory");
}

static void check_ports(void)
{
	static u8 buffer[4];
	void *to = buffer;
	u64 count = sizeof(buffer);

	check(in8(0x1234) == 0xff, "a port where nothing is reads all ones");
	check(in32(0x5678) == 0xffffffff, "and so do four of them");
	check(in8(MACHINE_PORT_CONSOLE) == MACHINE_PORT_CONSOLE, "port e9h says that it is there");
	out8(MACHINE_PORT_POST, 0x42);
	asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(0x1234) : "memory");
	check(buffer[0] == 0xff && buffer[3] == 0xff && count == 0 && to == buffer + 4,
	      "rep insb fills memory and moves RDI and RCX");
	check(catch_fault(string_out, "outs\n").vector == VECTOR_NONE, "rep outsb prints");
}

static void read_msr(void *index)
{
	rdmsr((u32)(u64)index);
}

static void write_efer(void *value)
{
	wrmsr(MSR_EFER, (u64)value);
}

static void write_mtrr(void *value)
{
	wrmsr(MSR_MTRR_FIX64K, (u64)value);
}

static void check_gp(void (*function)(void *), u64 argument, const char *what)
{
	struct guest_fault fault = catch_fault(function, (void *)argument);

	check(fault.vector == VECTOR_GP && fault.error_code == 0, "%s raises #GP(0)", what);
}

static void check_msrs(void)
{
	u64 efer = rdmsr(MSR_EFER);

	check(rdmsr(MSR_MISC_ENABLE) == 1, "MISC_ENABLE reads as the policy says");
	wrmsr(MACHINE_MSR_SCRATCH, 0x123456789abcdef0);
	check(rdmsr(MACHINE_MSR_SCRATCH) == 0x123456789abcdef0, "the scratch MSR keeps 64 bits");
	check((efer & 0xd01) == 0xd01, "EFER shows long mode");
	check(rdmsr(MSR_PAT) == 0x0007040600070406, "PAT is as after reset");
	wrmsr(MSR_LSTAR, 0xffff800000001234);
	check(rdmsr(MSR_LSTAR) == 0xffff800000001234, "LSTAR keeps an address");
	check_gp(read_msr, MSR_NONE, "an MSR that is not there");
	check_gp(read_msr, MSR_FEATURES, "FEATURE_CONTROL");
	check_gp(read_msr, MSR_VM_CR, "VM_CR");
	check_gp(write_efer, efer | BIT(12), "EFER.SVME");
	check_gp(write_efer, efer & ~BIT(8), "clearing EFER.LME under paging");
	check(rdmsr(MSR_EFER) == efer, "EFER is as it was");
	for (u32 index = MSR_K7_FIRST; index <= MSR_K7_LAST; index++)
		wrmsr(index, ~0ul);
	check(rdmsr(MSR_K7_LAST) == 0, "counters of the K7 take writes and read zero");
	wrmsr(MSR_MTRR_FIX64K, 0x0606060606060606);
	check(rdmsr(MSR_MTRR_FIX64K) == 0x0606060606060606, "a fixed-range MTRR keeps its types");
	check_gp(write_mtrr, 0x0606060606060602, "a reserved memory type");
}

static void other_hypercall(void *argument)
{
	if (guest_is_amd)
		asm volatile("vmcall" : : "a"(0) : "memory");
	else
		asm volatile("vmmcall" : : "a"(0) : "memory");
}

static void run_vmxon(void *operand)
{
	asm volatile("vmxon (%0)" : : "r"(operand) : "memory");
}

static void run_vmrun(void *operand)
{
	asm volatile("vmrun" : : "a"(operand) : "memory");
}

static void check_ud(void (*function)(void *), void *argument, const char *what)
{
	struct guest_fault fault = catch_fault(function, argument);

	if (!check(fault.vector == VECTOR_UD, "%s raises #UD", what))
		print("vector %u\n", fault.vector);
}

static void check_instructions(void)
{
	static u8 operand[4096] __attribute__((aligned(4096)));

	check_ud(other_hypercall, NULL, "the other vendor's hypercall");
	check_ud(run_vmxon, operand, "VMXON");
	check_ud(run_vmrun, operand, "VMRUN");
	asm volatile("wbinvd" : : : "memory");
	check(true, "WBINVD goes on");
}

static void set_cr4(void *value)
{
	asm volatile("movq %0, %%cr4" : : "r"(value));
}

static void check_control_registers(void)
{
	u64 cr0, cr4, cr8;

	asm volatile("movq %%cr0, %0" : "=r"(cr0));
	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	asm volatile("movq %%cr8, %0" : "=r"(cr8));
	check(cr8 == 0, "CR8 reads zero");
	check(!(cr4 & BIT(13)), "CR4.VMXE is not seen");
	check_gp(set_cr4, cr4 | BIT(13), "CR4.VMXE");
	check_gp(set_cr4, cr4 & ~BIT(5), "clearing CR4.PAE in long mode");
	asm volatile("movq %0, %%cr0" : : "r"(cr0 | BIT(3)));
	asm volatile("clts");
	asm volatile("movq %%cr0, %0" : "=r"(cr8));
	check(!(cr8 & BIT(3)), "CLTS clears CR0.TS");
}

static volatile s64 user_result;
static volatile u32 user_leaf;

static void user_hypercall(void)
{
	user_result = hypercall(HYPERCALL_SHUTDOWN, 99, 0, 0, 0);
	asm volatile("ud2");
}

static void user_cpuid(void)
{
	user_leaf = cpuid(MACHINE_CPUID_SIGNATURE, 0).eax;
	asm volatile("ud2");
}

static void user_halt(void)
{
	asm volatile("hlt");
}

static void user_out(void)
{
	out8(MACHINE_PORT_EXIT, 99);
}

static void user_xsetbv(void)
{
	asm volatile("xsetbv" : : "c"(0), "a"(1), "d"(0));
}

static void user_rdmsr(void)
{
	rdmsr(MACHINE_MSR_SCRATCH);
}

static void check_user_gp(void (*function)(void), const char *what)
{
	check(catch_user_fault(function).vector == VECTOR_GP, "%s in ring 3 raises #GP", what);
}

static void check_user_mode(void)
{
	check(catch_user_fault(user_hypercall).vector == VECTOR_UD &&
		      user_result == HYPERCALL_ERROR_PERMISSION,
	      "a hypercall from ring 3 is refused");
	check(catch_user_fault(user_cpuid).vector == VECTOR_UD && user_leaf == MACHINE_CPUID_TIMING,
	      "CPUID in ring 3 works");
	check_user_gp(user_halt, "HLT");
	check_user_gp(user_out, "OUT");
	check_user_gp(user_rdmsr, "RDMSR");
	if (cpuid(1, 0).ecx & BIT(27))
		check_user_gp(user_xsetbv, "XSETBV");
}

static void check_halt(void)
{
	check(hypercall(HYPERCALL_IPI, 0, IRQ_TEST, 0, 0) == 0, "an interrupt for oneself");
	check(irq_count(IRQ_TEST) == 0, "it waits while interrupts are off");
	asm volatile("sti; hlt; cli" : : : "memory");
	check(irq_count(IRQ_TEST) == 1, "it wakes HLT");
	hypercall(HYPERCALL_IPI, 0, IRQ_TEST, 0, 0);
	hypercall(HYPERCALL_IPI, 0, IRQ_TEST + 1, 0, 0);
	hypercall(HYPERCALL_IPI, 0, IRQ_TEST + 1, 0, 0);
	asm volatile("sti; nop; nop; nop; cli" : : : "memory");
	check(irq_count(IRQ_TEST) == 2 && irq_count(IRQ_TEST + 1) == 1,
	      "two vectors come once each when interrupts go on");
}

void guest_main(void)
{
	check_cpuid_features();
	check_cpuid_ranges();
	check_xsave();
	check_hypercalls();
	check_time();
	check_uart();
	check_ports();
	check_msrs();
	check_instructions();
	check_control_registers();
	check_user_mode();
	check_halt();
	if (option("halt"))
		asm volatile("cli; hlt");
}
