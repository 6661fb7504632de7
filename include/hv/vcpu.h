/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.h: operations on a vCPU: start, wake, halt, events.
 *
 * Context, by word: "any CPU" needs no lock and takes LOCK_VM and LOCK_SCHED; "owner" is the CPU
 * vcpu->cpu, "loaded" with the vCPU's state in that CPU.
 */
#ifndef SAMEPAGE_HV_VCPU_H
#define SAMEPAGE_HV_VCPU_H

#include <arch/regs.h>
#include <hv/vm.h>

/* Any CPU. Stores the request and kicks the owner: the vCPU sees it before its next entry. */
void vcpu_request(struct vcpu *vcpu, enum vcpu_request request);

/* Any CPU. An interrupt, an NMI or a signal of the vCPU has changed: wakes or kicks it. */
void vcpu_notify(struct vcpu *vcpu);

/* Owner. Interrupts and timers are checked before the next entry. */
void vcpu_recheck(struct vcpu *vcpu);

/* Any CPU, any lock. One more NMI is pending, up to two; vcpu_notify() must follow. */
void vcpu_pend_nmi(struct vcpu *vcpu);

/*
 * From OFF to READY with the state of `like` but RIP, RSP and RDI (the first argument). Called on
 * the owner of `like`, with `like` loaded. ERR_BUSY: it is not OFF. ERR_INVALID: RIP is not
 * canonical; it stays OFF.
 */
int vcpu_start(struct vcpu *vcpu, struct vcpu *like, u64 rip, u64 rsp, u64 rdi) __must_check;

/*
 * Any CPU. INIT: nothing for a vCPU that is OFF. SIPI: starts one that is OFF or waits for it,
 * nothing for others.
 */
void vcpu_signal_init(struct vcpu *vcpu);
void vcpu_signal_sipi(struct vcpu *vcpu, u8 vector);

/* A signal is pending that the vCPU must follow. Owner, or VM lock. */
bool vcpu_is_signalled(const struct vcpu *vcpu);

/* Owner, loaded. Follows the signals; false: the vCPU waits for a SIPI and must not be entered. */
bool vcpu_follow_signals(struct vcpu *vcpu) __must_check;

/* Owner, loaded. Sleeps until an event; stops the VM if no event can wake any of its vCPUs. */
void vcpu_halt(struct vcpu *vcpu);

/* Owner, loaded. The guest takes this exception at the next entry. */
void vcpu_raise_ud(struct vcpu *vcpu);
void vcpu_raise_gp(struct vcpu *vcpu);
void vcpu_raise(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code, u64 address);

/* Owner, loaded. Bits of enum virt_trap: what exits from now on, where the back end can do that. */
void vcpu_trap(struct vcpu *vcpu, unsigned traps);

/* Owner, loaded. Runs timers; injects a pending interrupt, or opens the window for it. */
void vcpu_deliver_irqs(struct vcpu *vcpu);

/*
 * Owner, loaded. There was no frame for the waiter at tick `now`. True: that is so for
 * STARVING_SECONDS, and no frame got it further.
 */
bool vcpu_starves(struct vcpu *vcpu, enum frame_waiter waiter, u64 now) __must_check;

/* Owner, loaded. The registers to the log: the slow view, then the back end's. */
void vcpu_dump(struct vcpu *vcpu);

#endif
