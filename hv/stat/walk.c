/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: the walk over the table of figures, and its text.
 *
 *     scope (machine, CPU, VM ...) > instance (VM one) > row (exits.*) > index (cpuid)
 *
 * The figures of an instance are taken once, when the walk comes to it, so that they belong
 * together even if their text takes several buffers.
 */
#include <hv/stat.h>
#include <arch/cpu.h>
#include <lib/format.h>
#include <lib/log.h>
#include <lib/string.h>
#include "hv/stat/private.h"

#define FIGURE_NAME_MAX 160
#define NS_A_SECOND	1000000000ull

u64 stat_ns(u64 ticks)
{
	u64 rate = arch_ticks_per_second();

	return ticks / rate * NS_A_SECOND + ticks % rate * NS_A_SECOND / rate;
}

/* On a mismatch the last '*' takes one character more. */
bool stat_match(const char *pattern, const char *text)
{
	const char *star = NULL, *after = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			after = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++after;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* Can a name that begins so match the pattern? */
static bool may_match(const char *pattern, const char *prefix)
{
	while (*prefix && *pattern == *prefix) {
		pattern++;
		prefix++;
	}
	return !*prefix || *pattern == '*';
}

void stat_begin(struct stat_cursor *cursor, const char *const *pattern, unsigned patterns)
{
	cursor->pattern = pattern;
	cursor->patterns = patterns;
	cursor->scope = cursor->instance = cursor->row = cursor->index = 0;
	cursor->walk = 0;
	cursor->taken = false;
}

static bool cursor_matches(const struct stat_cursor *cursor, const char *name,
			   bool (*match)(const char *pattern, const char *text))
{
	for (unsigned i = 0; i < cursor->patterns; i++)
		if (match(cursor->pattern[i], name))
			return true;
	return !cursor->patterns;
}

static void cursor_next_instance(struct stat_cursor *cursor)
{
	cursor->instance++;
	cursor->walk = 0;
	cursor->row = cursor->index = 0;
	cursor->taken = false;
}

/* Moves to the next instance with figures that may match. STAT_NONE: there is none. */
static enum stat_taken cursor_take(struct stat_cursor *cursor)
{
	while (cursor->scope < stat_scope_count) {
		const struct stat_scope *scope = &stat_scopes[cursor->scope];
		enum stat_taken taken = STAT_NONE;

		if (!scope->prefix(cursor->instance, cursor->prefix)) {
			cursor->scope++;
			cursor->instance = 0;
			continue;
		}
		if (cursor_matches(cursor, cursor->prefix, may_match))
			taken = scope->take(cursor->instance, cursor->figures, &cursor->walk);
		if (taken != STAT_NONE) {
			cursor->taken = taken == STAT_TAKEN;
			return taken;
		}
		cursor_next_instance(cursor);
	}
	return STAT_NONE;
}

/* The row's name with the prefix, and the index in the place of its '*'. */
static void figure_name(const struct stat_cursor *cursor, const struct stat_row *row, char *name)
{
	size_t len = strlen(row->name);
	const char *star = memchr(row->name, '*', len);

	if (!row->family)
		format_text(name, FIGURE_NAME_MAX, "%s%s", cursor->prefix, row->name);
	else
		format_text(name, FIGURE_NAME_MAX, "%s%.*s%s%s", cursor->prefix,
			    (int)(star - row->name), row->name, row->family->name(cursor->index),
			    star + 1);
}

static const u64 *figure_value(const struct stat_cursor *cursor, const struct stat_row *row)
{
	size_t each = row->kind == STAT_HISTOGRAM ? STAT_BUCKETS : 1;

	return &cursor->figures[row->at / sizeof(u64) + cursor->index * each];
}

/* Up to the last bucket that is not empty. */
static void write_histogram(struct json *json, const u64 *bucket)
{
	unsigned count = STAT_BUCKETS;

	while (count && !bucket[count - 1])
		count--;
	json_open(json, '[');
	for (unsigned i = 0; i < count; i++)
		json_u64(json, bucket[i]);
	json_close(json, ']');
}

static bool histogram_is_empty(const u64 *bucket)
{
	u64 any = 0;

	for (unsigned i = 0; i < STAT_BUCKETS; i++)
		any |= bucket[i];
	return !any;
}

static bool figure_is_left_out(const struct stat_row *row, const u64 *value)
{
	if (!row->family)
		return false;
	return row->kind == STAT_HISTOGRAM ? histogram_is_empty(value) : !*value;
}

static void write_figure(const struct stat_cursor *cursor, struct json *json)
{
	const struct stat_row *row = &stat_scopes[cursor->scope].rows[cursor->row];
	const u64 *value = figure_value(cursor, row);
	char name[FIGURE_NAME_MAX];

	if (figure_is_left_out(row, value))
		return;
	figure_name(cursor, row, name);
	if (!cursor_matches(cursor, name, stat_match))
		return;
	json_key(json, name);
	if (row->kind == STAT_HISTOGRAM)
		write_histogram(json, value);
	else if (row->kind == STAT_SIGNED)
		json_s64(json, (s64)*value);
	else
		json_u64(json, *value);
}

/* To the next figure of the instance; false: that was its last. */
static bool cursor_advance(struct stat_cursor *cursor)
{
	const struct stat_scope *scope = &stat_scopes[cursor->scope];
	const struct stat_row *row = &scope->rows[cursor->row];

	if (row->family && ++cursor->index < row->family->count)
		return true;
	cursor->index = 0;
	return ++cursor->row < scope->count;
}

enum stat_progress stat_write(struct stat_cursor *cursor, struct json *json)
{
	for (;;) {
		struct json_mark mark = json_mark(json);
		enum stat_taken taken = cursor->taken ? STAT_TAKEN : cursor_take(cursor);

		if (taken != STAT_TAKEN)
			return taken == STAT_AGAIN ? STAT_LATER : STAT_DONE;
		write_figure(cursor, json);
		if (json->cut) {
			json_rewind(json, mark);
			return STAT_MORE;
		}
		if (!cursor_advance(cursor))
			cursor_next_instance(cursor);
	}
}
