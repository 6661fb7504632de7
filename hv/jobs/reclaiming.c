/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaiming.c: the choice of the VM to reclaim cold pages of, when memory has run out.
 *
 * Only then: a compressed page costs its guest a fault, and free memory serves no guest. A few at a
 * time: a fault needs one frame, and the next pages are colder the later they are taken.
 *
 * A call is part of an exit of some vCPU, so it looks at RECLAIM_LOOKS pages of two VMs at most,
 * and the next call continues where it ended. Where all pages were just touched, many calls pass
 * before one is found that was not touched again; the vCPU rests in between.
 */
#include <hv/reclaiming.h>
#include <arch/boot_info.h>
#include <ck_pr.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/reclaim.h>

#define LOG_THIS LOG_MM
#define BATCH	 32
#define VMS	 2 /* looked at in a call */

/* turn: the number of the VM that is looked at next; it stays with a VM that had cold pages. */
static bool on;	      /* [I] after init */
static unsigned turn; /* [a] */

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

static u64 reclaim_from(struct vm *vm, u64 pages)
{
	u64 done;

	if (!vm_hold(vm))
		return 0;
	done = reclaim_cold(vm->memory, pages);
	vm_release(vm);
	return done;
}

bool reclaiming_make_room(void)
{
	unsigned count = 0, first = ck_pr_load_uint(&turn);
	u64 done = 0;

	while (vm_get(count))
		count++;
	for (unsigned i = 0; on && count && !done && i < VMS; i++) {
		unsigned number = (first + i) % count;

		done = reclaim_from(vm_get(number), BATCH);
		ck_pr_store_uint(&turn, done ? number : number + 1);
	}
	return done > 0;
}

void reclaiming_summary(void)
{
	struct reclaim_stats s;

	reclaim_stats(&s);
	if (s.reclaimed)
		log_info("summary: reclaim: %lu pages gave up their frames, %lu of them zeroes; "
			 "%lu came back; %lu did not compress, %lu were written meanwhile",
			 s.reclaimed, s.zeroes, s.restored, s.incompressible, s.lost_races);
}
