/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.c: command lines taken apart. See <lib/words.h> for the language.
 */
#include <lib/words.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void word_put(struct word *word, size_t *length, char c)
{
	if (*length == WORD_MAX - 1) {
		word->cut = true;
		return;
	}
	if (c == '=' && !word->value) {
		word->text[*length] = '\0';
		word->value = &word->text[*length + 1];
	} else {
		word->text[*length] = c;
	}
	(*length)++;
}

bool word_next(const char **line, struct word *word)
{
	const char *at = *line;
	size_t length = 0;
	char quote = '\0';

	while (is_blank(*at))
		at++;
	word->value = NULL;
	word->cut = false;
	*line = at;
	if (!*at)
		return false;

	for (; *at && (quote || !is_blank(*at)); at++) {
		if (quote ? *at == quote : *at == '"' || *at == '\'') {
			quote = quote ? '\0' : *at;
			continue;
		}
		if (*at == '\\' && quote != '\'' && at[1])
			at++;
		word_put(word, &length, *at);
	}
	word->text[length] = '\0';
	word->unclosed = quote != '\0';
	*line = at;
	return true;
}
