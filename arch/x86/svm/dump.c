/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c: everything the hardware keeps of a guest CPU, each VMCB field by the manual's name.
 *
 * Fields that are zero are left out: a whole VMCB is a hundred lines, and what is not printed is 0.
 */
#include <lib/log.h>
#include <lib/string.h>
#include "svm.h"

#define LOG_THIS LOG_SVM

static const struct {
	const char *name;
	u16 offset;
	u8 size;
} fields[] = {
#define FIELD(field, at) {#field, at, sizeof(((struct vmcb *)NULL)->field)},
	VMCB_FIELDS(FIELD)
#undef FIELD
};

static const struct {
	const char *name;
	u16 offset;
} segments[] = {
#define SEGMENT(segment, at) {#segment, at},
	VMCB_SEGMENTS(SEGMENT)
#undef SEGMENT
};

static void dump_fields(const struct vmcb *vmcb)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		u64 value = 0;

		memcpy(&value, (const char *)vmcb + fields[i].offset, fields[i].size);
		if (value)
			log_error("  %-32s %0*lx", fields[i].name, fields[i].size * 2, value);
	}
}

static void dump_segments(const struct vmcb *vmcb)
{
	for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
		struct vmcb_segment s;

		memcpy(&s, (const char *)vmcb + segments[i].offset, sizeof(s));
		log_error("  %-4s %04x attrib %04x limit %08x base %016lx", segments[i].name,
			  s.selector, s.attrib, s.limit, s.base);
	}
}

static void dump_registers(const struct arch_vcpu *vcpu)
{
	static const char *const names[GPRS] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						"rsi", "rdi", "r8",  "r9",  "r10", "r11",
						"r12", "r13", "r14", "r15"};

	log_error("  xcr0 %lx", vcpu->xcr0);
	for (unsigned i = 0; i < GPRS; i += 4)
		log_error("  %-3s %016lx %-3s %016lx %-3s %016lx %-3s %016lx", names[i],
			  vcpu->gpr[i], names[i + 1], vcpu->gpr[i + 1], names[i + 2],
			  vcpu->gpr[i + 2], names[i + 3], vcpu->gpr[i + 3]);
}

const char *svm_exit_name(u64 code)
{
	return svm_exit_row(code)->name;
}

void svm_dump(struct arch_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	u64 code = svm->vmcb.control.exit_code;

	log_error("guest CPU, VMCB at %lx, last exit %lx (%s), NMI %s%s", svm->vmcb_pa.raw, code,
		  svm_exit_name(code), svm->nmi_blocked ? "blocked" : "open",
		  svm->shut_down ? ", shut down" : "");
	dump_registers(vcpu);
	dump_fields(&svm->vmcb);
	dump_segments(&svm->vmcb);
}
