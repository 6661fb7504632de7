/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the parsers of guests' files share.
 */
#ifndef SAMEPAGE_HV_LOAD_PRIVATE_H
#define SAMEPAGE_HV_LOAD_PRIVATE_H

#include <lib/error.h>

/* The file is refused: *why becomes a static sentence for the log. */
static inline int load_refuse(const char **why, const char *sentence)
{
	*why = sentence;
	return ERR_FORMAT;
}

#endif
