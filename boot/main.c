/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: the first C code: boot information in, the hypervisor started.
 */
#include <lib/types.h>

void boot_main(u32 magic, u32 information) __noreturn;

static void boot_write(const char *text)
{
	for (; *text; text++)
		__asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((u16)0x3f8));
}

void boot_main(u32 magic, u32 information)
{
	(void)magic;
	(void)information;
	boot_write("samepage: long mode\r\n");
	for (;;)
		__asm__ volatile("hlt");
}
