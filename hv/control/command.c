/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c: the table of commands, and those that only read it.
 */
#include "hv/control/command.h"
#include <lib/format.h>
#include <lib/string.h>

static enum command_step step_help(struct command_call *call);

static enum command_step step_stats(struct command_call *call)
{
	if (!call->at++)
		stat_begin(&call->stat, call->word, call->words);
	return stat_write(&call->stat, call->json) ? COMMAND_MORE : COMMAND_DONE;
}

static const struct command commands[] = {
	{"trace", TRACE_USAGE, "classes of events that are recorded, and filters", 0, 2,
	 command_trace},
	{"help", "[COMMAND]", "the commands", 0, 1, step_help},
	{"stats", "[PATTERN ...]", "figures by name; * stands for any text", 0, JSON_ARGS,
	 step_stats},
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void help_add(struct json *json, const struct command *command)
{
	char name[80];

	format_text(name, sizeof(name), "%s%s%s", command->name, *command->args ? " " : "",
		    command->args);
	json_add_string(json, name, command->text);
}

static enum command_step step_help(struct command_call *call)
{
	const struct command *one = call->words ? command_find(call->word[0]) : NULL;

	if (call->words && !one)
		return command_fail(call, "%.32s: no such command", call->word[0]);
	if (one)
		help_add(call->json, one);
	for (; !one && call->at < ARRAY_SIZE(commands); call->at++) {
		struct json_mark mark = json_mark(call->json);

		help_add(call->json, &commands[call->at]);
		if (call->json->cut) {
			json_rewind(call->json, mark);
			return COMMAND_MORE;
		}
	}
	return COMMAND_DONE;
}

enum command_step command_fail(struct command_call *call, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_text_v(call->text, sizeof(call->text), format, arguments);
	va_end(arguments);
	call->error = call->text;
	return COMMAND_FAILED;
}

bool command_begin(struct command_call *call, const struct json_request *request)
{
	const struct command *command = command_find(request->word[0]);
	unsigned words = request->count - 1;

	call->command = command;
	call->word = &request->word[1];
	call->words = words;
	call->at = 0;
	call->error = NULL;
	if (!command)
		command_fail(call, "%.32s: no such command; help lists them", request->word[0]);
	else if (words < command->least || words > command->most)
		command_fail(call, "usage: %s %s", command->name, command->args);
	return !call->error;
}

enum command_step command_step(struct command_call *call, struct json *json)
{
	call->json = json;
	return call->command->step(call);
}
