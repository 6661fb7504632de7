/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.h: entry points of hv, called by boot.
 */
#ifndef SAMEPAGE_HV_MAIN_H
#define SAMEPAGE_HV_MAIN_H

#include <arch/boot_info.h>

/*
 * On CPU 0, after arch_init() and arch_smp_start(): creates the VMs of the boot modules, runs them
 * to their end, prints the summary and ends the machine. Does not return.
 */
void hv_main(const struct boot_info *info) __noreturn;

/*
 * On every other CPU, as soon as it is up: waits for hv_main(), then runs vCPUs. Does not return.
 */
void hv_ap_main(void) __noreturn;

#endif
