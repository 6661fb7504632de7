/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.h: the order in which the machine comes to life, on CPU 0; each step is called once by
 * boot_main().
 *
 *     arch_early_init()    serial port, lib_env: log lines come out, panic works
 *     (boot_main parses)
 *     arch_init(info)      traps, final page tables, frames, APIC, TSC
 *     arch_smp_start(f)    the other CPUs; each calls f(), which does not return, once all are up
 *     hv_main(info)        does not return
 *
 * `info` stays valid and constant for ever. What the machine lacks ends in panic() with a message
 * that says what.
 */
#ifndef SAMEPAGE_ARCH_INIT_H
#define SAMEPAGE_ARCH_INIT_H

#include <arch/boot_info.h>

void arch_early_init(void);
void arch_init(const struct boot_info *info);
void arch_smp_start(void (*ap_entry)(void));

#endif
