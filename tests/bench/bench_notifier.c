/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_notifier.c: the cost of a notification, by policy and number of subscriptions.
 *
 * dispatch_POLICY_N is one addrspace_protect() of one page with N subscribers that do nothing; the
 * difference to dispatch_none is the notification. intervals_* is the same with 1,000 intervals,
 * one of which overlaps the page: disjoint ones, and such that the first one covers all others.
 * unwanted is a notification without a call, alone.
 */
#include "bench_mm.h"

#include <mm/notifier.h>

#include "mm/notify/dispatch.h"
#include "mm/space/space.h"

#define ROUNDS	  64
#define MANY	  64
#define INTERVALS 1000u

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

static const struct subscriber_ops null_ops = {
	.name = "null",
	.start = null_start,
	.end = null_end,
	.change = null_change,
	.change_start = null_start,
	.change_end = null_end,
};

static struct subscription subs[INTERVALS + 1];

static struct addrspace *space_with(unsigned count, unsigned wanting, const char *policy)
{
	struct addrspace *as = bench_space(64);

	if (policy)
		must(addrspace_set_policy(as, notifier_policy_find(policy, strlen(policy))));
	for (unsigned i = 0; i < count; i++) {
		subs[i] = (struct subscription){.ops = &null_ops, .range = bench_range(0, 64)};
		subs[i].change_events = i < wanting ? BIT(EVENT_PROTECT_PAGE) : BIT(EVENT_MERGE);
		must(notifier_subscribe(addrspace_notifier(as), &subs[i]));
	}
	must(addrspace_populate(as, bench_range(0, 64)));
	return as;
}

static void protect_pages(struct addrspace *as, const char *name)
{
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++) {
		bench_on();
		must(addrspace_protect(as, bench_range(i, 1), false));
		bench_off();
	}
	bench_end(name, ROUNDS);
}

static void bench_policy(const char *policy)
{
	static const unsigned counts[] = {1, 8, MANY};
	char name[64];

	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		snprintf(name, sizeof(name), "dispatch_%s_%u", policy, counts[i]);
		protect_pages(space_with(counts[i], counts[i], policy), name);
	}
}

/* An interval for each page; `covered`: and one for all of them together. */
static struct addrspace *space_with_intervals(bool covered)
{
	struct addrspace *as = bench_space(INTERVALS + 1);

	for (unsigned i = 0; i < INTERVALS + (covered ? 1 : 0); i++) {
		subs[i] = (struct subscription){.ops = &null_ops, .range = bench_range(i, 1)};
		if (i == INTERVALS)
			subs[i].range = bench_range(0, INTERVALS);
		subs[i].change_events = BIT(EVENT_PROTECT_PAGE);
		must(notifier_subscribe(addrspace_notifier(as), &subs[i]));
	}
	must(addrspace_populate(as, bench_range(0, INTERVALS)));
	return as;
}

static void bench_intervals(const char *policy, bool covered)
{
	struct addrspace *as = space_with_intervals(covered);
	char name[64];

	must(addrspace_set_policy(as, notifier_policy_find(policy, strlen(policy))));
	snprintf(name, sizeof(name), "intervals_%s%s", policy, covered ? "_covered" : "");
	bench_begin();
	for (u64 i = 0; i < ROUNDS; i++) {
		u64 gfn = i * (INTERVALS / ROUNDS);

		bench_on();
		must(addrspace_protect(as, bench_range(gfn, 1), false));
		bench_off();
	}
	bench_end(name, ROUNDS);
}

static void bench_unwanted(void)
{
	struct addrspace *as = space_with(MANY, MANY, "masked");
	struct notifier *chain = addrspace_notifier(as);
	struct notification note = {
		.notifier = chain,
		.range = {.event = EVENT_EXCLUSIVE, .range = bench_range(0, 1)},
	};

	bench_begin();
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_on();
		if (notification_begin(&note, chain, EVENT_EXCLUSIVE) ||
		    !notification_confirm(&note, chain, EVENT_EXCLUSIVE))
			must(ERR_BUSY);
		if (notification_end(&note))
			must(ERR_BUSY);
		bench_off();
	}
	bench_end("unwanted", ROUNDS);
}

void bench_notifier(void)
{
	protect_pages(space_with(0, 0, NULL), "dispatch_none");
	for (unsigned i = 0; i < notifier_policy_count(); i++)
		bench_policy(notifier_policy_name(notifier_policy(i)));
	protect_pages(space_with(MANY, 1, "masked"), "dispatch_masked_1_of_64");
	protect_pages(space_with(MANY, 0, "masked"), "dispatch_masked_0_of_64");
	bench_intervals("masked", false);
	bench_intervals("bracket", false);
	bench_intervals("masked", true);
	bench_unwanted();
}
