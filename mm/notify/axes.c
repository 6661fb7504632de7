/* SPDX-License-Identifier: Apache-2.0 */
/*
 * axes.c: the axes of a policy by their words, and which points may be put in force.
 */
#include <mm/policy.h>
#include <lib/error.h>
#include <lib/format.h>
#include <lib/string.h>

#define WORDS_MAX 7 /* an axis has fewer values */

/* boot/options.c has the words once more, as values of notifier_NAME=. */
static const struct policy_axis {
	const char *name;
	size_t offset;
	const char *word[WORDS_MAX];
} axes[POLICY_AXES] = {
	{"events", offsetof(struct notifier_policy, events), {"none", "page", "range"}},
	{"start",
	 offsetof(struct notifier_policy, start),
	 {"all", "unanimous", "tagged", "companion", "without", "mask"}},
	{"when", offsetof(struct notifier_policy, when), {"before", "after"}},
	{"flush", offsetof(struct notifier_policy, flush), {"lazy", "eager"}},
	{"steps", offsetof(struct notifier_policy, steps), {"one", "two"}},
	{"establish", offsetof(struct notifier_policy, establish), {"no", "yes"}},
	{"passes", offsetof(struct notifier_policy, passes), {"one", "two"}},
};

const char *policy_axis_name(unsigned axis)
{
	return axis < POLICY_AXES ? axes[axis].name : NULL;
}

const char *policy_axis_word(unsigned axis, unsigned value)
{
	return value < WORDS_MAX ? axes[axis].word[value] : NULL;
}

unsigned policy_axis_value(const struct notifier_policy *policy, unsigned axis)
{
	return ((const u8 *)policy)[axes[axis].offset];
}

int notifier_policy_set(struct notifier_policy *policy, const char *name, size_t len,
			const char *value)
{
	unsigned axis = 0, word = 0;

	while (axis < POLICY_AXES && !string_is(name, len, axes[axis].name))
		axis++;
	if (axis == POLICY_AXES)
		return ERR_NOT_FOUND;
	while (axes[axis].word[word] && strcmp(value, axes[axis].word[word]))
		word++;
	if (!axes[axis].word[word])
		return ERR_NOT_FOUND;
	((u8 *)policy)[axes[axis].offset] = (u8)word;
	return 0;
}

/*
 * A start set of ALL before the change leaves no subscriber with the old frame when the new one
 * becomes writable. Any other needs the second step (NOTIFIER-5).
 */
const char *notifier_policy_refusal(const struct notifier_policy *policy)
{
	bool late = policy->when == POLICY_AFTER;

	if (policy->events == POLICY_EVENTS_NONE && late)
		return "when=after: without an event in place, start comes before the change";
	if (policy->events == POLICY_EVENTS_NONE && policy->establish)
		return "establish=yes: without an event in place, no new PTE is passed";
	if (policy->events == POLICY_EVENTS_NONE || policy->steps == POLICY_TWO_STEPS)
		return NULL;
	if (late)
		return strcmp(policy->name, "late") ? "steps=one when=after: a subscriber without "
						      "change reads the old frame after a write"
						    : NULL;
	if (policy->start != POLICY_START_ALL)
		return "steps=one: a second subscriber with change reads the old frame after a "
		       "write, unless start=all";
	return NULL;
}

void notifier_policy_text(const struct notifier_policy *policy, char *out, size_t size)
{
	const struct notifier_policy *named =
		notifier_policy_find(policy->name, strlen(policy->name));
	size_t len = format_text(out, size, "%s", policy->name);

	for (unsigned axis = 0; named && axis < POLICY_AXES; axis++) {
		unsigned value = policy_axis_value(policy, axis);

		if (value != policy_axis_value(named, axis) && len < size)
			len += format_text(out + len, size - len, ", %s=%s", axes[axis].name,
					   axes[axis].word[value]);
	}
}
