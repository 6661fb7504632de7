/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: a VM's configuration, from its boot module's command line.
 *
 *     name=hello memory=16M vcpus=2 cpu=0-1 type=multiboot console=64K arg=the rest is the guest's
 *     for=hello the rest is the module's own command line
 *     image=root
 *
 * Words are separated by blanks; a first word without '=' is the file's path and is skipped; `arg=`
 * and what follows a `for=` word run to the end of the line. docs/exits.md has the table of words.
 */
#ifndef SAMEPAGE_HV_CONFIG_H
#define SAMEPAGE_HV_CONFIG_H

#include <hv/vm_config.h>
#include <lib/types.h>

/* Which word was wrong, in the line itself, and what it should have been: a static sentence. */
struct config_error {
	const char *word;
	size_t len;
	const char *why;
};

/*
 * Pure: any context, the host too. `cpus` is how many CPUs the machine has. ERR_INVALID (unknown
 * word, no name, wrong value) or ERR_RANGE, with *error filled in; then *out is not to be used.
 */
int vm_config_parse(const char *line, unsigned cpus, struct vm_config *out,
		    struct config_error *error) __must_check;

#endif
