/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_words.c: command lines of anything: words stay inside their bounds, the walk ends,
 * options_parse survives.
 */
#include <string.h>
#include <lib/words.h>
#include "boot/parse.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char line[BOOT_COMMAND_LINE_MAX];
	const char *at = line;
	struct word word;
	unsigned count = 0;

	fuzz_init();
	size = MIN(size, sizeof(line) - 1);
	memcpy(line, data, size);
	line[size] = '\0';
	for (; word_next(&at, &word); count++) {
		fuzz_check(memchr(word.text, 0, WORD_MAX), "a word has no end");
		fuzz_check(!word.value ||
				   (word.value > word.text && word.value < word.text + WORD_MAX),
			   "a value outside its word");
	}
	fuzz_check(at == line + strlen(line), "the walk stopped early");
	fuzz_check(count <= sizeof(line) / 2, "more words than fit");
	options_parse(line);
	return 0;
}
