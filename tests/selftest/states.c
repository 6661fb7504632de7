/* SPDX-License-Identifier: Apache-2.0 */
/*
 * states.c: the CPU enters every state that set_state() takes.
 *
 * Why: the rules in the back ends are read from the manuals; the CPU has its own. A state that
 * set_state() takes and the entry refuses shows a rule that is missing. A good state is broken in
 * one to three places at random, and each state that set_state() still takes is entered. The guest
 * then has a few thousand ticks; any exit but a refused entry is right.
 *
 * The seed is fixed: a failure repeats.
 */
#define LOG_THIS LOG_TEST

#include <arch/cpu.h>
#include <arch/virt.h>
#include <asm/regs.h>
#include <lib/log.h>
#include "tests/selftest/selftest.h"

#define SEED  0x9e3779b97f4a7c15ull
#define TICKS 3000

static u64 random_state = SEED;

/* xorshift64 (Marsaglia 2003). */
static u64 random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

#define FIELD(name)                                                                         \
	{                                                                                   \
		offsetof(struct guest_state, name), sizeof(((struct guest_state *)0)->name) \
	}
#define SEGMENT(i) \
	FIELD(seg[i].selector), FIELD(seg[i].limit), FIELD(seg[i].attr), FIELD(seg[i].base)

static const struct {
	u16 offset;
	u8 size;
} fields[] = {
	FIELD(rip),
	FIELD(rflags),
	FIELD(cr0),
	FIELD(cr2),
	FIELD(cr3),
	FIELD(cr4),
	FIELD(efer),
	FIELD(dr6),
	FIELD(dr7),
	FIELD(star),
	FIELD(lstar),
	FIELD(cstar),
	FIELD(sfmask),
	FIELD(kernel_gs_base),
	FIELD(sysenter_cs),
	FIELD(sysenter_esp),
	FIELD(sysenter_eip),
	FIELD(pat),
	FIELD(gdtr.base),
	FIELD(gdtr.limit),
	FIELD(idtr.base),
	FIELD(idtr.limit),
	FIELD(interruptibility),
	SEGMENT(SEG_ES),
	SEGMENT(SEG_CS),
	SEGMENT(SEG_SS),
	SEGMENT(SEG_DS),
	SEGMENT(SEG_FS),
	SEGMENT(SEG_GS),
	SEGMENT(SEG_LDTR),
	SEGMENT(SEG_TR),
};

/* One bit, most of the time, because rules are about bits; else anything. */
static u64 broken_value(u64 value, unsigned bits)
{
	switch (random_u64() % 8) {
	case 0:
		return random_u64();
	case 1:
		return 0;
	case 2:
		return ~0ull;
	default:
		return value ^ BIT(random_u64() % bits);
	}
}

static void break_one_place(struct guest_state *s)
{
	unsigned i = random_u64() % ARRAY_SIZE(fields);
	void *field = (char *)s + fields[i].offset;

	switch (fields[i].size) {
	case 2:
		*(u16 *)field = (u16)broken_value(*(u16 *)field, 16);
		break;
	case 4:
		*(u32 *)field = (u32)broken_value(*(u32 *)field, 32);
		break;
	default:
		*(u64 *)field = broken_value(*(u64 *)field, 64);
		break;
	}
}

/*
 * Bochs 2.7 refuses an RPL of CS other than its DPL, in real mode too; the SDM has no such rule for
 * an unrestricted guest (27.3.1.2).
 */
static void align_rpl(struct guest_segment_state *cs)
{
	cs->selector = (u16)((cs->selector & ~3u) | (cs->attr >> 5 & 3));
}

static bool enters(struct arch_vcpu *vcpu)
{
	struct hv_exit exit;
	u64 deadline = arch_ticks() + TICKS;

	do
		virt->run(vcpu, deadline, &exit);
	while (exit.reason == HV_EXIT_INTERRUPT);
	return exit.reason != HV_EXIT_ENTRY_FAILED;
}

bool selftest_states(struct arch_vcpu *vcpu, const struct guest_state *good, unsigned count)
{
	unsigned taken = 0, failed = 0;

	for (unsigned i = 0; i < count && failed < 5; i++) {
		struct guest_state s = *good;

		for (unsigned places = 1 + random_u64() % 3; places > 0; places--)
			break_one_place(&s);
		align_rpl(&s.seg[SEG_CS]);
		if (virt->set_state(vcpu, &s) != 0)
			continue;
		taken++;
		failed += !enters(vcpu);
	}
	log_info("selftest: virt: %u of %u broken states were taken, %u of them not entered", taken,
		 count, failed);
	return virt->set_state(vcpu, good) == 0 && failed == 0;
}
