/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c: the writer of JSON text (RFC 8259).
 */
#include <lib/json.h>
#include <lib/format.h>
#include <lib/string.h>

void json_init(struct json *json, char *text, size_t size)
{
	*json = (struct json){.text = text, .size = size};
	text[0] = '\0';
}

/* All of it, or nothing. */
static void json_write(struct json *json, const char *text, size_t len)
{
	if (json->cut || len >= json->size - json->len) {
		json->cut = true;
		return;
	}
	memcpy(json->text + json->len, text, len);
	json->len += len;
	json->text[json->len] = '\0';
}

static char json_last(const struct json *json)
{
	return json->len ? json->text[json->len - 1] : '\0';
}

/* The comma between two values, or two members. */
static void json_separate(struct json *json)
{
	if (json->len && !memchr("{[:, \n", json_last(json), 6))
		json_write(json, ",", 1);
}

void json_open(struct json *json, char bracket)
{
	json_separate(json);
	if (!json->lines || json->depth)
		json_write(json, &bracket, 1);
	json->depth++;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (!json->lines || json->depth)
		json_write(json, &bracket, 1);
}

static void json_value(struct json *json, const char *text)
{
	json_separate(json);
	json_write(json, text, strlen(text));
}

/* JSON-2. */
static void json_escape(struct json *json, u8 byte)
{
	char text[8];

	if (byte == '"' || byte == '\\')
		format_text(text, sizeof(text), "\\%c", byte);
	else if (byte < ' ' || byte > '~')
		format_text(text, sizeof(text), "\\u%04x", byte);
	else
		format_text(text, sizeof(text), "%c", byte);
	json_write(json, text, strlen(text));
}

static void json_quote(struct json *json, const char *text)
{
	json_write(json, "\"", 1);
	for (; *text && !json->cut; text++)
		json_escape(json, (u8)*text);
	json_write(json, "\"", 1);
}

void json_key(struct json *json, const char *name)
{
	if (json->lines && json->depth == 1) {
		json_write(json, json->len ? "\n" : "", json->len ? 1 : 0);
		json_write(json, name, strlen(name));
		json_write(json, " ", 1);
		return;
	}
	json_separate(json);
	json_quote(json, name);
	json_write(json, ":", 1);
}

void json_string(struct json *json, const char *value)
{
	json_separate(json);
	json_quote(json, value);
}

void json_u64(struct json *json, u64 value)
{
	char text[24];

	format_text(text, sizeof(text), "%lu", value);
	json_value(json, text);
}

void json_s64(struct json *json, s64 value)
{
	char text[24];

	format_text(text, sizeof(text), "%ld", value);
	json_value(json, text);
}

void json_add_u64(struct json *json, const char *name, u64 value)
{
	json_key(json, name);
	json_u64(json, value);
}

void json_add_s64(struct json *json, const char *name, s64 value)
{
	json_key(json, name);
	json_s64(json, value);
}

void json_add_bool(struct json *json, const char *name, bool value)
{
	json_key(json, name);
	json_value(json, value ? "true" : "false");
}

void json_add_string(struct json *json, const char *name, const char *value)
{
	json_key(json, name);
	json_string(json, value);
}

struct json_mark json_mark(const struct json *json)
{
	return (struct json_mark){json->len, json->depth};
}

void json_rewind(struct json *json, struct json_mark mark)
{
	json->len = mark.len;
	json->depth = mark.depth;
	json->cut = false;
	json->text[json->len] = '\0';
}
