/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c: the named points; docs/mm/notifier.md has a drawing of each.
 *
 * `bracket` is Linux from 2012 to 2024, `invalidate` Linux since, `two_pass` Linux since 2026 for
 * subscribers that implement it; the thread of 2014 proposed the others but `masked`, which is
 * Samepage's. The axis `flush` is in no mail, so all points have the same value.
 */
#include <mm/policy.h>
#include <lib/log.h>
#include <lib/string.h>

static const struct notifier_policy policies[] = {
	{
		.name = "bracket",
		.idea = "start (all invalidate), change (moot), end",
		.events = POLICY_EVENTS_PAGE,
		.start = POLICY_START_ALL,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_BRACKET),
	},
	{
		.name = "late",
		.idea = "change, then invalidate those without: loses Eran's race",
		.events = POLICY_EVENTS_PAGE,
		.start = POLICY_START_WITHOUT,
		.when = POLICY_AFTER,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_LATE),
	},
	{
		.name = "late_wp",
		.idea = "late, write-protected until those without change have invalidated",
		.events = POLICY_EVENTS_PAGE,
		.start = POLICY_START_WITHOUT,
		.when = POLICY_AFTER,
		.steps = POLICY_TWO_STEPS,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_LATE_WP),
	},
	{
		.name = "establish",
		.idea = "bracket, but change may map what start invalidated",
		.events = POLICY_EVENTS_PAGE,
		.start = POLICY_START_ALL,
		.establish = POLICY_ESTABLISH,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_ESTABLISH),
	},
	{
		.name = "unanimous",
		.idea = "no bracket if every subscriber has change",
		.events = POLICY_EVENTS_PAGE,
		.start = POLICY_START_UNANIMOUS,
		.steps = POLICY_TWO_STEPS,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_UNANIMOUS),
	},
	{
		.name = "event",
		.idea = "tagged bracket: ignored by subscribers with change",
		.events = POLICY_EVENTS_PAGE,
		.start = POLICY_START_TAGGED,
		.steps = POLICY_TWO_STEPS,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_EVENT),
	},
	{
		.name = "companion",
		.idea = "methods around change that fall back to start and end",
		.events = POLICY_EVENTS_PAGE,
		.start = POLICY_START_COMPANION,
		.steps = POLICY_TWO_STEPS,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_COMPANION),
	},
	{
		.name = "invalidate",
		.idea = "no change: invalidate and fault again",
		.events = POLICY_EVENTS_NONE,
		.start = POLICY_START_ALL,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_INVALIDATE),
	},
	{
		.name = "two_pass",
		.idea = "invalidate; all are begun, then all are finished",
		.events = POLICY_EVENTS_NONE,
		.start = POLICY_START_ALL,
		.passes = POLICY_TWO_PASSES,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_TWO_PASS),
	},
	{
		.name = "masked",
		.idea = "each subscription states its events, and how it gets them",
		.events = POLICY_EVENTS_RANGE,
		.start = POLICY_START_MASK,
		.steps = POLICY_TWO_STEPS,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_MASKED),
	},
};

unsigned notifier_policy_count(void)
{
	return ARRAY_SIZE(policies);
}

const struct notifier_policy *notifier_policy(unsigned number)
{
	return number < ARRAY_SIZE(policies) ? &policies[number] : NULL;
}

const struct notifier_policy *notifier_policy_find(const char *name, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++)
		if (string_is(name, len, policies[i].name))
			return &policies[i];
	return NULL;
}

const char *notifier_policy_name(const struct notifier_policy *policy)
{
	return policy->name;
}

const struct notifier_policy *notifier_policy_default(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++)
		if (policies[i].is_default)
			return &policies[i];
	panic("notifier: Kconfig's policy has no row");
}
