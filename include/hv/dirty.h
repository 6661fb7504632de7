/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.h: dirty logging of a VM by its `dirty=` word, and the page-modification logs of its vCPUs.
 */
#ifndef SAMEPAGE_HV_DIRTY_H
#define SAMEPAGE_HV_DIRTY_H

#include <lib/types.h>

struct vcpu;
struct vm;

/*
 * Switches the VM's mode on, before its vCPUs run; `merged`: the scanner of merging reads it, too. A mode that the machine lacks is replaced by the
 * next simpler one, with a message. ERR_NO_MEMORY.
 */
int dirty_setup(struct vm *vm, bool merged);
/*
 * The source of dirty information, for a message. A VM that is merged and has no `dirty=` gets the
 * best that the machine has.
 */
const char *dirty_source_name(const struct vm *vm);

/*
 * Passes the vCPU's log to mm; does nothing without `dirty=pml`. Owner of the vCPU; takes LOCK_MMU.
 */
void dirty_drain(struct vcpu *vcpu);

#endif
