/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apic.c: the local APIC: turning it on, and inter-processor interrupts.
 *
 * Its registers are the same in both modes (SDM vol. 3A, table 11-6): at offset o of the page in
 * xAPIC mode, at MSR 800h + o / 16 in x2APIC mode; only the ICR differs in shape. x2APIC is taken
 * wherever the CPU has it, and stays if the firmware turned it on. There is no way back: it takes a
 * reset, and Bochs' APIC would be dead.
 */
#define LOG_THIS LOG_CPU

#include <asm/apic.h>
#include <arch/boot_info.h>
#include <asm/apic_regs.h>
#include <asm/cpuid.h>
#include <asm/insn.h>
#include <asm/io.h>
#include <asm/irq.h>
#include <asm/layout.h>
#include <asm/msr.h>
#include <asm/paging.h>
#include <lib/log.h>
#include <lib/string.h>

#define ICR_NMI	    0x400
#define ICR_INIT    0x500
#define ICR_STARTUP 0x600
#define ICR_PENDING BIT(12) /* xAPIC only */
#define ICR_ASSERT  BIT(14)
#define ICR_OTHERS  (3 << 18)
#define ICR_ROUNDS  1000000

#define SPURIOUS_ENABLE BIT(8)
#define XAPIC_BROADCAST 0xff /* an xAPIC's destinations have 8 bits */

/* [I] after CPU 0's apic_enable() */
static bool x2apic;

u32 apic_read(unsigned offset)
{
	if (x2apic)
		return (u32)rdmsr(MSR_X2APIC_BASE + offset / 16);
	return *(volatile u32 *)(APIC_MMIO + offset);
}

void apic_write(unsigned offset, u32 value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_BASE + offset / 16, value);
	else
		*(volatile u32 *)(APIC_MMIO + offset) = value;
}

/* x2APIC where the CPU has it and the command line does not name xAPIC; always where it is on
 * already. */
static bool choose_x2apic(void)
{
	if (rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC)
		return true;
	return cpuid_has(CPUID_X2APIC) && strcmp(boot_option_text("apic"), "xapic") != 0;
}

/*
 * The 8259s would deliver the firmware's timer through LINT0. All their lines are masked, and a
 * spurious one comes on a vector that is no exception's (8259A data sheet, ICW1-ICW4).
 */
static void pic_silence(void)
{
	static const u16 command[] = {0x20, 0xa0};
	static const u8 cascade[] = {0x04, 0x02};

	for (unsigned i = 0; i < ARRAY_SIZE(command); i++) {
		io_write8(command[i], 0x11);
		io_write8(command[i] + 1, (u8)(VECTOR_PIC + 8 * i));
		io_write8(command[i] + 1, cascade[i]);
		io_write8(command[i] + 1, 0x01);
		io_write8(command[i] + 1, 0xff);
	}
}

void apic_enable(void)
{
	static bool chosen;
	u64 base = rdmsr(MSR_APIC_BASE);

	if (!cpuid_has(CPUID_APIC))
		panic("this CPU has no local APIC (CPUID.1:EDX[9])");
	if (!chosen) {
		chosen = true;
		pic_silence();
		x2apic = choose_x2apic();
		log_info("local APIC in %s mode", x2apic ? "x2APIC" : "xAPIC");
	}
	/* Through enabled xAPIC to x2APIC, the one way there (SDM vol. 3A, 11.12.5). */
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return x2apic ? id : id >> 24;
}

bool apic_reaches(u32 id)
{
	return x2apic || id < XAPIC_BROADCAST;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* An IPI by the ICR; the last one has left before this one is written. */
static void icr_send(u32 destination, u32 command)
{
	if (x2apic) {
		/* WRMSR to the APIC is no fence: what the IPI announces must be visible first (SDM
		 * vol. 3A, 11.12.3). */
		asm volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC_BASE + APIC_ICR_LOW / 16, (u64)destination << 32 | command);
		return;
	}
	for (unsigned i = 0; i < ICR_ROUNDS && apic_read(APIC_ICR_LOW) & ICR_PENDING; i++)
		cpu_pause();
	apic_write(APIC_ICR_HIGH, destination << 24);
	apic_write(APIC_ICR_LOW, command);
}

void apic_send(u32 id, unsigned vector)
{
	icr_send(id, ICR_ASSERT | vector);
}

void apic_send_nmi(u32 id)
{
	icr_send(id, ICR_ASSERT | ICR_NMI);
}

void apic_send_nmi_others(void)
{
	icr_send(0, ICR_ASSERT | ICR_NMI | ICR_OTHERS);
}

void apic_send_init(u32 id)
{
	icr_send(id, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(u32 id, struct hpa page)
{
	icr_send(id, ICR_ASSERT | ICR_STARTUP | (u32)(page.raw >> PAGE_SHIFT));
}
