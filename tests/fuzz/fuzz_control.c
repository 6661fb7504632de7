/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_control.c: a request of anything: its words lie inside the line and end, it has a command or
 * an error, and what is written of it is JSON of the right length.
 */
#include <string.h>
#include <lib/json.h>
#include "fuzz.h"

#define LINE 512

static void check_words(const struct json_request *request, const char *line)
{
	fuzz_check(request->count >= 1 && request->count <= 1 + JSON_ARGS, "no words, or too many");
	for (unsigned i = 0; i < request->count; i++) {
		fuzz_check(request->word[i] >= line && request->word[i] <= line + LINE,
			   "a word outside of the line");
		fuzz_check(memchr(request->word[i], 0, LINE + 1), "a word without an end");
	}
}

static void check_writer(const char *word, size_t size)
{
	char text[64];
	struct json json;

	json_init(&json, text, MAX(MIN(size, sizeof(text)), 1ul));
	json_open(&json, '{');
	json_add_string(&json, word, word);
	fuzz_check(strlen(text) == json.len && json.len < MAX(size, 1ul), "the text has no end");
	fuzz_check(!strpbrk(text, "\n\r\x7f\xff"), "a control in the text");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct json_request request;
	char line[2 * LINE + 2] = {0};

	fuzz_init();
	size = MIN(size, (size_t)LINE);
	memcpy(line, data, size);
	if (json_parse_request(line, size, &request))
		check_words(&request, line);
	else
		fuzz_check(request.error != NULL, "refused without an error");
	if (size) {
		memcpy(line, data, size);
		line[size] = '\0';
		check_writer(line, size);
	}
	return 0;
}
