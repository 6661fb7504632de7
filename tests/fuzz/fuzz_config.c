/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config.c: a boot module's command line that says anything.
 *
 *     byte 0     the machine's CPUs, 1 to 64
 *     the rest   the line
 *
 * Checked for every input: CONFIG-1 by ASan (the line is a heap block of its own size), CONFIG-2
 * here.
 */
#include <stdlib.h>
#include <string.h>
#include <arch/addr.h>
#include <hv/config.h>
#include "fuzz.h"

static void check_config(const struct vm_config *config, unsigned cpus)
{
	fuzz_check(memchr(config->name, 0, VM_NAME_MAX), "CONFIG-2: the name has no end");
	fuzz_check(memchr(config->arg, 0, VM_ARG_MAX), "CONFIG-2: the argument has no end");
	fuzz_check(config->name[0] || config->module_of[0] || config->image[0],
		   "CONFIG-2: no name");
	fuzz_check(config->memory >= VM_MEMORY_MIN && config->memory <= VM_MEMORY_MAX &&
			   IS_ALIGNED(config->memory, PAGE_SIZE),
		   "CONFIG-2: memory");
	fuzz_check(config->vcpus >= 1 && config->vcpus <= VM_VCPUS_MAX, "CONFIG-2: vcpus");
	fuzz_check(cpus == 64 || !(config->cpus >> cpus), "CONFIG-2: a CPU that is not there");
}

static void check_error(const struct config_error *error, const char *line)
{
	size_t length = strlen(line);

	fuzz_check(error->why && strlen(error->why) > 0, "a refusal says why");
	fuzz_check(error->word >= line && error->word <= line + length &&
			   error->len <= (size_t)(line + length - error->word),
		   "a refusal names a word of the line");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct vm_config config;
	struct config_error error = {0};
	unsigned cpus;
	char *line;

	if (size < 1)
		return 0;
	fuzz_init();
	cpus = data[0] % 64 + 1;
	line = malloc(size);
	memcpy(line, data + 1, size - 1);
	line[size - 1] = '\0';
	if (vm_config_parse(line, cpus, &config, &error) == 0)
		check_config(&config, cpus);
	else
		check_error(&error, line);
	free(line);
	return 0;
}
