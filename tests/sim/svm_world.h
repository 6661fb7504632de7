/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svm_world.h: a guest CPU of the AMD-V back end on the host: a VMCB that tests write as the
 * hardware would, and guest code for the fetch callback.
 */
#ifndef SAMEPAGE_TESTS_SIM_SVM_WORLD_H
#define SAMEPAGE_TESTS_SIM_SVM_WORLD_H

#include "sim/sim.h"
#include "arch/x86/svm/svm.h"

struct svm_world {
	struct svm_vcpu svm __aligned(4096);
	struct arch_vcpu vcpu;
	struct svm_cpu cpu;
	u8 code[15];
	unsigned code_len;  /* bytes fetch can read */
	unsigned fetches;   /* calls of fetch */
	unsigned kicks;	    /* interrupts to itself */
	unsigned windows;   /* times the host's interrupts were let in */
	u64 fetched_linear; /* by the last one */
	u32 features;	    /* CPUID 8000_000A EDX */
};

extern struct svm_world world;

/* cmocka setup: a real-mode guest as after RESET, its RIP 0x1000 and CS base 0. */
int svm_world_setup(void **state);

/* Guest code at CS:RIP. */
#define svm_world_code(...) \
	svm_world_set_code((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))
void svm_world_set_code(const u8 *code, unsigned len);

/* The guest is in 64-bit mode from now on. */
void svm_world_long_mode(void);

/* The hardware reports this exit; what the back end makes of it. */
struct hv_exit svm_world_exit(u64 code, u64 info1, u64 info2);

#endif
