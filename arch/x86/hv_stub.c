/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hv_stub.c: stands in for hv until it is linked.
 */
#include <arch/cpu.h>
#include <hv/main.h>

void __attribute__((weak)) hv_main(const struct boot_info *info)
{
	(void)info;
	arch_machine_end(true);
}

void __attribute__((weak)) hv_ap_main(void)
{
	for (;;)
		arch_idle();
}
