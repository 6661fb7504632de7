/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.h: what may be done to a vCPU: start, wake, halt, raise an exception in it.
 */
#ifndef SAMEPAGE_HV_VCPU_H
#define SAMEPAGE_HV_VCPU_H

#include <arch/regs.h>
#include <hv/vm.h>

/* Any CPU. Stores the request, then makes the vCPU see it: wakes it, kicks its CPU. */
void vcpu_request(struct vcpu *vcpu, enum vcpu_request request);

/*
 * Any CPU. An interrupt of `vector` for the vCPU, as an edge: one that is already waiting is not
 * doubled.
 */
void vcpu_raise_irq(struct vcpu *vcpu, u8 vector);

/*
 * From OFF to READY with the state of `like` but RIP, RSP and RDI (the first argument). Called on
 * the CPU that owns `like`, with `like` loaded. ERR_BUSY: it is not OFF. ERR_INVALID: no state a
 * guest may have (RIP not canonical); it stays OFF.
 */
int vcpu_start(struct vcpu *vcpu, struct vcpu *like, u64 rip, u64 rsp, u64 rdi) __must_check;

/* Any CPU. An interrupt, an NMI or a timer of the vCPU has changed: wakes it, or makes it look. */
void vcpu_notify(struct vcpu *vcpu);

/* Owner: as vcpu_notify() for oneself: before the next entry, look at interrupts and timers. */
void vcpu_recheck(struct vcpu *vcpu);

/* From OFF to READY as a SIPI of `vector` does it. As vcpu_start() otherwise. */
int vcpu_start_real(struct vcpu *vcpu, struct vcpu *sender, u8 vector) __must_check;

/*
 * Any CPU. INIT and SIPI for a vCPU that is not OFF; a SIPI that it does not wait for is forgotten.
 */
void vcpu_signal_init(struct vcpu *vcpu);
void vcpu_signal_sipi(struct vcpu *vcpu, u8 vector);

/* Whether one of them wants to be followed. Owner, or VM lock. */
bool vcpu_is_signalled(const struct vcpu *vcpu);

/* Owner, loaded. Follows them; false: the vCPU waits for a SIPI and must not be entered. */
bool vcpu_follow_signals(struct vcpu *vcpu) __must_check;

/* Owner. The tick at which a timer of the vCPU is due, ~0 for none. */
u64 vcpu_alarm(const struct vcpu *vcpu);

/* Owner. Sleeps until an event; stops the VM when nothing can wake it any more. */
void vcpu_halt(struct vcpu *vcpu);

/* Owner, loaded. At the next entry the guest takes this exception instead of going on. */
void vcpu_raise_ud(struct vcpu *vcpu);
void vcpu_raise_gp(struct vcpu *vcpu);
void vcpu_raise(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code, u64 address);

/* Owner, loaded. Bits of enum virt_trap: what exits from now on, where the back end can do that. */
void vcpu_trap(struct vcpu *vcpu, unsigned traps);

/* Owner, loaded. Gives the guest a waiting interrupt, or asks for the window to do so. */
void vcpu_deliver_irqs(struct vcpu *vcpu);

/* Owner, loaded. The registers to the log: the slow view, then what the back end keeps. */
void vcpu_dump(struct vcpu *vcpu);

#endif
