/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_ipi.c: vCPUs 0 and 1 send INIT, start-up, NMI and fixed IPIs to all others, without end:
 * two senders meet at one target, in every state of its life.
 */
#include <guest.h>
#include <x2apic.h>

#define START 0x8000ul

enum { ICR_FIXED = 0x4040, ICR_NMI = 0x4400, ICR_INIT = 0x4500, ICR_STARTUP = 0x4600 };

/*
 * 16-bit code: x2APIC on, software enable, a periodic timer of a short period that is written again
 * and again, as a reset by another CPU would have to be seen there.
 */
static const u8 program[] = {
	0x66, 0xb9,   0x1b, 0x00, 0x00, 0x00, /* mov $MSR_APIC_BASE, %ecx */
	0x0f, 0x32,			      /* rdmsr */
	0x66, 0x0d,   0x00, 0x04, 0x00, 0x00, /* or $X2APIC, %eax */
	0x0f, 0x30,			      /* wrmsr */
	0x66, 0xb9,   0x0f, 0x08, 0x00, 0x00, /* mov $SVR, %ecx */
	0x66, 0xb8,   0xff, 0x01, 0x00, 0x00, /* mov $0x1ff, %eax */
	0x66, 0x31,   0xd2,		      /* xor %edx, %edx */
	0x0f, 0x30,			      /* wrmsr */
	0x66, 0xb9,   0x32, 0x08, 0x00, 0x00, /* mov $LVT_TIMER, %ecx */
	0x66, 0xb8,   0x30, 0x00, 0x03, 0x00, /* periodic, masked */
	0x0f, 0x30,			      /* wrmsr */
	0x66, 0xb9,   0x38, 0x08, 0x00, 0x00, /* mov $TIMER_INITIAL, %ecx */
	0x66, 0xb8,   0x40, 0x00, 0x00, 0x00, /* mov $64, %eax */
	0x0f, 0x30,			      /* wrmsr */
	0xeb, (u8)-4,			      /* jmp to it */
};

static u64 vcpus;

static u64 chance(u64 *seed)
{
	*seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
	return *seed >> 33;
}

static void send_forever(u64 seed)
{
	static const u32 kinds[] = {ICR_FIXED, ICR_NMI, ICR_STARTUP, ICR_STARTUP, ICR_INIT};

	x2apic_enable();
	for (;;) {
		u64 target = 2 + chance(&seed) % (vcpus - 2);
		u32 kind = kinds[chance(&seed) % ARRAY_SIZE(kinds)];

		wrmsr(X2APIC_ICR, target << 32 | kind | (kind == ICR_STARTUP ? START >> 12 : 0));
	}
}

void guest_main(void)
{
	vcpus = (u64)hypercall(HYPERCALL_VCPU_COUNT, 0, 0, 0, 0);
	for (unsigned i = 0; i < sizeof(program); i++)
		((volatile u8 *)START)[i] = program[i];
	print("attacks\n");
	vcpu_run(1, send_forever, 1);
	send_forever(2);
}
