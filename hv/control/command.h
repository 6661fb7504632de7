/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h: the table of commands, for the channel and for the monitor at the keyboard.
 *
 * A command writes members of its result, an object, in steps: each step is bounded in time and
 * fills at most one buffer. So no reply has to fit into memory as a whole, and a reader that is
 * slow costs nothing but its reply.
 */
#ifndef SAMEPAGE_HV_CONTROL_COMMAND_H
#define SAMEPAGE_HV_CONTROL_COMMAND_H

#include <hv/stat.h>
#include <lib/json.h>

enum command_step {
	COMMAND_DONE,
	COMMAND_MORE,  /* the buffer is full: go on in the next one */
	COMMAND_LATER, /* goes on with the next step; what was written stands */
	COMMAND_FAILED,
};

/*
 * struct command_call: a command that runs.
 *
 * at		how far it has come; 0 at first
 * error	of COMMAND_FAILED
 */
struct command_call {
	const struct command *command;
	const char *const *word;
	unsigned words; /* behind the command's name */
	struct json *json;
	u64 at;
	const char *error;
	char text[128]; /* room for an error */
	struct vm *vm;	/* held until command_end() */
	bool parked;	/* the other CPUs wait until then */
	u64 idle;
	struct stat_cursor stat;
};

/* args: how they are written, for help; words: the least and the most of them. */
struct command {
	const char *name, *args, *text;
	unsigned least, most;
	enum command_step (*step)(struct command_call *call);
};

/* table.c */
extern const struct command command_table[];
extern const unsigned command_count;
const struct command *command_find(const char *name);

/* Finds the command of a request; false: call->error. The request's words stay valid. */
bool command_begin(struct command_call *call, const struct json_request *request) __must_check;

/* Writes members of the result into an open object. */
enum command_step command_step(struct command_call *call, struct json *json);

/* Has a call begun that is not over? There is one at a time. */
bool command_is_running(void);

/* The call is over, or is given up: what it holds is released. */
void command_end(struct command_call *call);

/* COMMAND_FAILED with a text. */
enum command_step command_fail(struct command_call *call, const char *format, ...) __printf(2, 3);

#endif
