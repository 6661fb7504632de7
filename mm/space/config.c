/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: policy and retry mode by default: Kconfig's, unless the command line says otherwise.
 */
#define LOG_THIS LOG_MM

#include "mm/space/config.h"
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <lib/words.h>
#include <mm/addrspace.h>
#include "mm/notify/policy.h"

static const struct notifier_policy *policy; /* NULL: Kconfig's */
static enum retry_mode retry =
	IS_ENABLED(CONFIG_FAULT_RETRY_REENTER) ? RETRY_REENTER : RETRY_INPLACE;

const struct notifier_policy *config_policy(void)
{
	return policy ? policy : notifier_policy_default();
}

enum retry_mode config_retry(void)
{
	return retry;
}

static int bad_value(const struct word *word)
{
	log_error("%s=%s: no such choice", word->text, word->value);
	return ERR_FORMAT;
}

static int configure_policy(const struct word *word)
{
	const struct notifier_policy *found =
		notifier_policy_find(word->value, strlen(word->value));

	if (!found)
		return bad_value(word);
	policy = found;
	return 0;
}

static int configure_retry(const struct word *word)
{
	if (!strcmp(word->value, "reenter"))
		retry = RETRY_REENTER;
	else if (!strcmp(word->value, "inplace"))
		retry = RETRY_INPLACE;
	else
		return bad_value(word);
	return 0;
}

int addrspace_configure(const char *command_line)
{
	struct word word;
	int err = 0;

	while (!err && word_next(&command_line, &word)) {
		if (word.value && !strcmp(word.text, "notifier"))
			err = configure_policy(&word);
		else if (word.value && !strcmp(word.text, "fault_retry"))
			err = configure_retry(&word);
	}
	return err;
}
