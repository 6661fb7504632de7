/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c: the options of the hypervisor's command line.
 *
 * A word that is no option, or a value that its option cannot have, is named in the log; the option
 * keeps its default and boot goes on: a typing mistake shall not cost a trip to the machine room.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <lib/words.h>
#include "parse.h"

#define LOG_THIS LOG_BOOT

enum option_kind { OPTION_TEXT, OPTION_NUMBER };

/*
 * values	the words that a text may be, with '|' between them. One in capitals stands for any
 *		text; the user of the option checks it.
 * safe		taken in place of a word that is refused; NULL: the value stays
 * min, max	the range of a number, both included
 * text, number	the default, then the value of the command line
 *
 * scripts/words.py reads this table: a row begins with its name and its kind.
 */
static struct option {
	const char *name;
	enum option_kind kind;
	const char *values, *safe;
	u64 min, max;
	u64 number;
	char text[WORD_MAX];
} options[] = {
	{.name = "log", .kind = OPTION_TEXT, .values = "LEVELS"},
	{.name = "apic", .kind = OPTION_TEXT, .values = "x2apic|xapic", .text = "x2apic"},
	/* The defaults of these three are Kconfig's; notifier_AXIS: the named policy's. */
	{.name = "notifier", .kind = OPTION_TEXT, .values = "POLICY"},
	{.name = "fault_retry", .kind = OPTION_TEXT, .values = "reenter|inplace"},
	{.name = "fault_read", .kind = OPTION_TEXT, .values = "as_read|as_write"},
	{.name = "notifier_events", .kind = OPTION_TEXT, .values = "none|page|range"},
	{.name = "notifier_start",
	 .kind = OPTION_TEXT,
	 .values = "all|unanimous|tagged|companion|without|mask"},
	{.name = "notifier_when", .kind = OPTION_TEXT, .values = "before|after"},
	{.name = "notifier_flush", .kind = OPTION_TEXT, .values = "lazy|eager"},
	{.name = "notifier_steps", .kind = OPTION_TEXT, .values = "one|two"},
	{.name = "notifier_establish", .kind = OPTION_TEXT, .values = "no|yes"},
	{.name = "notifier_passes", .kind = OPTION_TEXT, .values = "one|two"},
	{.name = "merge", .kind = OPTION_TEXT, .values = "ENGINE|off"},
	{.name = "merge_secure",
	 .kind = OPTION_TEXT,
	 .values = "yes|no",
	 .safe = "yes",
	 .text = "no"},
	{.name = "merge_cap", .kind = OPTION_NUMBER, .min = 2, .max = 1u << 30, .number = 256},
	{.name = "merge_split", .kind = OPTION_NUMBER, .max = 512, .number = 64},
	{.name = "merge_ms", .kind = OPTION_NUMBER, .max = 60000}, /* 0: the scanner's own pace */
	{.name = "merge_share", .kind = OPTION_NUMBER, .min = 1, .max = 100, .number = 20},
	{.name = "cow_ahead", .kind = OPTION_NUMBER, .min = 1, .max = 16, .number = 16},
	{.name = "fault_ahead", .kind = OPTION_NUMBER, .min = 1, .max = 16, .number = 16},
	{.name = "trace", .kind = OPTION_TEXT, .values = "CLASSES"},
	{.name = "trace_kib", .kind = OPTION_NUMBER, .max = 1u << 22}, /* 0: Kconfig's */
	{.name = "trace_dump", .kind = OPTION_TEXT, .values = "yes|no", .text = "no"},
	{.name = "trace_vm", .kind = OPTION_TEXT, .values = "NAME"},
	{.name = "trace_page", .kind = OPTION_TEXT, .values = "GFNS"}, /* a gfn, or FIRST-LAST */
	{.name = "reclaim", .kind = OPTION_TEXT, .values = "yes|off", .text = "yes"},
	{.name = "fail_alloc", .kind = OPTION_NUMBER, .max = 1u << 30},
	{.name = "fail_seed", .kind = OPTION_NUMBER, .max = ~0ull, .number = 1},
	{.name = "seed", .kind = OPTION_NUMBER, .max = ~0ull}, /* of arch_random(); 0: none */
	{.name = "fail_from", .kind = OPTION_TEXT, .values = "run|load", .text = "run"},
	{.name = "selftest", .kind = OPTION_TEXT, .values = "NAME"},
	{.name = "selftest-cpu", .kind = OPTION_NUMBER, .max = BOOT_CPUS_MAX - 1},
	{.name = "console", .kind = OPTION_NUMBER, .max = BOOT_MODULES_MAX},
	{.name = "progress", .kind = OPTION_NUMBER, .max = 3600},
	{.name = "sample", .kind = OPTION_NUMBER, .max = 3600000}, /* ms, on the control channel */
	{.name = "cpus",
	 .kind = OPTION_NUMBER,
	 .min = 1,
	 .max = BOOT_CPUS_MAX,
	 .number = BOOT_CPUS_MAX},
};

