/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locate.c: where an operand of an instruction that is carried out for the guest lies.
 */
#include <hv/gva.h>
#include <hv/vcpu.h>
#include <hv/vm_memory.h>
#include <lib/error.h>

static int read_guest(void *vm, struct gpa from, void *to, size_t len)
{
	return vm_read_memory(vm, from, to, len);
}

bool gva_locate(struct vcpu *vcpu, const struct guest_state *state, struct gva at, bool write,
		struct gpa *out)
{
	unsigned allowed, user = virt->cpl(&vcpu->arch) == 3;
	unsigned needed = (write ? HV_WRITE : HV_READ) | (user ? GVA_USER : 0);
	int err = gva_walk(state, read_guest, vcpu->vm, at, out, &allowed);

	if (err == 0 && (allowed & needed) == needed)
		return true;
	if (err == 0 || err == ERR_NOT_FOUND)
		vcpu_raise(vcpu, VECTOR_PF, true, (err == 0) | (write ? 2u : 0) | (user ? 4u : 0),
			   at.raw);
	else
		vcpu_raise_gp(vcpu);
	return false;
}
