/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_memory.h: a guest's memory, read and written while hv carries out an instruction for the guest.
 *
 * Why not addrspace_read() alone: a page that the guest is about to use may have given up its
 * frame, or be shared, and then the access needs a frame. Half-way through an instruction there is
 * no way to wait for one, and neither an exception nor all ones would be right.
 */
#ifndef SAMEPAGE_HV_VM_MEMORY_H
#define SAMEPAGE_HV_VM_MEMORY_H

#include <arch/addr.h>
#include <lib/types.h>

struct vm;

/*
 * As addrspace_read() and addrspace_write(), but when there is no frame, cold pages make room and
 * it is tried again, a fixed number of times; then the VM is stopped as out of memory, with a
 * message, and ERR_NO_MEMORY returned. Owner of a vCPU of the VM; no locks held.
 */
int vm_read_memory(struct vm *vm, struct gpa from, void *to, size_t len) __must_check;
int vm_write_memory(struct vm *vm, struct gpa to, const void *from, size_t len) __must_check;
/* Likewise addrspace_swap(). ERR_PERMISSION: ROM, which stays as it is. */
int vm_swap_memory(struct vm *vm, struct gpa at, size_t len, u64 old, u64 new,
		   bool *swapped) __must_check;

#endif