static struct option *find_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!strcmp(options[i].name, name))
			return &options[i];
	}
	return NULL;
}

static void set_number(struct option *option, const char *value)
{
	u64 number;

	if (!value || string_to_u64(value, strlen(value), &number) || number < option->min ||
	    number > option->max)
		log_error("command line: %s=%s: not a number from %lu to %lu; staying at %lu",
			  option->name, value ? value : "", option->min, option->max,
			  option->number);
	else
		option->number = number;
}

static bool option_takes(const struct option *option, const char *value)
{
	size_t len = strlen(value);

	for (const char *at = option->values;; at++) {
		const char *end = at;

		while (*end && *end != '|')
			end++;
		if ((*at >= 'A' && *at <= 'Z') || string_is(at, (size_t)(end - at), value))
			return len > 0;
		at = end;
		if (!*at)
			return false;
	}
}

static void set_text(struct option *option, const char *value)
{
	if (option_takes(option, value)) {
		string_copy(option->text, sizeof(option->text), value);
		return;
	}
	if (option->safe)
		string_copy(option->text, sizeof(option->text), option->safe);
	log_error("command line: %s=%s: not %s; %s", option->name, value, option->values,
		  option->safe ? option->safe : "the value stays");
}

static void set_option(struct option *option, const char *value)
{
	if (option->kind == OPTION_NUMBER)
		set_number(option, value);
	else
		set_text(option, value ? value : "");
}

void options_parse(const char *line)
{
	struct word word;

	for (bool first = true; word_next(&line, &word); first = false) {
		struct option *option = find_option(word.text);

		if (word.unclosed)
			log_warn("command line: %s: its quote is never closed", word.text);
		if (word.cut)
			log_warn("command line: %s: longer than %u characters: cut", word.text,
				 WORD_MAX - 1);
		if (option)
			set_option(option, word.value);
		else if (!first || word.value) /* QEMU puts the image's name first */
			log_warn("command line: %s: unknown option, ignored (docs/boot.md lists "
				 "them)",
				 word.text);
	}
}

const char *boot_option_text(const char *name)
{
	const struct option *option = find_option(name);

	CHECK(option && option->kind == OPTION_TEXT);
	return option->text;
}

u64 boot_option_number(const char *name)
{
	const struct option *option = find_option(name);

	CHECK(option && option->kind == OPTION_NUMBER);
	return option->number;
}

bool boot_option_view(unsigned place, struct boot_option_view *out)
{
	const struct option *option = &options[MIN(place, ARRAY_SIZE(options) - 1)];

	*out = (struct boot_option_view){
		.name = option->name,
		.text = option->kind == OPTION_TEXT ? option->text : NULL,
		.number = option->number,
	};
	return place < ARRAY_SIZE(options);
}
