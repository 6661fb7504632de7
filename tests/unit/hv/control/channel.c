/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c: requests in, replies out, a reader that stalls (CONTROL-1, CONTROL-2).
 *
 * The commands are stand-ins: `one` answers at once, `long` in three parts, `later` when it is let,
 * `bad` fails.
 */
#include "sim/sim.h"
#include <arch/channel.h>
#include <hv/control.h>
#include <hv/stat.h>
#include "hv/control/command.h"
#include "hv/control/events.h"
#include "hv/control/line.h"
#include "hv/control/monitor.h"

struct stat_channel stat_channel;

static const char *input;
static char output[1 << 18];
static size_t written, room;
static bool let, running;
static unsigned step_count;

bool arch_channel_init(void)
{
	return true;
}

int arch_channel_getc(void)
{
	return *input ? (u8)*input++ : -1;
}

bool arch_channel_putc(u8 byte)
{
	if (!room || written == sizeof(output) - 1)
		return false;
	room--;
	output[written++] = (char)byte;
	return true;
}

bool arch_channel_is_drained(void)
{
	return true;
}

bool command_begin(struct command_call *call, const struct json_request *request)
{
	call->word = request->word;
	call->at = 0;
	call->error = "no such command";
	running = strcmp(request->word[0], "unknown") != 0;
	return running;
}

void command_end(struct command_call *call)
{
	running = false;
}

bool command_is_running(void)
{
	return running;
}

bool monitor_poll(void)
{
	return false;
}

/* Events of the machine's end, in three lines. */
static unsigned end_lines;

void events_start(void)
{
	end_lines = 0;
}

bool events_step(u64 now)
{
	return false;
}

static void send_event(const char *name)
{
	struct json json;

	line_begin(&json);
	json_add_string(&json, "event", name);
	line_send(&json);
}

bool events_end_figures(void)
{
	send_event("end");
	return ++end_lines < 3;
}

void events_end(const struct control_verdict *verdict)
{
	send_event(verdict->good ? "good" : "bad");
}

enum command_step command_step(struct command_call *call, struct json *json)
{
	const char *name = call->word[0];

	step_count++;
	if (!strcmp(name, "bad")) {
		call->error = "it is bad";
		return COMMAND_FAILED;
	}
	if (!strcmp(name, "later") && !let)
		return COMMAND_LATER;
	json_add_u64(json, "at", call->at++);
	return !strcmp(name, "long") && call->at < 3 ? COMMAND_MORE : COMMAND_DONE;
}

/* Time goes on by `ms`, with a poll in each. */
static void poll_for(unsigned ms)
{
	while (ms--) {
		sim_ticks += arch_ticks_per_second() / 1000;
		(void)control_poll(true);
	}
}

/* The machine waits: time goes on. */
static void wait_a_moment(void)
{
	sim_ticks += arch_ticks_per_second() / 10000;
}

/* Acknowledgements are empty lines. */
static void without_empty_lines(void)
{
	char *to = output;

	for (char *at = output; *at; at++)
		if (*at != '\n' || (to > output && to[-1] != '\n'))
			*to++ = *at;
	*to = '\0';
}

static int start(void **state)
{
	sim_init(2);
	sim_on_relax = wait_a_moment;
	stat_channel = (struct stat_channel){0};
	input = "";
	written = step_count = 0;
	room = sizeof(output);
	let = true;
	running = false;
	memset(output, 0, sizeof(output));
	control_start();
	poll_for(20);
	written = 0;
	memset(output, 0, sizeof(output));
	return 0;
}

static void answers(const char *request, const char *reply)
{
	written = 0;
	memset(output, 0, sizeof(output));
	input = request;
	poll_for(100);
	without_empty_lines();
	assert_string_equal(output, reply);
}

static void a_request_has_one_reply(void **state)
{
	answers("{\"id\":7,\"cmd\":\"one\"}\n",
		"{\"v\":1,\"id\":7,\"ok\":true,\"result\":{\"at\":0}}\n");
	answers("one\r\n\r\n", "{\"v\":1,\"id\":0,\"ok\":true,\"result\":{\"at\":0}}\n");
}

static void a_long_result_comes_in_parts(void **state)
{
	answers("{\"id\":1,\"cmd\":\"long\"}\n",
		"{\"v\":1,\"id\":1,\"ok\":true,\"result\":{\"at\":0},\"more\":true}\n"
		"{\"v\":1,\"id\":1,\"ok\":true,\"result\":{\"at\":1},\"more\":true}\n"
		"{\"v\":1,\"id\":1,\"ok\":true,\"result\":{\"at\":2}}\n");
}

