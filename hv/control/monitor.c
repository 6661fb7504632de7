/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.c: a line editor for commands, and their results as lines of text.
 *
 *     samepage> stats vm.one.pages.*
 *     vm.one.pages.private 8107
 *     ...
 *
 * A line is at most MONITOR_LINE characters; backspace takes one back. What is typed while a
 * command runs is dropped.
 */
#include "hv/control/monitor.h"
#include <hv/control.h>
#include <lib/log.h>
#include <lib/string.h>
#include "hv/control/command.h"

#define MONITOR_LINE 120
#define BACKSPACE    8
#define DELETE	     127

/* typed: a line waits for its turn; running: its command has begun */
static struct {
	char line[MONITOR_LINE + 1];
	size_t used;
	bool typed, running;
	struct json_request request;
	struct command_call call;
	char text[2048];
} monitor;

static void print(const char *text)
{
	console_write(text, strlen(text));
}

static void prompt(void)
{
	monitor.used = 0;
	monitor.typed = monitor.running = false;
	print("samepage> ");
}

void monitor_open(void)
{
	print("\nmonitor: help lists the commands; Ctrl-] and a digit goes to a guest\n");
	if (!monitor.typed)
		prompt();
}

static void take_back(void)
{
	if (monitor.used) {
		monitor.used--;
		print("\b \b");
	}
}

void monitor_type(char c)
{
	if (monitor.typed)
		return;
	if (c == '\r' || c == '\n') {
		print("\n");
		monitor.typed = true;
	} else if (c == BACKSPACE || c == DELETE) {
		take_back();
	} else if (c >= ' ' && c <= '~' && monitor.used < MONITOR_LINE) {
		monitor.line[monitor.used++] = c;
		console_write(&c, 1);
	}
}

static void show_error(const char *error)
{
	print(error);
	print("\n");
	prompt();
}

static void begin(void)
{
	if (!monitor.used)
		prompt();
	else if (!json_parse_request(monitor.line, monitor.used, &monitor.request))
		show_error(monitor.request.error);
	else if (!command_begin(&monitor.call, &monitor.request))
		show_error(monitor.call.error);
	else
		monitor.running = true;
}

static void step(void)
{
	enum command_step result;
	struct json json;

	json_init(&json, monitor.text, sizeof(monitor.text) - 1);
	json.lines = true;
	json_open(&json, '{');
	result = command_step(&monitor.call, &json);
	if (json.len && result != COMMAND_FAILED) {
		print(json.text);
		print("\n");
	}
	if (result == COMMAND_MORE || result == COMMAND_LATER)
		return;
	command_end(&monitor.call);
	if (result == COMMAND_FAILED)
		show_error(monitor.call.error);
	else
		prompt();
}

/* One command at a time: it waits for one of the channel's. */
bool monitor_poll(void)
{
	if (!monitor.typed)
		return false;
	if (monitor.running)
		step();
	else if (!command_is_running())
		begin();
	return monitor.typed;
}
