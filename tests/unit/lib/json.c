/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c: the writer (JSON-1, JSON-2) and the reader of requests.
 */
#include "sim/sim.h"
#include <string.h>
#include <lib/json.h>

static char text[256];
static struct json json;

static int start(void **state)
{
	json_init(&json, text, sizeof(text));
	return 0;
}

static void objects_and_lists_have_their_commas(void **state)
{
	json_open(&json, '{');
	json_add_u64(&json, "a", ~0ull);
	json_add_s64(&json, "b", -1);
	json_add_bool(&json, "c", true);
	json_key(&json, "d");
	json_open(&json, '[');
	json_u64(&json, 1);
	json_string(&json, "x");
	json_open(&json, '{');
	json_close(&json, '}');
	json_close(&json, ']');
	json_key(&json, "e");
	json_open(&json, '{');
	json_add_string(&json, "f", "");
	json_close(&json, '}');
	json_close(&json, '}');
	assert_string_equal(text, "{\"a\":18446744073709551615,\"b\":-1,\"c\":true,"
				  "\"d\":[1,\"x\",{}],\"e\":{\"f\":\"\"}}");
	assert_int_equal(json.len, strlen(text));
}

/* JSON-2. */
static void every_byte_of_a_string_is_escaped_if_need_be(void **state)
{
	json_string(&json, "a\"b\\c\n\x01\x7f\xc3\xa9");
	assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\\u00c3\\u00a9\"");
}

/* JSON-1. */
static void what_does_not_fit_is_left_out(void **state)
{
	struct json_mark mark;

	json_init(&json, text, 16);
	json_open(&json, '{');
	json_add_u64(&json, "a", 1);
	mark = json_mark(&json);
	json_add_string(&json, "b", "0123456789");
	assert_true(json.cut);
	assert_true(strlen(text) < 16);
	json_rewind(&json, mark);
	assert_false(json.cut);
	json_close(&json, '}');
	assert_string_equal(text, "{\"a\":1}");
}

static void a_person_gets_a_line_for_each_member(void **state)
{
	json.lines = true;
	json_open(&json, '{');
	json_add_u64(&json, "a", 1);
	json_key(&json, "b");
	json_open(&json, '{');
	json_add_u64(&json, "c", 2);
	json_add_u64(&json, "d", 3);
	json_close(&json, '}');
	json_close(&json, '}');
	assert_string_equal(text, "a 1\nb {\"c\":2,\"d\":3}");
}

static struct json_request request;

static bool parse(const char *line)
{
	static char copy[600];
	size_t len = strlen(line);

	memcpy(copy, line, len + 1);
	return json_parse_request(copy, len, &request);
}

static void is_request(const char *line, u64 id, const char *words)
{
	char joined[200] = "";

	assert_true(parse(line));
	assert_null(request.error);
	assert_int_equal(request.id, id);
	for (unsigned i = 0; i < request.count; i++) {
		strcat(joined, i ? "|" : "");
		strcat(joined, request.word[i]);
	}
	assert_string_equal(joined, words);
}

static void is_refused(const char *line, u64 id, const char *error)
{
	assert_false(parse(line));
	assert_int_equal(request.id, id);
	assert_string_equal(request.error, error);
}

static void a_request_is_an_object_or_words(void **state)
{
	is_request("stats", 0, "stats");
	is_request("  vm  one\tpause ", 0, "vm|one|pause");
	is_request("{\"id\":7,\"cmd\":\"stats\",\"args\":[\"vm.one.*\"]}", 7, "stats|vm.one.*");
	is_request(" { \"args\" : [ 1 , true,\"x y\" ,-2.5e3 ] , \"cmd\" : \"a\" } ", 0,
		   "a|1|true|x y|-2.5e3");
	is_request("{\"cmd\":\"a\",\"args\":[]}", 0, "a");
	is_request("{\"cmd\":\"\\u0041\\n\\\"\\\\\",\"args\":[\"\"]}", 0, "A\n\"\\|");
	is_request("{\"cmd\":\"a\",\"args\":[1,2,3,4,5,6,7,8]}", 0, "a|1|2|3|4|5|6|7|8");
}

static void what_is_no_request_is_refused_with_its_id(void **state)
{
	is_refused("", 0, "no command");
	is_refused("{}", 0, "\"cmd\" is missing");
	is_refused("{\"id\":3}", 3, "\"cmd\" is missing");
	is_refused("{\"id\":3,\"cmd\":1}", 3, "\"cmd\" is not a string");
	is_refused("{\"id\":-3,\"cmd\":\"a\"}", 0, "\"id\" is not a number");
	is_refused("{\"id\":99999999999999999999,\"cmd\":\"a\"}", 0, "\"id\" is not a number");
	is_refused("{\"cmd\":\"a\",\"what\":1}", 0, "an unknown member; there are id, cmd, args");
	is_refused("{\"cmd\":\"a\",\"args\":{}}", 0, "\"args\" is not a list");
	is_refused("{\"cmd\":\"a\",\"args\":[[]]}", 0, "a value is missing");
	is_refused("{\"cmd\":\"a\",\"args\":[1 2]}", 0, "a list has no end");
	is_refused("{\"cmd\":\"a\",\"args\":[1", 0, "a list has no end");
	is_refused("{\"cmd\":\"a\",\"args\":[1],\"args\":[2]}", 0, "\"args\" is not a list");
	is_refused("{\"cmd\":\"a", 0, "a string has no end");
	is_refused("{\"cmd\":\"\\", 0, "a string has no end");
	is_refused("{\"cmd\":\"\\x\"}", 0, "an unknown escape in a string");
	is_refused("{\"cmd\":\"\\u12\"}", 0, "\\u without four hexadecimal digits");
	is_refused("{\"cmd\":\"\\u0000\"}", 0, "a string is not ASCII");
	is_refused("{\"cmd\":\"\xff\"}", 0, "a string is not ASCII");
	is_refused("\xff\xfe", 0, "the request is not ASCII");
	is_refused("{\"cmd\":\"a\"} x", 0, "text behind the object");
	is_refused("{\"cmd\":\"a\"", 0, "an object has no end");
	is_refused("{\"cmd\" \"a\"}", 0, "a member has no value");
	is_refused("{cmd:1}", 0, "a member has no name");
	is_refused("a 1 2 3 4 5 6 7 8 9", 0, "more than 8 arguments");
	is_refused("{\"cmd\":\"a\",\"args\":[1,2,3,4,5,6,7,8,9]}", 0, "more than 8 arguments");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(objects_and_lists_have_their_commas, start),
		cmocka_unit_test_setup(every_byte_of_a_string_is_escaped_if_need_be, start),
		cmocka_unit_test_setup(what_does_not_fit_is_left_out, start),
		cmocka_unit_test_setup(a_person_gets_a_line_for_each_member, start),
		cmocka_unit_test(a_request_is_an_object_or_words),
		cmocka_unit_test(what_is_no_request_is_refused_with_its_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
