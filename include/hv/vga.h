/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga.h: the registers of a VGA in its color text mode of 80 columns and 25 rows (IBM VGA, PS/2
 * Hardware Interface Technical Reference), and what its text buffer shows.
 *
 *     guest --> VGA_TEXT: RAM of the guest --screen_update()--> rows that changed --> its console
 *
 * Models without surroundings. Registers are kept and read back; only the cursor's place and the
 * start address have a meaning, as there is no picture but the text. The caller's lock guards them.
 */
#ifndef SAMEPAGE_HV_VGA_H
#define SAMEPAGE_HV_VGA_H

#include <lib/types.h>

#define VGA_TEXT_START 0xb8000ull
#define VGA_TEXT_END   0xc0000ull
#define VGA_COLUMNS    80
#define VGA_ROWS       25
#define VGA_CELLS      (VGA_COLUMNS * VGA_ROWS)
#define VGA_FIRST_PORT 0x3c0
#define VGA_PORTS      0x20
#define VGA_REGISTERS  32

/* A group of registers behind an index. */
struct vga_group {
	u8 index;
	u8 reg[VGA_REGISTERS];
};

struct vga {
	struct vga_group attribute, sequencer, graphics, crtc;
	bool attribute_data; /* the next write to 3C0h is data */
	u8 misc, mask;
};

void vga_init(struct vga *vga);

/* Ports from VGA_FIRST_PORT on; `now`: microseconds, for the retrace bits. */
u8 vga_read(struct vga *vga, u16 port, u64 now);
void vga_write(struct vga *vga, u16 port, u8 value);

/* The first cell that is shown, and the cursor's, from VGA_TEXT_START on. */
unsigned vga_start(const struct vga *vga);
unsigned vga_cursor(const struct vga *vga);

/* What was shown last: a hash of each row, 0 for an empty one. */
struct screen {
	u64 row[VGA_ROWS];
	u64 typed; /* the cursor's row at the last call, not shown yet */
};

/*
 * Compares the cells, character and attribute, with what was shown, and passes each row that is new
 * or has changed to `show`, without its trailing spaces. Rows that have moved up by scrolling are
 * not shown again. The row of the cursor (VGA_ROWS: none) is shown when it stayed the same since
 * the last call: a line that is being typed is one line.
 */
void screen_update(struct screen *screen, const u16 cells[VGA_CELLS], unsigned cursor_row,
		   void (*show)(void *context, const char *text, size_t len), void *context);

#endif
