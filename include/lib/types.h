/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h: the integer names and the few macros every room uses.
 */
#ifndef SAMEPAGE_LIB_TYPES_H
#define SAMEPAGE_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define BIT(n)			      (1ull << (n))
#define BITS(hi, lo)		      ((~0ull >> (63 - (hi))) & (~0ull << (lo)))
#define ARRAY_SIZE(a)		      (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)	      ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)		      ALIGN_DOWN((x) + (__typeof__(x))(a)-1, a)
#define IS_ALIGNED(x, a)	      (((x) & ((__typeof__(x))(a)-1)) == 0)
#define MIN(a, b)		      ((a) < (b) ? (a) : (b))
#define MAX(a, b)		      ((a) > (b) ? (a) : (b))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* IS_ENABLED(CONFIG_X): 1 when Kconfig set the bool, else 0; usable in a plain `if`. */
#define SAMEPAGE_ARG_1		   0,
#define SAMEPAGE_SECOND(a, b, ...) b
#define SAMEPAGE_IS_ONE(junk)	   SAMEPAGE_SECOND(junk 1, 0, 0)
#define SAMEPAGE_IS_DEFINED(value) SAMEPAGE_IS_ONE(SAMEPAGE_ARG_##value)
#define SAMEPAGE_EXPAND(value)	   SAMEPAGE_IS_DEFINED(value)
#define IS_ENABLED(option)	   SAMEPAGE_EXPAND(option)

#define __must_check	     __attribute__((__warn_unused_result__))
#define __packed	     __attribute__((__packed__))
#define __aligned(n)	     __attribute__((__aligned__(n)))
#define __noreturn	     __attribute__((__noreturn__))
#define __no_stack_protector __attribute__((__no_stack_protector__))
#define __cold		     __attribute__((__cold__, __noinline__))
#define __noinline	     __attribute__((__noinline__))
#define __no_caller_saved    __attribute__((__no_caller_saved_registers__))
#undef __always_inline /* the same name in libc, host builds */
#define __always_inline inline __attribute__((__always_inline__))
#define __printf(f, a)	__attribute__((__format__(__printf__, f, a)))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#endif
