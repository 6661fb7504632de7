/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.h: those functions of <arch/cpu.h> that the way into a guest and out of it calls every
 * time, without a call. The contract is in <arch/cpu.h>.
 *
 * The offsets are those of struct percpu, which rooms above must not see; idle.c asserts them, and
 * cpu.c the place of the direct map.
 */
#ifndef SAMEPAGE_ARCH_INLINE_H
#define SAMEPAGE_ARCH_INLINE_H

#include <arch/addr.h>
#include <lib/types.h>

#define PERCPU_ID     8
#define PERCPU_INSIDE 16
#define DIRECT_MAP    0xffff800000000000ull

static __always_inline unsigned arch_cpu_id(void)
{
	unsigned id;

	asm("movl %%gs:%c1, %0" : "=r"(id) : "i"(PERCPU_ID));
	return id;
}

/* [a] smp.c: numbers below it exist */
extern unsigned arch_cpus_up;

static __always_inline unsigned arch_cpu_count(void)
{
	return *(const volatile unsigned *)&arch_cpus_up;
}

/* RDTSC clears the high halves of both registers. */
static __always_inline u64 arch_ticks(void)
{
	u64 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return high << 32 | low;
}

/* A borrow from both halves of the difference: the deadline is not reached. */
static __always_inline bool arch_ticks_reached(const u64 *deadline)
{
	bool reached;

	asm volatile("rdtsc\n\t"
		     "subl %1, %%eax\n\t"
		     "sbbl 4+%1, %%edx"
		     : "=@ccae"(reached)
		     : "m"(*deadline)
		     : "eax", "edx");
	return reached;
}

static __always_inline bool arch_word_is_set(const u32 *word)
{
	bool set;

	asm volatile("cmpl $0, %1" : "=@ccne"(set) : "m"(*word));
	return set;
}

static __always_inline bool arch_step_overflows(s8 *byte)
{
	bool overflow;

	asm("addb $2, %1" : "=@cco"(overflow), "+m"(*byte));
	return overflow;
}

static __always_inline void arch_guest_place(void **inside)
{
	asm volatile("movq %0, %%gs:%c1" : : "r"(inside), "i"(PERCPU_INSIDE) : "memory");
}

/* XCHG is a full barrier. */
static __always_inline void arch_guest_enter(void **inside, void *what)
{
	asm volatile("xchgq %0, %1" : "+r"(what), "+m"(*inside) : : "memory");
}

static __always_inline void arch_guest_leave(void **inside)
{
	asm volatile("movq $0, %0" : "=m"(*inside) : : "memory");
}

/* Without a bus lock: atomic against NMIs of this CPU, not against other CPUs. */
static __always_inline bool arch_local_cas_64(u64 *target, u64 old, u64 new)
{
	bool swapped;

	asm volatile("cmpxchgq %3, %1"
		     : "=@ccz"(swapped), "+m"(*target), "+a"(old)
		     : "r"(new)
		     : "memory");
	return swapped;
}

static __always_inline void arch_local_add_64(u64 *target, u64 n)
{
	asm volatile("addq %1, %0" : "+m"(*target) : "re"(n));
}

/* Called at every step of a table walk. */
static __always_inline void *arch_hpa_to_virt(struct hpa address)
{
	return (void *)(DIRECT_MAP + address.raw);
}

#endif
