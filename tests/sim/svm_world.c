/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svm_world.c: the fixture of the AMD-V tests, and stand-ins for what they must not reach: the CPU.
 */
#include "sim/svm_world.h"

#include <asm/apic.h>
#include <asm/errata.h>
#include <asm/features.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/prctl.h>
#include <asm/xsave.h>
#include <sys/syscall.h>
#include <unistd.h>

struct svm_world world;
struct percpu percpu_area[ARCH_CPUS_MAX];
u32 svm_features;
struct errata errata;
const struct msr_passthrough msr_passthrough[] = {
	{0xc0000100, true, true, "switched by VMLOAD"}, {0x10, true, false, "TSC offset"}, {0}};

void apic_send(u32 apic_id, unsigned vector)
{
	world.kicks++;
}

void apic_timer_arm(u64 deadline)
{
}

void apic_timer_disarm(void)
{
}

void features_clear_branches(void)
{
}

/* Allocates as the real one does, so that running out of memory there is tried too. */
int xsave_vcpu_init(struct arch_vcpu *vcpu)
{
	struct mfn frame;
	int error = frame_alloc(0, FRAME_HYPERVISOR, 0, &frame);

	if (!error)
		vcpu->xsave = arch_hpa_to_virt(mfn_to_hpa(frame));
	return error;
}

void xsave_vcpu_fini(struct arch_vcpu *vcpu)
{
	frame_free(hpa_to_mfn(arch_virt_to_hpa(vcpu->xsave)), 0);
}

void xsave_load(struct arch_vcpu *vcpu)
{
}

void xsave_put(struct arch_vcpu *vcpu)
{
}

void svm_host_window(struct svm_vcpu *svm, struct hv_exit *exit)
{
	(void)svm, (void)exit;
	world.windows++;
}

struct svm_cpu *svm_this_cpu(void)
{
	return &world.cpu;
}

static unsigned fetch(struct arch_vcpu *vcpu, struct gva linear, void *bytes, unsigned len)
{
	unsigned count = MIN(len, world.code_len);

	assert_ptr_equal(vcpu, &world.vcpu);
	world.fetches++;
	world.fetched_linear = linear.raw;
	memcpy(bytes, world.code, count);
	return count;
}

static void reset_state(struct guest_state *s)
{
	svm_get_state(&world.vcpu, s);
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->seg[i] = (struct guest_segment_state){0, 0xffff, 0x93, 0};
	s->seg[SEG_CS].attr = 0x9b;
	s->seg[SEG_LDTR] = (struct guest_segment_state){0, 0xffff, 0x82, 0};
	s->seg[SEG_TR] = (struct guest_segment_state){0, 0xffff, 0x8b, 0};
	s->cr0 = CR0_ET;
	s->dr6 = DR6_RESET;
	s->dr7 = DR7_RESET;
	s->pat = 0x0007040600070406;
	s->rip = 0x1000;
	s->rflags = RFLAGS_R1;
}

/* percpu() reads the GS base, which no host program has a use for. */
static void become_cpu_0(void)
{
	percpu_area[0].self = &percpu_area[0];
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, &percpu_area[0]), 0);
}

int svm_world_setup(void **state)
{
	struct guest_state s = {0};

	become_cpu_0();
	memset(&world, 0, sizeof(world));
	svm_features = 0;
	errata = (struct errata){.lost_shadow = true, .late_timer = true};
	world.svm.vcpu = &world.vcpu;
	world.svm.fetch = fetch;
	world.vcpu.backend = &world.svm;
	asid_init(&world.cpu.asids, 16);
	svm_insn_init(&world.svm);
	svm_cr_init();
	svm_intercept_init(&world.svm.vmcb.control);
	reset_state(&s);
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
	world.svm.cpu = &world.cpu;
	return 0;
}

void svm_world_set_code(const u8 *code, unsigned len)
{
	memcpy(world.code, code, len);
	world.code_len = len;
}

void svm_world_long_mode(void)
{
	struct guest_state s;

	svm_get_state(&world.vcpu, &s);
	s.cr0 = CR0_PE | CR0_ET | CR0_PG;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA;
	s.seg[SEG_CS].attr = 0xa09b;
	assert_int_equal(svm_set_state(&world.vcpu, &s), 0);
}

struct hv_exit svm_world_exit(u64 code, u64 info1, u64 info2)
{
	struct hv_exit exit;

	memset(&exit, 0xee, sizeof(exit));
	world.svm.vmcb.control.exit_code = code;
	world.svm.vmcb.control.exit_info1 = info1;
	world.svm.vmcb.control.exit_info2 = info2;
	svm_exit_decode(&world.svm, &exit);
	return exit;
}
