/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c: a call of a command, from its words to its end.
 */
#include "hv/control/command.h"
#include <hv/park.h>
#include <hv/vm.h>
#include <lib/format.h>
#include <lib/string.h>

static bool running; /* of CPU 0 */

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (!strcmp(command_table[i].name, name))
			return &command_table[i];
	return NULL;
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
	call->vm = NULL;
	call->parked = false;
	call->idle = 0;
	if (!command)
		command_fail(call, "%.32s: no such command; help lists them", request->word[0]);
	else if (words < command->least || words > command->most)
		command_fail(call, "usage: %s %s", command->name, command->args);
	running = !call->error;
	return running;
}

bool command_is_running(void)
{
	return running;
}

void command_end(struct command_call *call)
{
	if (call->parked)
		park_end();
	vcpu_look_end();
	if (call->vm)
		vm_release(call->vm);
	call->vm = NULL;
	running = false;
}

enum command_step command_step(struct command_call *call, struct json *json)
{
	call->json = json;
	return call->command->step(call);
}
