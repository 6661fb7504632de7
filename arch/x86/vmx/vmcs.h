/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmcs.h: reading and writing the current VMCS, and the VMX instructions around it.
 *
 * Every instruction's failure is looked at: a field that cannot be read or written is a bug of
 * ours, and vmcs_failed() panics with the field's name and the CPU's own reason. The check is one
 * branch that is never taken.
 */
#ifndef SAMEPAGE_VMX_VMCS_H
#define SAMEPAGE_VMX_VMCS_H

#include "fields.h"
#include <arch/addr.h>
#include <lib/types.h>

/* SDM 31.4: the number in VMCS_INSTRUCTION_ERROR in words; "unknown" outside the table. */
const char *vmx_instruction_error_name(u32 error);

/* Panics: our own bug. */
void vmcs_failed(enum vmcs_field field, const char *what) __noreturn __cold;
void vmx_failed(const char *what, u64 operand) __noreturn __cold;

static inline u64 vmcs_read(enum vmcs_field field)
{
	u64 value;

	asm goto volatile("vmread %1, %0; jbe %l[fail]"
			  : "=r"(value)
			  : "r"((u64)field)
			  : "cc"
			  : fail);
	return value;
fail:
	vmcs_failed(field, "VMREAD");
}

static inline void vmcs_write(enum vmcs_field field, u64 value)
{
	asm goto volatile("vmwrite %0, %1; jbe %l[fail]"
			  :
			  : "r"(value), "r"((u64)field)
			  : "cc"
			  : fail);
	return;
fail:
	vmcs_failed(field, "VMWRITE");
}

/* False where the CPU does not have the field, or no VMCS is current. For the dump and for NMI. */
static inline bool vmcs_try_read(enum vmcs_field field, u64 *value)
{
	bool ok;

	asm volatile("vmread %2, %1" : "=@cca"(ok), "=r"(*value) : "r"((u64)field));
	return ok;
}

static inline bool vmcs_try_write(enum vmcs_field field, u64 value)
{
	bool ok;

	asm volatile("vmwrite %1, %2" : "=@cca"(ok) : "r"(value), "r"((u64)field));
	return ok;
}

static inline void vmx_vmclear(struct hpa vmcs)
{
	bool ok;

	asm volatile("vmclear %1" : "=@cca"(ok) : "m"(vmcs.raw) : "memory");
	if (unlikely(!ok))
		vmx_failed("VMCLEAR", vmcs.raw);
}

static inline void vmx_vmptrld(struct hpa vmcs)
{
	bool ok;

	asm volatile("vmptrld %1" : "=@cca"(ok) : "m"(vmcs.raw) : "memory");
	if (unlikely(!ok))
		vmx_failed("VMPTRLD", vmcs.raw);
}

/* SDM 30.3, INVEPT and INVVPID: the types, which are also bit positions in the capability MSR. */
enum vmx_inv { INV_ADDRESS = 0, INV_SINGLE = 1, INV_ALL = 2 };

static inline void vmx_invept(enum vmx_inv type, u64 eptp)
{
	struct {
		u64 eptp, zero;
	} descriptor = {eptp, 0};
	bool ok;

	asm volatile("invept %1, %2" : "=@cca"(ok) : "m"(descriptor), "r"((u64)type) : "memory");
	if (unlikely(!ok))
		vmx_failed("INVEPT", eptp);
}

static inline void vmx_invvpid(enum vmx_inv type, u16 vpid)
{
	struct {
		u64 vpid, address;
	} descriptor = {vpid, 0};
	bool ok;

	asm volatile("invvpid %1, %2" : "=@cca"(ok) : "m"(descriptor), "r"((u64)type) : "memory");
	if (unlikely(!ok))
		vmx_failed("INVVPID", vpid);
}

/* Every field the CPU has, to the log; the VMCS is current. */
void vmcs_dump(void);

#endif
