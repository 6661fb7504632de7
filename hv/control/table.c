/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c: the table of commands, and the short ones. docs/control.md describes them.
 */
#include <lib/error.h>
#include <lib/format.h>
#include <lib/log.h>
#include <lib/string.h>
#include "hv/control/commands.h"

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
	for (; !one && call->at < command_count; call->at++) {
		struct json_mark mark = json_mark(call->json);

		help_add(call->json, &command_table[call->at]);
		if (call->json->cut) {
			json_rewind(call->json, mark);
			return COMMAND_MORE;
		}
	}
	return COMMAND_DONE;
}

static enum command_step command_of_stat(enum stat_progress progress)
{
	return progress == STAT_DONE   ? COMMAND_DONE
	       : progress == STAT_MORE ? COMMAND_MORE
				       : COMMAND_LATER;
}

static enum command_step step_stats(struct command_call *call)
{
	if (!call->at++)
		stat_begin(&call->stat, call->word, call->words);
	return command_of_stat(stat_write(&call->stat, call->json));
}

/* log LEVEL,ROOM=LEVEL: as the word of the command line. */
static enum command_step step_log(struct command_call *call)
{
	const char *bad;
	size_t len;

	if (log_set_levels(call->word[0], &bad, &len) != 0)
		return command_fail(call, "log: %.*s: no such level", (int)MIN(len, 32ul), bad);
	json_add_string(call->json, "log", call->word[0]);
	return COMMAND_DONE;
}

const struct command command_table[] = {
	{"help", "[COMMAND]", "the commands", 0, 1, step_help},
	{"stats", "[PATTERN ...]", "figures by name; * stands for any text", 0, JSON_ARGS,
	 step_stats},
	{"vms", "", "the VMs and their states", 0, 0, step_vms},
	{"vm", "NAME pause|resume|kill|dump", "a VM: its vCPUs stop, go on, end; their registers",
	 2, 2, step_vm},
	{"balloon", "VM [PAGES]", "a VM's balloon: pages to give up, pages given up, statistics", 1,
	 2, step_balloon},
	{"page", "VM GFN", "a page: state, frame, sharers, merging, what subscribers hold", 2, 2,
	 step_page},
	{"policy", "[NAME [AXIS=VALUE ...] [reenter|inplace] [as_read|as_write]]",
	 "the notifier's policy and the modes of faults, of all VMs", 0, JSON_ARGS, step_policy},
	{"merge", "[engine NAME | pace MS | secure yes|no | unmerge | remerge]",
	 "merging, and how it is done", 0, 2, step_merge},
	{"reclaim", "VM PAGES", "cold pages of a VM give up their frames", 2, 2, step_reclaim},
	{"audit", "", "all records of memory are compared; every CPU waits", 0, 0, step_audit},
	{"trace", TRACE_USAGE, "classes of events that are recorded, and filters", 0, 2,
	 step_trace},
	{"log", "LEVEL[,ROOM=LEVEL ...]", "what is logged from now on", 1, 1, step_log},
};
const unsigned command_count = ARRAY_SIZE(command_table);
