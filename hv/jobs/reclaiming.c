/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaiming.c: whose cold pages go when memory has run out.
 *
 * Why only then: keeping a page compressed costs its guest a fault, and memory that is free serves
 * nobody. And why a few at a time: who asked wants one frame, and the next pages are colder the
 * later they are asked for.
 *
 * A call is a part of somebody's exit, so it looks at RECLAIM_LOOKS pages of two VMs at most, and
 * the next one goes on where it ended. Where all pages were just touched, it takes many calls to
 * find one that was not touched again; the vCPU rests in between.
 */
#include <hv/reclaiming.h>
#include <arch/boot_info.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/reclaim.h>

#define LOG_THIS LOG_MM
#define BATCH	 32
#define VMS	 2 /* that are looked at in a call */

static bool on; /* [I] after init */
static unsigned
	turn; /* [a] whose pages are looked at next, by number: it stays with a VM that had cold ones */

void reclaiming_init(void)
{
	int err;

	on = strcmp(boot_option_text("reclaim"), "off") != 0;
	err = on ? reclaim_init() : 0;
	if (err)
		log_warn("reclaim: no frames set aside: %s", error_name(err));
}

void reclaiming_fini(void)
{
	reclaim_fini();
}

static u64 reclaim_from(struct vm *vm, u64 want)
{
	u64 done;

	if (!vm_hold(vm))
		return 0;
	done = reclaim_cold(vm->memory, want);
	vm_let_go(vm);
	return done;
}

bool reclaiming_make_room(void)
{
	unsigned count = 0, first = __atomic_load_n(&turn, __ATOMIC_RELAXED);
	u64 done = 0;

	while (vm_get(count))
		count++;
	for (unsigned i = 0; on && count && !done && i < VMS; i++) {
		unsigned number = (first + i) % count;

		done = reclaim_from(vm_get(number), BATCH);
		__atomic_store_n(&turn, done ? number : number + 1, __ATOMIC_RELAXED);
	}
	return done > 0;
}

void reclaiming_summary(void)
{
	struct reclaim_stats s;

	reclaim_stats(&s);
	if (s.reclaimed)
		log_info("summary: reclaim: %llu pages gave up their frames, %llu of them zeroes; "
			 "%llu came back; "
			 "%llu did not compress, %llu were written meanwhile",
			 (unsigned long long)s.reclaimed, (unsigned long long)s.zeroes,
			 (unsigned long long)s.restored, (unsigned long long)s.incompressible,
			 (unsigned long long)s.lost_races);
}
