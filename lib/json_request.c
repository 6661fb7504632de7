/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_request.c: requests taken apart, in place.
 *
 * A request is one object of at most three members, without nesting but for the list of arguments,
 * so the parser is a walk from left to right: no stack, no allocation. A string is written back
 * over its own text, which is never shorter.
 */
#include <lib/json.h>
#include <lib/string.h>

/* [at, end) is left to read. A word's terminator is written behind it, at `end` at the latest. */
struct reader {
	char *at, *end;
	struct json_request *out;
};

static bool request_fail(struct reader *r, const char *error)
{
	if (!r->out->error)
		r->out->error = error;
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && is_blank(*r->at))
		r->at++;
}

/* Takes `c` if it comes next. */
static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX; nothing of the tree has a name beyond ASCII. */
static bool take_unicode(struct reader *r, char *out)
{
	unsigned code = 0;

	for (unsigned i = 0; i < 4; i++) {
		int digit = r->at < r->end ? hex_digit(*r->at++) : -1;

		if (digit < 0)
			return request_fail(r, "\\u without four hexadecimal digits");
		code = code << 4 | (unsigned)digit;
	}
	if (code == 0 || code > '~')
		return request_fail(r, "a string is not ASCII");
	*out = (char)code;
	return true;
}

static bool take_escape(struct reader *r, char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	char c;

	if (r->at == r->end)
		return request_fail(r, "a string has no end");
	c = *r->at++;
	if (c == 'u')
		return take_unicode(r, out);
	found = memchr(from, c, sizeof(from) - 1);
	if (!found)
		return request_fail(r, "an unknown escape in a string");
	*out = to[found - from];
	return true;
}

/* A string, behind its first quote. */
static bool take_string(struct reader *r, const char **out)
{
	char *to = r->at;

	*out = to;
	while (r->at < r->end) {
		char c = *r->at++;

		if (c == '"') {
			*to = '\0';
			return true;
		}
		if ((u8)c < ' ' || (u8)c > '~')
			return request_fail(r, "a string is not ASCII");
		if (c == '\\' && !take_escape(r, &c))
			return false;
		*to++ = c;
	}
	return request_fail(r, "a string has no end");
}

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '+';
}

/*
 * A number, true or false, as a word. It moves by one place to the left, over the character before
 * it, which has been read: so its terminator replaces nothing that is left to read.
 */
static bool take_plain(struct reader *r, const char **out)
{
	char *start = r->at;
	size_t len;

	while (r->at < r->end && is_plain(*r->at))
		r->at++;
	len = (size_t)(r->at - start);
	if (!len)
		return request_fail(r, "a value is missing");
	memmove(start - 1, start, len);
	start[len - 1] = '\0';
	*out = start - 1;
	return true;
}

static bool take_id(struct reader *r)
{
	const char *text;

	skip_blanks(r);
	if (!take_plain(r, &text))
		return false;
	if (string_to_u64(text, strlen(text), &r->out->id) != 0)
		return request_fail(r, "\"id\" is not a number");
	return true;
}

static bool take_cmd(struct reader *r)
{
	if (!take(r, '"'))
		return request_fail(r, "\"cmd\" is not a string");
	return take_string(r, &r->out->word[0]);
}

static bool take_arg(struct reader *r)
{
	const char **word = &r->out->word[1 + r->out->count];

	if (r->out->count == JSON_ARGS)
		return request_fail(r, "more than 8 arguments");
	r->out->count++;
	return take(r, '"') ? take_string(r, word) : take_plain(r, word);
}

static bool take_args(struct reader *r)
{
	if (!take(r, '[') || r->out->count)
		return request_fail(r, "\"args\" is not a list");
	if (take(r, ']'))
		return true;
	do
		if (!take_arg(r))
			return false;
	while (take(r, ','));
	return take(r, ']') ? true : request_fail(r, "a list has no end");
}

static bool take_member(struct reader *r)
{
	const char *name;

	if (!take(r, '"'))
		return request_fail(r, "a member has no name");
	if (!take_string(r, &name))
		return false;
	if (!take(r, ':'))
		return request_fail(r, "a member has no value");
	if (!strcmp(name, "id"))
		return take_id(r);
	if (!strcmp(name, "cmd"))
		return take_cmd(r);
	if (!strcmp(name, "args"))
		return take_args(r);
	return request_fail(r, "an unknown member; there are id, cmd, args");
}

static bool take_object(struct reader *r)
{
	if (take(r, '}'))
		return request_fail(r, "\"cmd\" is missing");
	do
		if (!take_member(r))
			return false;
	while (take(r, ','));
	if (!take(r, '}'))
		return request_fail(r, "an object has no end");
	skip_blanks(r);
	if (r->at < r->end)
		return request_fail(r, "text behind the object");
	return r->out->word[0] ? true : request_fail(r, "\"cmd\" is missing");
}

static bool take_words(struct reader *r)
{
	for (skip_blanks(r); r->at < r->end; skip_blanks(r)) {
		if (r->out->count == 1 + JSON_ARGS)
			return request_fail(r, "more than 8 arguments");
		r->out->word[r->out->count++] = r->at;
		while (r->at < r->end && !is_blank(*r->at)) {
			if ((u8)*r->at < ' ' || (u8)*r->at > '~')
				return request_fail(r, "the request is not ASCII");
			r->at++;
		}
		if (r->at < r->end)
			*r->at++ = '\0';
	}
	*r->end = '\0';
	return r->out->count ? true : request_fail(r, "no command");
}

bool json_parse_request(char *line, size_t len, struct json_request *out)
{
	struct reader reader = {line, line + len, out};
	bool good;

	*out = (struct json_request){0};
	if (!take(&reader, '{'))
		return take_words(&reader);
	good = take_object(&reader);
	out->count += good; /* the arguments, and the command */
	return good;
}
