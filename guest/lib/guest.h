/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h: the library of the test guests.
 *
 * A guest is one C file with guest_main(). It runs in ring 0, in long mode, on memory mapped one to
 * one, and ends with the number of failed checks as its status. Atomics are the compiler's
 * builtins, because ck is not among a guest's headers.
 */
#ifndef SAMEPAGE_GUEST_H
#define SAMEPAGE_GUEST_H

#include <abi/hypercall.h>
#include <abi/machine.h>
#include <abi/multiboot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define GUEST_VCPUS_MAX 16
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1ul << (n))

/* Defined by the guest. The library ends the VM when it returns. */
void guest_main(void);

/* --- Printing and checking: %s %c %d %u %x with l or ll, %% and 0-padded widths. --- */

void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "ok - TEXT" or "not ok - TEXT"; returns `good`. */
bool check(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the VM with the number of failed checks as status. */
void guest_end(void) __attribute__((noreturn));

/* --- The command line: "word" or "word=number". --- */

bool option(const char *name);
u64 option_number(const char *name, u64 otherwise);
extern const struct multiboot_info *guest_info;

/* --- Expected faults. --- */

enum { VECTOR_DE = 0, VECTOR_UD = 6, VECTOR_GP = 13, VECTOR_PF = 14, VECTOR_NONE = 255 };

/* As start.S pushes it, and above it what the CPU pushed. */
struct guest_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error_code;
	u64 rip, cs, rflags, rsp, ss;
};

struct guest_fault {
	u8 vector; /* VECTOR_NONE: it returned */
	u64 error_code, rip, address;
};

/*
 * From ring 3. QEMU 7.2 lets an IRET of 32-bit code set RFLAGS.VM there, which no CPU does: CS has
 * no RPL then.
 */
static inline bool guest_from_user(const struct guest_frame *frame)
{
	return (frame->cs & 3) || (frame->rflags & BIT(17));
}

/* Calls the function and returns the fault it ended with, if any. Not nested. */
struct guest_fault catch_fault(void (*function)(void *), void *argument);

/*
 * The same for a function that runs in ring 3, on vCPU 0. It must end in a fault, by ud2 at
 * the latest. It may use the stack and global data.
 */
struct guest_fault catch_user_fault(void (*function)(void));

/*
 * Sees an exception or interrupt first. True: it is dealt with, and the interrupted code goes on.
 * It may change the vector.
 */
extern bool (*guest_on_exception)(struct guest_frame *frame);

/* Interrupts that came on this vCPU, by vector (32 to 63). */
u64 irq_count(unsigned vector);
/* Likewise on another one. */
u64 irq_count_of(unsigned vcpu, unsigned vector);

/* --- vCPUs. --- */

unsigned vcpu_number(void);
/* Starts vCPU `vcpu` in function(argument), which may not return. 0 or a hypercall_error. */
s64 vcpu_run(unsigned vcpu, void (*function)(u64), u64 argument);

/* --- Instructions. --- */

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r = {leaf, 0, subleaf, 0};

	asm volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
	return r;
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static inline u64 rdmsr(u32 index)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 index, u64 value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u8 in8(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u32 in32(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline void pause_cpu(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void flush_page(const volatile void *address)
{
	asm volatile("invlpg %0" : : "m"(*(const volatile char *)address) : "memory");
}

extern bool guest_is_amd;

/* One call, which may do a piece of its range alone. */
static inline s64 hypercall_once(u64 number, u64 a0, u64 a1, u64 a2, u64 a3)
{
	register u64 r10 asm("r10") = a3;
	s64 result;

	if (guest_is_amd)
		asm volatile("vmmcall"
			     : "=a"(result)
			     : "a"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10)
			     : "memory");
	else
		asm volatile("vmcall"
			     : "=a"(result)
			     : "a"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10)
			     : "memory");
	return result;
}

/* A P call (abi/hypercall.h), repeated for the rest of its range: a sum of counts or an error. */
s64 hypercall_range(u64 number, u64 gfn, u64 frames, u64 a2);

static inline s64 hypercall(u64 number, u64 a0, u64 a1, u64 a2, u64 a3)
{
	switch (number) {
	case HYPERCALL_PROTECT:
	case HYPERCALL_DISCARD:
	case HYPERCALL_WATCH:
	case HYPERCALL_UNMAP:
	case HYPERCALL_RECLAIM:
		return hypercall_range(number, a0, a1, a2);
	default:
		return hypercall_once(number, a0, a1, a2, a3);
	}
}

/* --- Merging. --- */

/*
 * HYPERCALL_MERGE for a whole range, piece by piece: 0, or the hypercall_error of the first piece
 * that fails.
 */
s64 merge_pages(u64 gfn, u64 frames, enum hypercall_merge advice);

/* All of it, or a hypercall_error. */
s64 merge_statistics(struct hypercall_merge_stats *out);

#endif
