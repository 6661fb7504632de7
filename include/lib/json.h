/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: a writer of JSON text into a buffer of the caller's, and a reader of small requests.
 *
 *     json_init(&json, text, sizeof(text));
 *     json_open(&json, '{');
 *     json_key(&json, "frames");
 *     json_u64(&json, 12);               {"frames":12}
 *     json_close(&json, '}');
 *
 * Commas are the writer's. What does not fit is left out and sets `cut`; json_mark() and
 * json_rewind() take a part back, so that a caller can go on in the next buffer. Any context.
 *
 * Invariants:
 * JSON-1  The text is terminated and never longer than the buffer.
 * JSON-2  Strings of any bytes become valid JSON: controls, quotes, backslashes and bytes above 7Eh
 *         are escaped.
 */
#ifndef SAMEPAGE_LIB_JSON_H
#define SAMEPAGE_LIB_JSON_H

#include <lib/types.h>

/* lines: for people: the members of the outermost object are lines `name value`. */
struct json {
	char *text;
	size_t size, len;
	unsigned depth;
	bool cut, lines;
};

struct json_mark {
	size_t len;
	unsigned depth;
};

/* size is at least 1. */
void json_init(struct json *json, char *text, size_t size);

/* '{' or '['; the caller closes what it opens, in order. */
void json_open(struct json *json, char bracket);
void json_close(struct json *json, char bracket);

/* The name of the next value of an object. */
void json_key(struct json *json, const char *name);

void json_u64(struct json *json, u64 value);
void json_s64(struct json *json, s64 value);
void json_string(struct json *json, const char *value);

/* name and value. */
void json_add_u64(struct json *json, const char *name, u64 value);
void json_add_s64(struct json *json, const char *name, s64 value);
void json_add_bool(struct json *json, const char *name, bool value);
void json_add_string(struct json *json, const char *name, const char *value);

/* Where the text ends; rewind takes back what came after, and clears `cut`. */
struct json_mark json_mark(const struct json *json);
void json_rewind(struct json *json, struct json_mark mark);

#define JSON_ARGS 8

/*
 * struct json_request: a request, taken apart.
 *
 *     {"id":7,"cmd":"vm","args":["one","pause"]}     id 7, words vm, one, pause
 *     vm one pause                                   id 0, the same words
 *
 * word		[0] the command; NUL-terminated, in the storage of the line
 * error	why it is none; NULL
 */
struct json_request {
	u64 id;
	unsigned count;
	const char *word[1 + JSON_ARGS];
	const char *error;
};

/*
 * Takes a line of `len` bytes apart, in place; the byte behind it is written, too. False: it is no
 * request; the id is the request's where it was read before the error, else 0. Arguments are
 * strings, numbers, true or false. Bounded by len.
 */
bool json_parse_request(char *line, size_t len, struct json_request *out);

#endif
