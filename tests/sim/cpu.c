/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.c: the simulated machine: include/arch/cpu.h fulfilled on the host.
 *
 * Machine memory is one reservation of address space, so that an address translates by an addition;
 * only what a test added is accessible. A CPU is a thread, or the one thread that says which CPU it
 * is at the moment.
 */
#include "sim/sim.h"

#include <lib/env.h>
#include <sys/mman.h>

#define CONSOLE_SIZE 8192

char *sim_memory;
u64 sim_memory_size;
_Thread_local unsigned sim_this_cpu;
unsigned sim_cpus;
static char console[CONSOLE_SIZE];
static size_t console_length;

void (*sim_on_kick)(unsigned cpu);
void (*sim_on_relax)(void);
void (*sim_on_race_point)(const char *name);
u64 sim_ticks;
static u64 random_state;
jmp_buf *sim_panic_exit;
char sim_panic_message[256];

void race_point(const char *name);

static u64 sim_microseconds(void)
{
	return 0;
}

static void keep_console(const char *text, size_t len)
{
	if (console_length + len >= CONSOLE_SIZE)
		console_length = 0;
	if (len >= CONSOLE_SIZE)
		return;
	memcpy(console + console_length, text, len);
	console_length += len;
	console[console_length] = '\0';
}

static void __noreturn sim_panic(const char *message)
{
	jmp_buf *exit = sim_panic_exit;

	snprintf(sim_panic_message, sizeof(sim_panic_message), "%s", message);
	sim_panic_exit = NULL;
	if (exit)
		longjmp(*exit, 1);
	printf("# panic: %s\n# console: %s\n", message, console);
	fflush(stdout);
	abort();
}

static const struct lib_env environment = {
	.cpu_id = arch_cpu_id,
	.microseconds = sim_microseconds,
	.relax = arch_cpu_relax,
	.rest = arch_cpu_relax,
	.write = keep_console,
	.panic = sim_panic,
};

/* Before main(), so that a panic ends also a test that needs no machine. */
static void __attribute__((__constructor__)) sim_environment(void)
{
	lib_env_set(&environment);
}

void sim_init(unsigned cpus)
{
	assert_true(cpus >= 1 && cpus <= ARCH_CPUS_MAX);
	if (sim_memory)
		munmap(sim_memory, SIM_MEMORY_MAX);
	sim_memory = mmap(NULL, SIM_MEMORY_MAX, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(sim_memory, MAP_FAILED);
	sim_memory_size = SIM_MEMORY_MAX;
	sim_cpus = cpus;
	sim_this_cpu = 0;
	console_length = 0;
	console[0] = '\0';
	sim_on_kick = NULL;
	sim_on_relax = NULL;
	sim_on_race_point = NULL;
	sim_ticks = 0;
	random_state = 0;
	sim_fail_frame_alloc(0, 0);
	lib_env_set(&environment);
}

void sim_add_memory(u64 start, u64 bytes)
{
	assert_true(IS_ALIGNED(start | bytes, PAGE_SIZE) && start + bytes <= SIM_MEMORY_MAX);
	assert_int_equal(mprotect(sim_memory + start, bytes, PROT_READ | PROT_WRITE), 0);
}

void sim_boot(unsigned cpus, u64 bytes)
{
	struct frame_range range = {{MIB}, {MIB + bytes}};

	sim_init(cpus);
	sim_add_memory(MIB, bytes);
	assert_int_equal(frame_init(&range, 1), 0);
}

void sim_set_cpu(unsigned cpu)
{
	assert_true(cpu < sim_cpus);
	sim_this_cpu = cpu;
}

const char *sim_console(void)
{
	return console;
}

void race_point(const char *name)
{
	if (sim_on_race_point)
		sim_on_race_point(name);
}

void arch_cpu_relax(void)
{
	__builtin_ia32_pause();
	if (sim_on_relax)
		sim_on_relax();
}

u64 arch_ticks(void)
{
	return __atomic_add_fetch(&sim_ticks, 1, __ATOMIC_RELAXED);
}

/* SplitMix64 from a fixed seed: two runs draw the same. */
u64 arch_random(void)
{
	u64 z = __atomic_add_fetch(&random_state, 0x9e3779b97f4a7c15, __ATOMIC_RELAXED);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

u64 arch_ticks_per_second(void)
{
	return 1000000000;
}

void arch_cpu_kick(unsigned cpu)
{
	assert_true(cpu < sim_cpus);
	if (sim_on_kick)
		sim_on_kick(cpu);
}

void sim_no_memory(struct hpa address)
{
	fail_msg("no such memory: 0x%llx", (unsigned long long)address.raw);
	abort();
}

struct hpa arch_virt_to_hpa(const void *address)
{
	const char *at = address;

	if (at < sim_memory || at >= sim_memory + SIM_MEMORY_MAX)
		fail_msg("no memory of the machine: %p", address);
	return (struct hpa){(u64)(at - sim_memory)};
}

void arch_page_zero(void *page)
{
	memset(page, 0, PAGE_SIZE);
}

void arch_page_copy(void *to, const void *from)
{
	memcpy(to, from, PAGE_SIZE);
}
