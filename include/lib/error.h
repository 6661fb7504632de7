/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h: the one small set of error codes. A function that can fail returns int: 0 or one of
 * these. Outcomes that are no errors (merged, raced, ...) have enums of their own.
 */
#ifndef SAMEPAGE_LIB_ERROR_H
#define SAMEPAGE_LIB_ERROR_H

enum error {
	ERR_NO_MEMORY = -1,   /* no frame, no slab object */
	ERR_INVALID = -2,     /* an argument is malformed: unaligned, empty, wrapping, unknown */
	ERR_RANGE = -3,	      /* well formed, but outside what exists */
	ERR_EXISTS = -4,      /* overlaps or repeats what is there */
	ERR_NOT_FOUND = -5,   /* names something that is not there */
	ERR_BUSY = -6,	      /* in use; trying again may succeed */
	ERR_WOULD_BLOCK = -7, /* the caller may not block, and this would */
	ERR_PERMISSION = -8,  /* exists, but not for this caller or this access */
	ERR_UNSUPPORTED = -9, /* the machine or the configuration lacks it */
	ERR_FORMAT = -10,     /* data from outside is not what it claims to be */
	ERR_REENTRANT = -11,  /* called from inside a callback that must not */
};

/* The name of an error code, for messages: "no memory", "out of range", ... Any context. */
const char *error_name(int error);

#endif