/* CONTROL-2. */
static void what_is_no_request_gets_an_error_and_the_next_one_its_reply(void **state)
{
	answers("{\"id\":3,\"cmd\":[]}\none\n",
		"{\"v\":1,\"id\":3,\"ok\":false,\"error\":\"\\\"cmd\\\" is not a string\"}\n"
		"{\"v\":1,\"id\":0,\"ok\":true,\"result\":{\"at\":0}}\n");
	answers("unknown\nbad\n", "{\"v\":1,\"id\":0,\"ok\":false,\"error\":\"no such command\"}\n"
				  "{\"v\":1,\"id\":0,\"ok\":false,\"error\":\"it is bad\"}\n");
}

/* CONTROL-2: a line of any length. */
static void a_request_that_is_too_long_gets_one_error(void **state)
{
	static char line[20000];

	memset(line, 'x', sizeof(line) - 6);
	strcpy(line + sizeof(line) - 6, "\none\n");
	answers(line, "{\"v\":1,\"id\":0,\"ok\":false,\"error\":\"a request has at most 512 "
		      "bytes\"}\n{\"v\":1,\"id\":0,\"ok\":true,\"result\":{\"at\":0}}\n");
}

static void each_sixteen_bytes_are_acknowledged(void **state)
{
	input = "one             x";
	poll_for(20);
	assert_string_equal(output, "\n");
	input = " y z\n";
	poll_for(20);
	assert_string_equal(output, "\n{\"v\":1,\"id\":0,\"ok\":true,\"result\":{\"at\":0}}\n");
}

static void a_request_waits_while_another_one_runs(void **state)
{
	let = false;
	answers("later\none\n", "");
	assert_string_equal(input, "one\n");
	let = true;
	answers(input, "{\"v\":1,\"id\":0,\"ok\":true,\"result\":{\"at\":0}}\n"
		       "{\"v\":1,\"id\":0,\"ok\":true,\"result\":{\"at\":0}}\n");
}

static void a_poll_is_bounded_and_rare_while_nothing_comes(void **state)
{
	u64 now;

	sim_ticks += arch_ticks_per_second();
	now = arch_ticks();
	(void)control_poll(true);
	assert_true(control_alarm() > now + arch_ticks_per_second() / 200);
	sim_set_cpu(1);
	assert_true(control_alarm() == TICK_NEVER);
	sim_set_cpu(0);
}

static void a_poll_takes_a_part_of_an_endless_request(void **state)
{
	static char endless[4 * LINE_POLL_BYTES];

	memset(endless, 'x', sizeof(endless) - 1);
	input = endless;
	poll_for(1);
	assert_int_equal(stat_channel.bytes_in, LINE_POLL_BYTES);
}

/* A poll after the one that took the half waits for nothing. */
static void a_sender_that_stops_halfway_is_waited_for_once(void **state)
{
	u64 began;

	input = "half of a requ";
	began = arch_ticks();
	poll_for(1);
	assert_true(arch_ticks() - began > arch_ticks_per_second() / 1000);
	began = arch_ticks();
	poll_for(1);
	assert_true(arch_ticks() - began <= arch_ticks_per_second() / 1000 + 100);
}

/* CONTROL-1. */
static void a_stalled_reader_loses_lines_and_gets_their_number(void **state)
{
	struct json json;

	room = 0;
	input = "long\none\none\n";
	poll_for(5000);
	step_count = 0;
	for (unsigned i = 0; i < 3; i++) {
		line_begin(&json);
		json_add_u64(&json, "n", i);
		line_send(&json);
	}
	assert_true(stat_channel.dropped >= 3);
	input = "";
	room = sizeof(output);
	poll_for(3000);
	without_empty_lines();
	assert_non_null(strstr(output, "{\"v\":1,\"event\":\"lost\",\"lines\":"));
	answers("one\n", "{\"v\":1,\"id\":0,\"ok\":true,\"result\":{\"at\":0}}\n");
}

/* CONTROL-1: the machine's end waits for a reader that reads, not for one that does not. */
static void the_end_waits_for_a_reader_a_second_at_most(void **state)
{
	const struct control_verdict good = {.good = true};
	u64 began;

	control_end_figures();
	control_end(&good);
	without_empty_lines();
	assert_int_equal(end_lines, 3);
	assert_non_null(strstr(output, "\"event\":\"good\"}\n"));
	room = 0;
	began = arch_ticks();
	control_end_figures();
	control_end(&good);
	assert_true(arch_ticks() - began < 2 * arch_ticks_per_second());
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_has_one_reply),
		TEST(a_long_result_comes_in_parts),
		TEST(what_is_no_request_gets_an_error_and_the_next_one_its_reply),
		TEST(a_request_that_is_too_long_gets_one_error),
		TEST(each_sixteen_bytes_are_acknowledged),
		TEST(a_request_waits_while_another_one_runs),
		TEST(a_poll_is_bounded_and_rare_while_nothing_comes),
		TEST(a_poll_takes_a_part_of_an_endless_request),
		TEST(a_sender_that_stops_halfway_is_waited_for_once),
		TEST(a_stalled_reader_loses_lines_and_gets_their_number),
		TEST(the_end_waits_for_a_reader_a_second_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
