/* SPDX-License-Identifier: Apache-2.0 */
/*
 * end.c: ending the machine, whichever it is.
 *
 * The emulator cannot be identified, so the exit of each is tried in turn; an absent one ignores
 * it: QEMU's isa-debug-exit (value v ends it with status 2v + 1), Bochs' magic break (success) and
 * its shutdown port (failure). Then halt.
 */
#include <arch/cpu.h>
#include <asm/console.h>
#include <asm/io.h>

#define QEMU_EXIT      0xf4
#define QEMU_SUCCESS   0x10 /* status 33 */
#define QEMU_FAILURE   0x11 /* status 35 */
#define BOCHS_SHUTDOWN 0x8900

void arch_machine_end(bool success)
{
	serial_drain();
	io_write8(QEMU_EXIT, success ? QEMU_SUCCESS : QEMU_FAILURE);
	if (success) {
		asm volatile("xchg %bx, %bx");
	} else {
		for (const char *word = "Shutdown"; *word; word++)
			io_write8(BOCHS_SHUTDOWN, (u8)*word);
	}
	for (;;)
		asm volatile("cli; hlt");
}
