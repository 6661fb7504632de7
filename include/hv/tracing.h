/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracing.h: tracing switched by the command line, or while the machine runs.
 */
#ifndef SAMEPAGE_HV_TRACING_H
#define SAMEPAGE_HV_TRACING_H

#include <arch/addr.h>

/* CPU 0, when all CPUs are counted: trace=, trace_kib=, trace_vm=, trace_page=. */
void tracing_init(void);

/*
 * Switches classes on (a bitmap of enum trace_class), with memory for the rings if this is the
 * first time. ERR_NO_MEMORY: nothing is on. One caller at a time.
 */
int tracing_start(u32 classes) __must_check;

/* "0x1f", or "0x1f-0x2f" with both ends. ERR_FORMAT. */
int tracing_parse_gfns(const char *text, struct gfn_range *out) __must_check;

/* The records of each CPU, to the log. */
void tracing_summary(void);
/* Frames of rings that were allocated after tracing_init(). */
u64 tracing_late_frames(void);

#endif
