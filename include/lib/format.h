/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h: formatted text.
 *
 * A subset of C's printf: flags - 0 + space #, width and precision (also *), sizes hh h l ll z t j,
 * conversions d i u x X c s p %. No floating point, no %n. An unknown conversion is copied as it
 * stands.
 */
#ifndef SAMEPAGE_LIB_FORMAT_H
#define SAMEPAGE_LIB_FORMAT_H

#include <stdarg.h>
#include <lib/types.h>

/*
 * Like snprintf: writes at most `size` bytes including the terminator (none when size is 0) and
 * returns the length the whole text has. Any context.
 */
size_t format_text(char *to, size_t size, const char *format, ...) __printf(3, 4);
size_t format_text_v(char *to, size_t size, const char *format, va_list arguments) __printf(3, 0);

#endif
