/* SPDX-License-Identifier: Apache-2.0 */
/*
 * panic.c: the end of the hypervisor, told as well as it can be.
 */
#include <arch/cpu.h>
#include <asm/console.h>
#include <asm/panic.h>
#include <lib/string.h>

void arch_panic(const char *message)
{
	serial_write("panic: ", 7);
	serial_write(message, strlen(message));
	serial_write("\n", 1);
	arch_machine_end(false);
}
