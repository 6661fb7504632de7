/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.h: what <arch/cpu.h> needs inline, of the simulated machine (tests/sim/cpu.c).
 */
#ifndef SAMEPAGE_TESTS_SIM_INLINE_ARCH_INLINE_H
#define SAMEPAGE_TESTS_SIM_INLINE_ARCH_INLINE_H

#include <arch/addr.h>
#include <lib/types.h>

/* Which CPU this thread is; sim_set_cpu() says it. */
extern _Thread_local unsigned sim_this_cpu;
/* How many there are. */
extern unsigned sim_cpus;
/* Machine address 0, and how many bytes follow. */
extern char *sim_memory;
extern u64 sim_memory_size;
void sim_no_memory(struct hpa address) __noreturn;

static inline unsigned arch_cpu_id(void)
{
	return sim_this_cpu;
}

static inline unsigned arch_cpu_count(void)
{
	return sim_cpus;
}

/* One more at each call, and what a test adds. */
u64 arch_ticks(void);

static inline bool arch_ticks_reached(const u64 *deadline)
{
	return arch_ticks() >= *deadline;
}

static inline bool arch_word_is_set(const u32 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED) != 0;
}

static inline void *arch_hpa_to_virt(struct hpa address)
{
	if (unlikely(address.raw >= sim_memory_size))
		sim_no_memory(address);
	return sim_memory + address.raw;
}

static inline void arch_local_add_64(u64 *target, u64 n)
{
	__atomic_store_n(target, *target + n, __ATOMIC_RELAXED);
}

static inline bool arch_local_cas_64(u64 *target, u64 old, u64 new)
{
	return __atomic_compare_exchange_n(target, &old, new, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

static inline bool arch_step_overflows(s8 *byte)
{
	return __builtin_add_overflow(*byte, 2, byte);
}

static inline void arch_guest_place(void **inside)
{
}

static inline void arch_guest_enter(void **inside, void *what)
{
	__atomic_store_n(inside, what, __ATOMIC_SEQ_CST);
}

static inline void arch_guest_leave(void **inside)
{
	__atomic_store_n(inside, NULL, __ATOMIC_RELEASE);
}

#endif
