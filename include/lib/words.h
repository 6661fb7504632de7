/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h: command lines taken apart: name=value words, separated by blanks, quoted as a shell
 * would.
 *
 *     log="info,vmx=debug" cpus=2 "name=two words" dir=a\ b        four words
 *
 * Quotes ("..." or '...') and backslashes may stand anywhere in a word and do not become part of
 * it; inside '...' a backslash is a backslash. Pure functions; any context.
 */
#ifndef SAMEPAGE_LIB_WORDS_H
#define SAMEPAGE_LIB_WORDS_H

#include <lib/types.h>

#define WORD_MAX 256

/*
 * text		the word without its quotes; with a value, the name alone
 * value	what follows the first '=', quoted or not, in `text`'s storage; NULL where there is none
 * cut		longer than WORD_MAX - 1: the rest is dropped
 * unclosed	a quote was never closed: it ends with the line
 */
struct word {
	char text[WORD_MAX];
	char *value;
	bool cut;
	bool unclosed;
};

/* Takes the next word from *line and moves *line behind it; false at the end of the line. */
bool word_next(const char **line, struct word *word);

#endif
