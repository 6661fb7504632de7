/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c: the nine policies, as data. docs/mm/notifier.md draws each as an interleaving.
 *
 * Each row answers: who drops before the primary changes, who is handed the new PTE, who drops
 * after it, and by what means the new frame is kept unwritable until nobody uses the old one
 * (NOTIFIER-5):
 *
 *     all drop first                        bracket, establish, invalidate, unanimous when one lacks change
 *     who lacks change drops first, two steps for the others      event, companion, masked, unanimous else
 *     two steps, with the dropping between them                   late_wp
 *     not at all                                                  late: loses Eran's race
 */
#include "mm/notify/policy.h"
#include <lib/string.h>

/* Events that change nothing that could be handed over: drop, then fill again. */
#define ALL_DROP                  \
	{                         \
		.start = LIST_ALL \
	}

static const struct notifier_policy bracket = {
	.name = "bracket",
	.idea = "start (everybody drops), change (moot), end",
	.handed = {.start = LIST_ALL, .change = LIST_CHANGERS},
	.other = ALL_DROP,
	.index = 0,
};

static const struct notifier_policy late = {
	.name = "late",
	.idea = "change, then invalidate who has none: loses Eran's race",
	.handed = {.change = LIST_CHANGERS, .after = LIST_LACKING, .flags = RULE_LAZY},
	.other = ALL_DROP,
	.index = 1,
};

static const struct notifier_policy late_wp = {
	.name = "late_wp",
	.idea = "late, write-protected until the others have dropped the page",
	.handed = {.change = LIST_CHANGERS,
		   .after = LIST_LACKING,
		   .flags = RULE_LAZY | RULE_TWO_STEPS | RULE_WAIT_AFTER},
	.other = ALL_DROP,
	.index = 2,
};

static const struct notifier_policy establish = {
	.name = "establish",
	.idea = "bracket, but change may map what start dropped",
	.handed = {.start = LIST_ALL, .change = LIST_CHANGERS, .flags = RULE_ESTABLISH},
	.other = ALL_DROP,
	.index = 3,
};

static const struct notifier_policy unanimous = {
	.name = "unanimous",
	.idea = "no bracket if every subscriber has change",
	.handed = {.start = LIST_ALL,
		   .change = LIST_CHANGERS,
		   .flags = RULE_UNLESS_UNANIMOUS | RULE_TWO_STEPS | RULE_LAZY},
	.other = ALL_DROP,
	.index = 4,
};

static const struct notifier_policy event = {
	.name = "event",
	.idea = "tagged bracket: ignored by who will be handed the new PTE",
	.handed = {.start = LIST_ALL,
		   .change = LIST_CHANGERS,
		   .flags = RULE_TAGGED | RULE_TWO_STEPS | RULE_LAZY},
	.other = ALL_DROP,
	.index = 5,
};

static const struct notifier_policy companion = {
	.name = "companion",
	.idea = "methods around change that fall back to start and end",
	.handed = {.start = LIST_ALL,
		   .change = LIST_CHANGERS,
		   .flags = RULE_COMPANION | RULE_TWO_STEPS | RULE_LAZY},
	.other = ALL_DROP,
	.index = 6,
};

static const struct notifier_policy invalidate = {
	.name = "invalidate",
	.idea = "no change at all: drop and fault again",
	.handed = ALL_DROP,
	.other = ALL_DROP,
	.index = 7,
};

static const struct notifier_policy masked = {
	.name = "masked",
	.idea = "each told only what it asked for, the way it asked for",
	.handed = {.start = LIST_WANT_DROP,
		   .change = LIST_WANT_CHANGE,
		   .flags = RULE_TWO_STEPS | RULE_LAZY},
	.other = {.start = LIST_WANT_DROP, .change = LIST_WANT_CHANGE, .flags = RULE_TWO_STEPS},
	.index = 8,
	.masked = true,
};

const struct notifier_policy *const notifier_policies[NOTIFIER_POLICIES] = {
	&bracket, &late, &late_wp, &establish, &unanimous, &event, &companion, &invalidate, &masked,
};

const struct notifier_policy *notifier_policy_find(const char *name, size_t len)
{
	for (unsigned i = 0; i < NOTIFIER_POLICIES; i++)
		if (string_is(name, len, notifier_policies[i]->name))
			return notifier_policies[i];
	return NULL;
}

const char *notifier_policy_name(const struct notifier_policy *policy)
{
	return policy->name;
}

const struct notifier_policy *notifier_policy_default(void)
{
	static const bool chosen[NOTIFIER_POLICIES] = {
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_BRACKET),
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_LATE),
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_LATE_WP),
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_ESTABLISH),
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_UNANIMOUS),
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_EVENT),
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_COMPANION),
		IS_ENABLED(CONFIG_NOTIFIER_POLICY_INVALIDATE),
	};

	for (unsigned i = 0; i < NOTIFIER_POLICIES; i++)
		if (chosen[i])
			return notifier_policies[i];
	return &masked;
}
