/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traps.c: exceptions and interrupts of the hypervisor itself.
 *
 * Every exception is a bug of the hypervisor and ends in a panic, but for those that .extable
 * expects (MSRs a CPU may not have). NMIs stop this CPU when another one panics; else they have
 * done their work by arriving: a guest exited.
 */
#include <asm/traps.h>
#include <asm/apic.h>
#include <asm/extable.h>
#include <asm/irq.h>
#include <asm/panic.h>
#include <asm/percpu.h>
#include <asm/regs.h>

#define EXCEPTIONS 32

static const char *const names[EXCEPTIONS] = {
	[VECTOR_DE] = "#DE divide error",
	[VECTOR_DB] = "#DB debug",
	[VECTOR_NMI] = "NMI",
	[VECTOR_BP] = "#BP breakpoint",
	[VECTOR_OF] = "#OF overflow",
	[VECTOR_BR] = "#BR bound range",
	[VECTOR_UD] = "#UD invalid opcode",
	[VECTOR_NM] = "#NM no FPU",
	[VECTOR_DF] = "#DF double fault",
	[VECTOR_TS] = "#TS invalid TSS",
	[VECTOR_NP] = "#NP segment not present",
	[VECTOR_SS] = "#SS stack segment",
	[VECTOR_GP] = "#GP general protection",
	[VECTOR_PF] = "#PF page fault",
	[VECTOR_MF] = "#MF x87 error",
	[VECTOR_AC] = "#AC alignment check",
	[VECTOR_MC] = "#MC machine check",
	[VECTOR_XM] = "#XM SIMD error",
	[VECTOR_VE] = "#VE virtualization",
	[VECTOR_CP] = "#CP control protection",
};

const char *trap_name(u64 vector)
{
	if (vector >= EXCEPTIONS)
		return "interrupt";
	return names[vector] ? names[vector] : "reserved exception";
}

/* Does not return when another CPU has panicked. */
static void nmi_dispatch(void)
{
	struct percpu *cpu = percpu();

	cpu->nmis++;
	if (cpu->on_nmi)
		cpu->on_nmi();
	panic_stop_here();
}

void irq_dispatch(unsigned vector)
{
	struct percpu *cpu = percpu();

	cpu->interrupts++;
	if (vector == VECTOR_SPURIOUS || (vector & 0xf0) == VECTOR_PIC)
		return; /* SDM vol. 3A, 11.9: no EOI */
	if (vector == VECTOR_TIMER)
		apic_timer_interrupt();
	apic_eoi();
}

/* What an instruction itself can cause; a machine check may strike anywhere. */
static bool may_be_expected(u64 vector)
{
	return vector == VECTOR_GP || vector == VECTOR_PF || vector == VECTOR_UD;
}

void trap_handle(struct trap_frame *frame)
{
	u64 fixup;

	if (frame->vector >= EXCEPTIONS) {
		irq_dispatch((unsigned)frame->vector);
		return;
	}
	if (frame->vector == VECTOR_NMI) {
		nmi_dispatch();
		return;
	}
	fixup = may_be_expected(frame->vector) ? extable_fixup(frame->rip) : 0;
	if (!fixup)
		panic_trap(frame);
	frame->rip = fixup;
}
