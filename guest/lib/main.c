/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: entry from start.S, command line, start of further vCPUs.
 */
#include <lib.h>

#define STACK_SIZE 8192

const struct multiboot_info *guest_info;
bool guest_is_amd;

static u8 stacks[GUEST_VCPUS_MAX][STACK_SIZE] __attribute__((aligned(16)));

/* The function that each vCPU starts in. */
static struct job {
	void (*function)(u64);
	u64 argument;
} jobs[GUEST_VCPUS_MAX];

void *memset(void *to, int value, size_t len)
{
	void *at = to;

	asm volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(value) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
	void *at = to;

	asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
	return to;
}

/* The place behind `name` in the command line, at '=', a blank or the end; or NULL. */
static const char *find_option(const char *name)
{
	const char *line = (const char *)(u64)guest_info->command_line;

	while (*line) {
		const char *at = line, *rest = name;

		while (*rest && *at == *rest) {
			at++;
			rest++;
		}
		if (!*rest && (*at == '=' || *at == ' ' || !*at))
			return at;
		while (*line && *line != ' ')
			line++;
		while (*line == ' ')
			line++;
	}
	return NULL;
}

bool option(const char *name)
{
	return find_option(name) != NULL;
}

u64 option_number(const char *name, u64 otherwise)
{
	const char *at = find_option(name);
	u64 value = 0;

	if (!at || *at != '=')
		return otherwise;
	for (at++; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (u64)(*at - '0');
	return value;
}

s64 hypercall_range(u64 number, u64 gfn, u64 frames, u64 a2)
{
	s64 count = 0;

	do {
		s64 result = hypercall_once(number, gfn, frames, a2, 0);

		if (result < 0)
			return result;
		count += HYPERCALL_COUNT(result);
		gfn += HYPERCALL_FRAMES(result);
		frames -= HYPERCALL_FRAMES(result);
	} while (frames);
	return count;
}

static void vcpu_entry(u64 number)
{
	trap_init((unsigned)number);
	jobs[number].function(jobs[number].argument);
	for (;;)
		asm volatile("cli; hlt");
}

s64 vcpu_run(unsigned vcpu, void (*function)(u64), u64 argument)
{
	u64 stack = (u64)stacks[vcpu] + STACK_SIZE - 8;

	jobs[vcpu] = (struct job){function, argument};
	return hypercall(HYPERCALL_VCPU_START, vcpu, (u64)vcpu_entry, stack, vcpu);
}

void guest_start(u32 magic, const struct multiboot_info *info)
{
	guest_info = info;
	guest_is_amd = cpuid(0, 0).ebx == 0x68747541; /* "Auth" of AuthenticAMD */
	trap_init(0);
	if (magic != MULTIBOOT_LOADER_MAGIC)
		check(false, "entered by multiboot: EAX is %x", magic);
	guest_main();
	guest_end();
}
