/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.h: how a VM's writes are noticed, as its `dirty=` word chose it, and the CPU's own list of
 * them.
 */
#ifndef SAMEPAGE_HV_DIRTY_H
#define SAMEPAGE_HV_DIRTY_H

struct vcpu;
struct vm;

/*
 * Switches the VM's mode on, on vCPUs that do not run. A mode that the machine lacks is replaced by
 * the next simpler one, with a message. ERR_NO_MEMORY.
 */
int dirty_setup(struct vm *vm);
/*
 * By what writes are noticed now, for a message. A VM that is merged and has no `dirty=` gets the
 * best that there is.
 */
const char *dirty_source_name(const struct vm *vm);

/*
 * Hands mm what the CPU listed for this vCPU; nothing without `dirty=pml`. Its owner only; takes
 * LOCK_MMU.
 */
void dirty_drain(struct vcpu *vcpu);

#endif
