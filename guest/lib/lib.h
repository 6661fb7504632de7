/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib.h: shared by the library's own files.
 */
#ifndef SAMEPAGE_GUEST_LIB_H
#define SAMEPAGE_GUEST_LIB_H

#include <guest.h>

/* Per vCPU, at its GS base. */
struct guest_cpu {
	struct guest_cpu *self;
	u64 number;
	u64 catch_rsp; /* stack pointer after an expected fault; 0: none is expected */
	struct guest_fault fault;
	u64 irqs[64];
};

/* Makes this CPU the vCPU `number`: GS base, IDT, TSS. */
void trap_init(unsigned number);

/* start.S */
extern char guest_trap_stubs[], guest_caught[];
extern u64 guest_gdt[];
void guest_enter_user(void (*function)(void)) __attribute__((noreturn));
u64 guest_call_catching(void (*function)(void *), void *argument, u64 *saved_rsp);
void guest_trap(struct guest_frame *frame);
void guest_start(u32 magic, const struct multiboot_info *info) __attribute__((noreturn));

#endif
