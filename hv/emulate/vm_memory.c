/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_memory.c: guest memory for instructions that hv carries out. vm_memory.h says why.
 */
#include <hv/vm_memory.h>
#include <abi/machine.h>
#include <hv/pc.h>
#include <hv/reclaiming.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_VM
#define TRIES	 64

/* Is another try worth while after the `tries`-th has ended with `err`? */
static bool try_again(struct vm *vm, int err, unsigned tries)
{
	if (err != ERR_NO_MEMORY && err != ERR_BUSY)
		return false;
	if (tries < TRIES) {
		if (err == ERR_NO_MEMORY)
			(void)reclaiming_make_room();
		return true;
	}
	log_warn("%s: no memory in the middle of an instruction", vm->config.name);
	vm_stop(vm, VM_END_NO_MEMORY, 0);
	return false;
}

int vm_read_memory(struct vm *vm, struct gpa from, void *to, size_t len)
{
	unsigned tries = 0;
	int err;

	do
		err = addrspace_read(vm->memory, from, to, len);
	while (try_again(vm, err, ++tries));
	return err;
}

/* addrspace_write() reaches ROM, as a loader must. */
static bool in_rom(const struct vm *vm, struct gpa gpa)
{
	return gpa.raw >= vm->rom_start && gpa.raw < vm->rom_end;
}

int vm_write_memory(struct vm *vm, struct gpa to, const void *from, size_t len)
{
	unsigned tries = 0;
	int err;

	if (in_rom(vm, to))
		return ERR_PERMISSION;
	do
		err = addrspace_write(vm->memory, to, from, len);
	while (try_again(vm, err, ++tries));
	return err;
}

int vm_swap_memory(struct vm *vm, struct gpa at, size_t len, u64 old, u64 new, bool *swapped)
{
	unsigned tries = 0;
	int err;

	if (in_rom(vm, at))
		return ERR_PERMISSION;
	do
		err = addrspace_swap(vm->memory, at, len, old, new, swapped);
	while (try_again(vm, err, ++tries));
	return err;
}
