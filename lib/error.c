/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c: the names of the error codes.
 */
#include <lib/error.h>
#include <lib/types.h>

static const char *const names[] = {
	[0] = "no error",
	[-ERR_NO_MEMORY] = "no memory",
	[-ERR_INVALID] = "invalid argument",
	[-ERR_RANGE] = "out of range",
	[-ERR_EXISTS] = "exists already",
	[-ERR_NOT_FOUND] = "not found",
	[-ERR_BUSY] = "busy",
	[-ERR_WOULD_BLOCK] = "would block",
	[-ERR_PERMISSION] = "not permitted",
	[-ERR_UNSUPPORTED] = "not supported",
	[-ERR_FORMAT] = "wrong format",
	[-ERR_REENTRANT] = "called from inside a callback",
};

const char *error_name(int error)
{
	if (error > 0 || error <= -(int)ARRAY_SIZE(names))
		return "unknown error";
	return names[-error];
}
