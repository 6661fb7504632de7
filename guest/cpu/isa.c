/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa.c: the parts of a PC that small kernels drive by ports: clock interrupts, keyboard
 * controller, VGA text, an IDE port without a drive, and the MP tables.
 *
 * The last row of text is written right before the end, and is shown (DISPLAY-1). Interrupts come
 * by the two 8259A at vectors 32 and 40, with automatic EOI.
 */
#include <guest.h>
#include <x2apic.h>

enum cmos { CMOS_SECONDS = 0, CMOS_ALARM = 1, CMOS_A = 10, CMOS_B = 11, CMOS_C = 12 };
enum events { UPDATE = 0x10, ALARM = 0x20, PERIODIC = 0x40, HOURS_24 = 0x02 };

#define MASTER	       32
#define SLAVE	       40
#define IRQ_KEYBOARD   (MASTER + 1)
#define IRQ_CLOCK      SLAVE
#define RATE_64_HZ     0x2a
#define MP_TABLES      0xf0000ul
#define MP_SIGNATURE   0x5f504d5fu /* "_MP_" */
#define PCMP_SIGNATURE 0x504d4350u /* "PCMP" */
#define VGA_TEXT       0xb8000ul
#define COLUMNS	       80
#define WHITE	       0x0700

static volatile u64 updates, alarms, periods, keys;
static volatile u8 last_key;

static u8 cmos_read(enum cmos reg)
{
	out8(0x70, reg);
	return in8(0x71);
}

static void cmos_write(enum cmos reg, u8 value)
{
	out8(0x70, reg);
	out8(0x71, value);
}

/* The handlers. */
static bool take_interrupt(struct guest_frame *frame)
{
	u8 flags;

	if (frame->vector == IRQ_CLOCK) {
		flags = cmos_read(CMOS_C);
		updates += !!(flags & UPDATE);
		alarms += !!(flags & ALARM);
		periods += !!(flags & PERIODIC);
	} else if (frame->vector == IRQ_KEYBOARD) {
		last_key = in8(0x60);
		keys++;
	}
	return false;
}

static void init_pic(u16 port, u8 base, u8 cascade, u8 mask)
{
	out8(port, 0x11);
	out8(port + 1, base);
	out8(port + 1, cascade);
	out8(port + 1, 3); /* automatic EOI */
	out8(port + 1, mask);
}

static void wait_for(volatile u64 *counter, u64 value)
{
	while (*counter < value)
		asm volatile("sti; hlt; cli" : : : "memory");
}

static unsigned seconds(void)
{
	u8 bcd = cmos_read(CMOS_SECONDS);

	return (bcd >> 4) * 10u + (bcd & 15);
}

static u8 to_bcd(unsigned n)
{
	return (u8)(n / 10 << 4 | n % 10);
}

static void check_clock(void)
{
	unsigned start, at;

	cmos_write(CMOS_A, RATE_64_HZ);
	cmos_write(CMOS_B, HOURS_24 | UPDATE);
	(void)cmos_read(CMOS_C);
	wait_for(&updates, 1);
	start = seconds();
	wait_for(&updates, 2);
	check(seconds() == (start + 1) % 60, "an update interrupt comes each second");
	at = (seconds() + 1) % 60;
	cmos_write(CMOS_ALARM, to_bcd(at));
	cmos_write(CMOS_ALARM + 2, 0xff);
	cmos_write(CMOS_ALARM + 4, 0xff);
	cmos_write(CMOS_B, HOURS_24 | ALARM);
	wait_for(&alarms, 1);
	check(seconds() == at && alarms == 1, "an alarm comes at its second");
	start = seconds();
	cmos_write(CMOS_B, HOURS_24 | PERIODIC);
	periods = 0;
	wait_for(&periods, 64);
	check(seconds() == (start + 1) % 60, "64 periodic interrupts are a second");
	cmos_write(CMOS_B, HOURS_24);
	check(irq_count(IRQ_CLOCK) == 2 + 1 + periods, "%lu interrupts on IRQ 8 in all",
	      irq_count(IRQ_CLOCK));
}

static void kbc_command(u8 command)
{
	while (in8(0x64) & 2)
		;
	out8(0x64, command);
}

static u8 kbc_answer(void)
{
	while (!(in8(0x64) & 1))
		;
	return in8(0x60);
}

