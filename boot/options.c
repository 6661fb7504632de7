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
 * A number's range is [min, max]. `text`, `number`: the default, then what the command line says.
 */
static struct option {
	const char *name;
	enum option_kind kind;
	u64 min, max;
	u64 number;
	char text[WORD_MAX];
} options[] = {
	{.name = "log", .kind = OPTION_TEXT},
	{.name = "apic", .kind = OPTION_TEXT, .text = "x2apic"},
	{.name = "notifier", .kind = OPTION_TEXT},    /* a policy; else Kconfig's */
	{.name = "fault_retry", .kind = OPTION_TEXT}, /* reenter or inplace; else Kconfig's */
	{.name = "merge", .kind = OPTION_TEXT},	      /* an engine, or off; else Kconfig's */
	{.name = "merge_secure", .kind = OPTION_TEXT, .text = "no"},
	{.name = "merge_cap", .kind = OPTION_NUMBER, .min = 2, .max = 1u << 30, .number = 256},
	{.name = "merge_split", .kind = OPTION_NUMBER, .max = 512, .number = 64},
	{.name = "merge_ms", .kind = OPTION_NUMBER, .min = 1, .max = 60000, .number = 20},
	{.name = "merge_share", .kind = OPTION_NUMBER, .min = 1, .max = 100, .number = 20},
	{.name = "reclaim", .kind = OPTION_TEXT, .text = "yes"},
	{.name = "fail_alloc", .kind = OPTION_NUMBER, .max = 1u << 30},
	{.name = "fail_seed", .kind = OPTION_NUMBER, .max = ~0ull, .number = 1},
	{.name = "seed", .kind = OPTION_NUMBER, .max = ~0ull}, /* of arch_random(); 0: none */
	{.name = "fail_from", .kind = OPTION_TEXT, .text = "run"},
	{.name = "selftest", .kind = OPTION_TEXT},
	{.name = "selftest-cpu", .kind = OPTION_NUMBER, .max = BOOT_CPUS_MAX - 1},
	{.name = "console", .kind = OPTION_NUMBER, .max = BOOT_MODULES_MAX},
	{.name = "progress", .kind = OPTION_NUMBER, .max = 3600},
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

static void set_option(struct option *option, const char *value)
{
	if (option->kind == OPTION_NUMBER)
		set_number(option, value);
	else
		string_copy(option->text, sizeof(option->text), value ? value : "");
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
