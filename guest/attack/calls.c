/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.c: each hypercall at its largest argument takes a bounded time (HYPERCALL-3), counted in
 * ticks of a TSC of which one is an instruction (--icount, Bochs).
 *
 *     mib=N       of the VM's memory are used
 *     refused     the VM has no test_calls=yes: the calls for tests are refused
 */
#include <guest.h>

#define PAGE	  4096ul
#define FIRST	  (4ul << 20)
#define FIRST_GFN (FIRST / PAGE)

static u64 frames;

static const struct call {
	const char *name;
	u64 number, most, a2;
} calls[] = {
	{"PROTECT to read", HYPERCALL_PROTECT, ~0ul, HYPERCALL_ACCESS_READ},
	{"PROTECT to write", HYPERCALL_PROTECT, ~0ul, HYPERCALL_ACCESS_WRITE},
	{"WATCH", HYPERCALL_WATCH, ~0ul, 0},
	{"DIRTY", HYPERCALL_DIRTY, 32, 0},
	{"UNMAP", HYPERCALL_UNMAP, 4096, 0},
	{"RECLAIM", HYPERCALL_RECLAIM, 4096, 0},
	{"OPERATE migrate", HYPERCALL_OPERATE, 64, HYPERCALL_MIGRATE},
	{"OPERATE collapse", HYPERCALL_OPERATE, 1024, HYPERCALL_COLLAPSE},
	{"OPERATE split", HYPERCALL_OPERATE, ~0ul, HYPERCALL_SPLIT},
	{"OPERATE age", HYPERCALL_OPERATE, ~0ul, HYPERCALL_AGE},
	{"OPERATE balloon", HYPERCALL_OPERATE, ~0ul, HYPERCALL_BALLOON},
	{"DISCARD", HYPERCALL_DISCARD, ~0ul, 0},
};

/* Every page has content of its own, so that RECLAIM compresses and DISCARD frees. */
static void fill(void)
{
	for (u64 i = 0; i < frames; i++)
		for (u64 at = 0; at < PAGE; at += 512)
			*(volatile u64 *)(FIRST + i * PAGE + at) =
				(i + 1) * 0x9e3779b97f4a7c15ul + at;
}

static s64 longest_step(const struct call *call, u64 gfn, u64 left, u64 *longest)
{
	s64 result = 0;

	while (left > 0) {
		u64 before = rdtsc(), took;

		result = hypercall_once(call->number, gfn, left, call->a2, 0);
		took = rdtsc() - before;
		*longest = took > *longest ? took : *longest;
		if (result < 0 || call->number == HYPERCALL_DIRTY)
			return result;
		gfn += HYPERCALL_FRAMES(result);
		left -= HYPERCALL_FRAMES(result);
	}
	return result;
}

static void measure(const struct call *call)
{
	u64 longest = 0, range = frames < call->most ? frames : call->most;
	s64 result = longest_step(call, FIRST_GFN, range, &longest);

	check(result >= 0 && longest <= HYPERCALL_STEP_MAX, "%s of %lu pages takes a bounded time",
	      call->name, range);
	if (longest > HYPERCALL_STEP_MAX / 2)
		print("%s: %lu of %u ticks\n", call->name, longest, HYPERCALL_STEP_MAX);
}

static void measure_console(void)
{
	static char text[512];
	u64 longest = 0, lines = 0;

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = i % 64 == 63 ? '\n' : '.';
	for (u64 done = 0; done < sizeof(text); lines++) {
		u64 before = rdtsc();
		s64 taken = hypercall_once(HYPERCALL_CONSOLE, (u64)text + done, sizeof(text) - done,
					   0, 0);

		before = rdtsc() - before;
		longest = before > longest ? before : longest;
		if (taken <= 0)
			break;
		done += (u64)taken;
	}
	check(lines == sizeof(text) / 64 && longest <= HYPERCALL_STEP_MAX,
	      "CONSOLE takes a line at a time");
}

static void check_refused(void)
{
	unsigned refused = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
		refused += hypercall_once(calls[i].number, FIRST_GFN, 1, calls[i].a2, 0) ==
			   HYPERCALL_ERROR_PERMISSION;
	refused += hypercall_once(HYPERCALL_SHARE, FIRST_GFN, FIRST_GFN + 1, 0, 0) ==
		   HYPERCALL_ERROR_PERMISSION;
	refused += hypercall_once(HYPERCALL_DEVICE_READ, FIRST, FIRST, 0, 0) ==
		   HYPERCALL_ERROR_PERMISSION;
	check(refused == ARRAY_SIZE(calls) + 2, "each call for tests is refused");
}

void guest_main(void)
{
	frames = (option_number("mib", 8) << 20) / PAGE - FIRST_GFN;
	if (option("refused")) {
		check_refused();
		return;
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
			if (calls[i].a2 != HYPERCALL_ACCESS_WRITE) /* the range is read only */
				fill();
			measure(&calls[i]);
		}
	}
	measure_console();
}