static void check_keyboard(void)
{
	kbc_command(0xad);
	kbc_command(0xaa);
	check(kbc_answer() == 0x55, "the 8042 passes its self-test");
	kbc_command(0xd0);
	check((kbc_answer() & 3) == 3, "its output port: no reset, and the A20 gate is open");
	check(in8(0x92) & 2, "port 92h agrees");
	kbc_command(0xae);
	out8(0x60, 0xf2);
	check(kbc_answer() == 0xfa && kbc_answer() == 0xab && kbc_answer() == 0x41,
	      "a keyboard identifies itself");
	(void)in8(0x60);
	asm volatile("sti; nop; cli");
	keys = 0;
	kbc_command(0xd2);
	out8(0x60, 0x1e);
	wait_for(&keys, 1);
	check(keys == 1 && last_key == 0x1e, "a scan code comes by IRQ 1");
	if (!option("type"))
		return;
	print("type now\n");
	wait_for(&keys, 1 + 2);
	check(last_key == (0x1e | 0x80), "a typed letter is pressed and released");
}

static void write_text(unsigned row, const char *text)
{
	volatile u16 *cell = (volatile u16 *)VGA_TEXT + row * COLUMNS;

	while (*text)
		*cell++ = WHITE | (u8)*text++;
}

static void out16(u16 port, u16 value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void check_display(void)
{
	volatile u16 *cell = (volatile u16 *)VGA_TEXT;

	write_text(0, "first row on the VGA");
	check(*cell == (WHITE | 'f'), "the text buffer is memory");
	out16(0x3d4, 0x020e); /* the cursor's high byte */
	out16(0x3d4, 0x500f);
	out8(0x3d4, 0x0e);
	check(in8(0x3d5) == 2, "the CRTC keeps the cursor");
	write_text(24, "last row on the VGA");
	check(in8(0x1f7) == 0x7f && in8(0x177) == 0x7f, "no drive is busy for ever");
}

/* INS, which the hypervisor carries out, does not write to ROM either. */
static void check_rom(void)
{
	volatile u8 *rom = (volatile u8 *)MP_TABLES;
	void *to = (void *)rom;

	asm volatile("insb" : "+D"(to) : "d"(0x1f7) : "memory");
	check(rom[0] == '_', "INS does not write to ROM");
}

static u8 sum(const u8 *from, unsigned size)
{
	u8 total = 0;

	while (size--)
		total += *from++;
	return total;
}

static void check_tables(void)
{
	const u32 *pointer = (const u32 *)MP_TABLES;
	const u32 *table = (const u32 *)(u64)pointer[1];

	check(pointer[0] == MP_SIGNATURE && sum((const u8 *)pointer, 16) == 0,
	      "an MP floating pointer is at %lx", MP_TABLES);
	check(table[0] == PCMP_SIGNATURE && sum((const u8 *)table, table[1] & 0xffff) == 0,
	      "and it points at a configuration table");
}

static void enter_x2apic(void *unused)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2);
}

static void write_base(void *value)
{
	wrmsr(MSR_APIC_BASE, (u64)value);
}

static bool cpuid_shows_apic(void)
{
	return cpuid(1, 0).edx & BIT(9);
}

/* CPUID.1 EDX.APIC follows the global enable (SDM vol. 3A, 11.4.3); the page does not move. */
static void check_base(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	check(cpuid_shows_apic(), "CPUID shows the APIC");
	wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_ON);
	check(!cpuid_shows_apic(), "and not while it is off");
	wrmsr(MSR_APIC_BASE, base);
	check(cpuid_shows_apic(), "and again");
	check(catch_fault(write_base, (void *)(base + 0x1000)).vector == VECTOR_GP,
	      "its page does not move");
}

/* With x2apic=no. */
static void check_apic(void)
{
	check_base();
	check(!(cpuid(1, 0).ecx & BIT(21)) && catch_fault(enter_x2apic, NULL).vector == VECTOR_GP,
	      "x2APIC is hidden, and its bit refused");
}

void guest_main(void)
{
	if (option("no_x2apic")) {
		check_apic();
		return;
	}
	guest_on_exception = take_interrupt;
	init_pic(0x20, MASTER, 4, 0xf9);
	init_pic(0xa0, SLAVE, 2, 0xfe);
	check_tables();
	check_keyboard();
	check_clock();
	check_display();
	check_rom();
}
