/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga.c: the registers of vga.h, and the comparison of two screens.
 *
 *     3C0 3C1 attribute   3C2 3CC misc   3C4 3C5 sequencer   3C6-3C9 palette (not kept)
 *     3CE 3CF graphics    3D4 3D5 CRTC   3DA status
 */
#include <hv/vga.h>

enum vga_port {
	ATTRIBUTE = 0x3c0,
	ATTRIBUTE_READ = 0x3c1,
	MISC_WRITE = 0x3c2,
	SEQUENCER = 0x3c4,
	PALETTE_MASK = 0x3c6,
	MISC_READ = 0x3cc,
	GRAPHICS = 0x3ce,
	CRTC = 0x3d4,
	STATUS = 0x3da,
};

enum crtc_register { CRTC_START = 0x0c, CRTC_CURSOR = 0x0e };

#define MISC_COLOR     0x67 /* ports at 3Dxh, the text buffer at B8000h */
#define STATUS_BLANK   0x01
#define STATUS_RETRACE 0x08
#define FRAME	       14286u /* microseconds: 70 Hz */
#define RETRACE	       1000u
#define LINE_MAX       VGA_COLUMNS

void vga_init(struct vga *vga)
{
	*vga = (struct vga){.misc = MISC_COLOR, .mask = 0xff};
}

/* The group of an index port or the data port behind it. */
static struct vga_group *group_at(struct vga *vga, u16 port)
{
	switch (port & ~1) {
	case SEQUENCER:
		return &vga->sequencer;
	case GRAPHICS:
		return &vga->graphics;
	case CRTC:
		return &vga->crtc;
	default:
		return NULL;
	}
}

/* A read of the status makes the attribute port expect an index. */
static u8 read_status(struct vga *vga, u64 now)
{
	vga->attribute_data = false;
	return now % FRAME < RETRACE ? STATUS_BLANK | STATUS_RETRACE : 0;
}

u8 vga_read(struct vga *vga, u16 port, u64 now)
{
	const struct vga_group *group = group_at(vga, port);

	if (group)
		return port & 1 ? group->reg[group->index] : group->index;
	switch (port) {
	case ATTRIBUTE:
		return vga->attribute.index;
	case ATTRIBUTE_READ:
		return vga->attribute.reg[vga->attribute.index];
	case PALETTE_MASK:
		return vga->mask;
	case MISC_READ:
		return vga->misc;
	case STATUS:
		return read_status(vga, now);
	default:
		return 0;
	}
}

static void write_attribute(struct vga *vga, u8 value)
{
	if (vga->attribute_data)
		vga->attribute.reg[vga->attribute.index] = value;
	else
		vga->attribute.index = value & (VGA_REGISTERS - 1);
	vga->attribute_data = !vga->attribute_data;
}

void vga_write(struct vga *vga, u16 port, u8 value)
{
	struct vga_group *group = group_at(vga, port);

	if (group && port & 1)
		group->reg[group->index] = value;
	else if (group)
		group->index = value & (VGA_REGISTERS - 1);
	else if (port == ATTRIBUTE)
		write_attribute(vga, value);
	else if (port == MISC_WRITE)
		vga->misc = value;
	else if (port == PALETTE_MASK)
		vga->mask = value;
}

static unsigned crtc_word(const struct vga *vga, enum crtc_register high)
{
	return vga->crtc.reg[high] * 256u + vga->crtc.reg[high + 1];
}

unsigned vga_start(const struct vga *vga)
{
	return crtc_word(vga, CRTC_START);
}

unsigned vga_cursor(const struct vga *vga)
{
	return crtc_word(vga, CRTC_CURSOR);
}

/* ASCII; other characters of code page 437 are a question mark. */
static char cell_char(u16 cell)
{
	u8 c = (u8)cell;

	return c == 0 ? ' ' : c < ' ' || c > '~' ? '?' : (char)c;
}

/* The row as text without its trailing spaces; returns its length. */
static size_t row_text(const u16 *cells, char text[LINE_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < VGA_COLUMNS; i++) {
		text[i] = cell_char(cells[i]);
		if (text[i] != ' ')
			len = i + 1;
	}
	return len;
}

/* FNV-1a of a row's text; 0 for an empty row. */
static u64 row_hash(const u16 *cells)
{
	u64 hash = 0xcbf29ce484222325ull;
	char text[LINE_MAX];
	size_t len = row_text(cells, text);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (u8)text[i]) * 0x100000001b3ull;
	return len ? hash | 1 : 0;
}

/* Rows that differ when the old screen has moved up by `by`; a row that came in counts as one. */
static unsigned rows_changed(const u64 *old, const u64 *new, unsigned by)
{
	unsigned changed = by;

	for (unsigned i = 0; i + by < VGA_ROWS; i++)
		changed += old[i + by] != new[i];
	return changed;
}

/* The scrolling that explains most. */
static unsigned best_scroll(const u64 *old, const u64 *new)
{
	unsigned best = 0;

	for (unsigned by = 1; by < VGA_ROWS; by++) {
		if (rows_changed(old, new, by) < rows_changed(old, new, best))
			best = by;
	}
	return best;
}

void screen_update(struct screen *screen, const u16 cells[VGA_CELLS], unsigned cursor_row,
		   void (*show)(void *context, const char *text, size_t len), void *context)
{
	u64 new[VGA_ROWS];
	unsigned by;

	for (unsigned i = 0; i < VGA_ROWS; i++)
		new[i] = row_hash(cells + (size_t)i * VGA_COLUMNS);
	by = best_scroll(screen->row, new);
	for (unsigned i = 0; i < VGA_ROWS; i++) {
		u64 old = i + by < VGA_ROWS ? screen->row[i + by] : 0;
		char text[LINE_MAX];

		screen->row[i] = new[i];
		if (new[i] == old || !new[i])
			continue;
		if (i == cursor_row && screen->typed != new[i]) {
			screen->typed = new[i];
			screen->row[i] = old;
			continue;
		}
		show(context, text, row_text(cells + (size_t)i * VGA_COLUMNS, text));
	}
}
