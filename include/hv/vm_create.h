/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_create.h: creation, start and destruction of VMs.
 */
#ifndef SAMEPAGE_HV_VM_CREATE_H
#define SAMEPAGE_HV_VM_CREATE_H

#include <hv/vm.h>

/*
 * Creates a VM with `config`: address space, stage 2, vCPUs, all OFF, and vCPU 0 in the state after
 * RESET. ERR_NO_MEMORY, ERR_EXISTS (the name is taken), ERR_RANGE (too many VMs); nothing is left.
 */
int vm_create(const struct vm_config *config, struct vm **out) __must_check;

/* Undoes vm_create for a VM that never ran. */
void vm_discard(struct vm *vm);

/* Queues vCPU 0 on its CPU. The VM runs from here on, perhaps before this returns. */
void vm_start(struct vm *vm);

/*
 * Frees the parts of a VM from vm_take_dead(): memory, tables, vCPUs. The struct vm stays for the
 * summary. No locks held.
 */
void vm_destroy(struct vm *vm);

/* Frees what is left of ended VMs. */
void vm_free_all(void);

#endif
