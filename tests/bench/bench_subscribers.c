/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_subscribers.c: one notification beside many subscriptions.
 *
 * Usage: bench_subscribers POLICY COUNT WITHOUT SHAPE
 *     COUNT      subscriptions, WITHOUT of them without change: started and ended
 *     SHAPE      whole: each is to all gfns; interval: each to a page of its own, the first WITHOUT
 *                without change; mask: whole, and only the first WITHOUT has a role in the event
 *
 * `protect` is one addrspace_protect() of one page; its event passes the new PTE to change.
 */
#include "bench_mm.h"

#include <mm/notifier.h>

#define ROUNDS 64u
#define MOST   1024u

static int null_start(struct subscription *sub, const struct notify_range *range)
{
	return 0;
}

static void null_end(struct subscription *sub, const struct notify_range *range)
{
}

static void null_change(struct subscription *sub, const struct notify_change *change)
{
}

static const struct subscriber_ops with_change = {
	.name = "with",
	.start = null_start,
	.end = null_end,
	.change = null_change,
	.change_start = null_start,
	.change_end = null_end,
};

static const struct subscriber_ops without_change = {
	.name = "without",
	.start = null_start,
	.end = null_end,
};

static struct subscription subs[MOST];

void must(int err)
{
	if (err) {
		printf("bench: %s\n", error_name(err));
		exit(1);
	}
}

static struct addrspace *space(const char *policy)
{
	struct addrspace *as;

	sim_boot(1, 256 * MIB);
	must(addrspace_create("bench", &as));
	must(addrspace_add_slot(as, bench_range(0, MOST), SLOT_RAM));
	must(addrspace_set_policy(as, notifier_policy_find(policy, strlen(policy))));
	return as;
}

static void subscribe(struct addrspace *as, unsigned i, bool has_change, const char *shape)
{
	bool mask = strcmp(shape, "mask") == 0;
	u32 event = BIT(mask && has_change ? EVENT_MIGRATE : EVENT_PROTECT_PAGE);

	subs[i] = (struct subscription){
		.ops = has_change ? &with_change : &without_change,
		.range = strcmp(shape, "interval") == 0 ? bench_range(i, 1) : bench_range(0, MOST),
		.change_events = has_change ? event : 0,
		.invalidate_events = has_change ? 0 : event,
	};
	must(notifier_subscribe(addrspace_notifier(as), &subs[i]));
}

static void empty(void)
{
	bench_begin();
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_on();
		bench_off();
	}
	bench_end("empty", ROUNDS);
}

static void protect(struct addrspace *as, unsigned count)
{
	bench_begin();
	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 gfn = i * (count > ROUNDS ? count / ROUNDS : 1);

		bench_on();
		must(addrspace_protect(as, bench_range(gfn, 1), false));
		bench_off();
	}
	bench_end("protect", ROUNDS);
}

int main(int argc, char **argv)
{
	struct addrspace *as;
	unsigned count, without;

	if (argc != 5)
		return 2;
	count = (unsigned)atoi(argv[2]);
	without = (unsigned)atoi(argv[3]);
	if (count > MOST || without > count)
		return 2;
	empty();
	as = space(argv[1]);
	for (unsigned i = 0; i < count; i++)
		subscribe(as, i, i >= without, argv[4]);
	must(addrspace_populate(as, bench_range(0, MOST)));
	protect(as, count);
	return 0;
}
