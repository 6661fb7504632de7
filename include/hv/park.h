/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.h: what CPU 0 needs of the other CPUs, in their run loops, for the control channel: that all
 * wait while it reads everything, and the registers of a vCPU.
 *
 *     CPU 0, in steps                          another CPU
 *     ---------------                          -----------
 *     park_begin: request, kicks                leaves its guest, ends its turn
 *     park_is_complete? not yet                park_here: counted; waits
 *     park_is_complete: yes
 *     reads
 *     park_end: no request                     goes on
 *
 * Invariants:
 * PARK-1  Between a park_is_complete() that is true and park_end() no other CPU is in a guest, in
 *         mm or in a job.
 * PARK-2  The end of the last VM ends the wait, so that a CPU leaves its run loop.
 */
#ifndef SAMEPAGE_HV_PARK_H
#define SAMEPAGE_HV_PARK_H

#include <arch/virt.h>
#include <hv/vm.h>

/* CPU 0. end: also without begin. */
void park_begin(void);
bool park_is_complete(void);
void park_end(void);

/* The run loop, between two turns. */
void park_here(void);

/* A vCPU's registers, read by its owner. */
struct vcpu_look {
	struct guest_state state;
	u64 gpr[GPRS];
};

/*
 * CPU 0: requests a look at a vCPU of a VM that is held until vcpu_look_end(). done: it is in *out;
 * one vCPU at a time. A vCPU that is OFF or GONE has no owner that looks.
 */
void vcpu_look_begin(struct vcpu *vcpu);
bool vcpu_look_done(struct vcpu_look *out);
void vcpu_look_end(void);

/* The run loop: the vCPU of this CPU that is to be loaded for a look, or NULL; takes the look. */
struct vcpu *vcpu_look_request(void);
void vcpu_look_take(struct vcpu *vcpu);

#endif
