/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c: the policies, as data. docs/mm/notifier.md draws each as an interleaving.
 *
 * A new policy is a row here and a symbol in Kconfig. Each row says which subscriptions invalidate
 * before the primary changes, which take over the new PTE, and which invalidate after it; and so
 * how the new frame is kept read-only until the old one is unused (NOTIFIER-5):
 *
 *     all invalidate before                            bracket, establish, invalidate; unanimous, if one lacks change
 *     those without change before, the others in two steps     event, companion, masked; unanimous, if all have change
 *     two steps, invalidation between them             late_wp
 *     not at all                                       late: loses Eran's race
 */
#include "mm/notify/policy.h"
#include <lib/log.h>
#include <lib/string.h>

static const struct notifier_policy policies[] = {
	{
		.name = "bracket",
		.idea = "start (all invalidate), change (moot), end",
		.events = EVENTS_CHANGE_PTE,
		.before = SET_ALL,
		.change = SET_WITH_CHANGE,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_BRACKET),
	},
	{
		.name = "late",
		.idea = "change, then invalidate those without: loses Eran's race",
		.events = EVENTS_CHANGE_PTE,
		.change = SET_WITH_CHANGE,
		.after = SET_WITHOUT_CHANGE,
		.flags = RULE_LAZY,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_LATE),
	},
	{
		.name = "late_wp",
		.idea = "late, write-protected until those without change have invalidated",
		.events = EVENTS_CHANGE_PTE,
		.change = SET_WITH_CHANGE,
		.after = SET_WITHOUT_CHANGE,
		.flags = RULE_LAZY | RULE_TWO_STEPS | RULE_WAIT_AFTER,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_LATE_WP),
	},
	{
		.name = "establish",
		.idea = "bracket, but change may map what start invalidated",
		.events = EVENTS_CHANGE_PTE,
		.before = SET_ALL,
		.change = SET_WITH_CHANGE,
		.flags = RULE_ESTABLISH,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_ESTABLISH),
	},
	{
		.name = "unanimous",
		.idea = "no bracket if every subscriber has change",
		.events = EVENTS_CHANGE_PTE,
		.before = SET_ALL,
		.change = SET_WITH_CHANGE,
		.flags = RULE_UNLESS_UNANIMOUS | RULE_TWO_STEPS | RULE_LAZY,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_UNANIMOUS),
	},
	{
		.name = "event",
		.idea = "tagged bracket: ignored by subscribers with change",
		.events = EVENTS_CHANGE_PTE,
		.before = SET_ALL,
		.change = SET_WITH_CHANGE,
		.flags = RULE_TAGGED | RULE_TWO_STEPS | RULE_LAZY,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_EVENT),
	},
	{
		.name = "companion",
		.idea = "methods around change that fall back to start and end",
		.events = EVENTS_CHANGE_PTE,
		.before = SET_ALL,
		.change = SET_WITH_CHANGE,
		.flags = RULE_COMPANION | RULE_TWO_STEPS | RULE_LAZY,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_COMPANION),
	},
	{
		.name = "invalidate",
		.idea = "no change: invalidate and fault again",
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_INVALIDATE),
	},
	{
		.name = "masked",
		.idea = "each subscription states its events, and how it gets them",
		.events = EVENTS_ALL,
		.before = SET_INVALIDATE_MASK,
		.change = SET_CHANGE_MASK,
		.flags = RULE_TWO_STEPS | RULE_LAZY,
		.is_default = IS_ENABLED(CONFIG_NOTIFIER_POLICY_MASKED),
	},
};
_Static_assert(ARRAY_SIZE(policies) <= NOTIFIER_POLICIES_MAX, "struct notifier counts each policy");

unsigned notifier_policy_count(void)
{
	return ARRAY_SIZE(policies);
}

const struct notifier_policy *notifier_policy(unsigned number)
{
	return number < ARRAY_SIZE(policies) ? &policies[number] : NULL;
}

unsigned notifier_policy_number(const struct notifier_policy *policy)
{
	return (unsigned)(policy - policies);
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
