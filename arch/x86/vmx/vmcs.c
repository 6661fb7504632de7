/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmcs.c: what the one table of VMCS fields is good for besides its enum: the check of its columns,
 * the names, and the dump.
 */
#define LOG_THIS LOG_VMX

#include "vmcs.h"
#include <lib/log.h>

#define VMCS_CHECK(name, encoding, width, area)                                                 \
	_Static_assert(((encoding) >> 13 & 3) == (width) && ((encoding) >> 10 & 3) == (area) && \
			       ((encoding)&0x9001) == 0,                                        \
		       "VMCS field " #name ": a column contradicts the encoding");
VMCS_FIELDS(VMCS_CHECK)

_Static_assert(VMCS_HOST_RSP_ENCODING == VMCS_HOST_RSP, "entry.S names another field");

struct vmcs_field_info {
	u16 encoding;
	u8 width, area;
	const char *name;
};

#define VMCS_INFO(name, encoding, width, area) {encoding, width, area, #name},
static const struct vmcs_field_info fields[] = {VMCS_FIELDS(VMCS_INFO)};

/* SDM 31.4, table 31-1. */
static const char *const instruction_errors[] = {
	[1] = "VMCALL in root operation",
	[2] = "VMCLEAR of an invalid address",
	[3] = "VMCLEAR of the VMXON region",
	[4] = "VMLAUNCH of a VMCS that is not clear",
	[5] = "VMRESUME of a VMCS that is not launched",
	[6] = "VMRESUME after VMXOFF",
	[7] = "entry with an invalid control field",
	[8] = "entry with an invalid host-state field",
	[9] = "VMPTRLD of an invalid address",
	[10] = "VMPTRLD of the VMXON region",
	[11] = "VMPTRLD of another revision",
	[12] = "access to a field this CPU does not have",
	[13] = "VMWRITE to a read-only field",
	[15] = "VMXON in root operation",
	[16] = "entry with an invalid executive VMCS",
	[17] = "entry with an executive VMCS that is not launched",
	[18] = "entry with an executive VMCS that is not the VMXON region",
	[19] = "VMCALL with a VMCS that is not clear",
	[20] = "VMCALL with invalid exit controls",
	[22] = "VMCALL with another MSEG revision",
	[23] = "VMXOFF under dual-monitor treatment",
	[24] = "VMCALL with invalid SMM features",
	[25] = "entry with invalid execution controls in the executive VMCS",
	[26] = "entry while MOV SS blocks events",
	[28] = "invalid operand of INVEPT or INVVPID",
};

const char *vmx_instruction_error_name(u32 error)
{
	const char *name =
		error < ARRAY_SIZE(instruction_errors) ? instruction_errors[error] : NULL;

	return name ? name : "unknown";
}

static const char *field_name(enum vmcs_field field)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].encoding == field)
			return fields[i].name;
	}
	return "?";
}

void vmcs_failed(enum vmcs_field field, const char *what)
{
	u64 error = 0;

	if (!vmcs_try_read(VMCS_INSTRUCTION_ERROR, &error))
		panic("%s of %s (%#x): no current VMCS", what, field_name(field), field);
	panic("%s of %s (%#x): %s", what, field_name(field), field,
	      vmx_instruction_error_name(error));
}

void vmx_failed(const char *what, u64 operand)
{
	u64 error = 0;

	if (!vmcs_try_read(VMCS_INSTRUCTION_ERROR, &error))
		panic("%s of %#lx failed", what, operand);
	panic("%s of %#lx: %s", what, operand, vmx_instruction_error_name(error));
}

void vmcs_dump(void)
{
	static const char *const areas[] = {"control", "exit", "guest", "host"};
	static const u8 digits[] = {[W16] = 4, [W32] = 8, [W64] = 16, [WNAT] = 16};

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct vmcs_field_info *f = &fields[i];
		u64 value;

		if (vmcs_try_read(f->encoding, &value))
			log_info("  %-8s%-28s%.*lx", areas[f->area], f->name, digits[f->width],
				 value);
	}
}
