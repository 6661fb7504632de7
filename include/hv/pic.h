/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pic.h: the PC's pair of 8259A interrupt controllers (Intel 8259A data sheet, order number
 * 231468).
 *
 *      IRQ 0 1 . 3 4 5 6 7 --> master --> INTR of vCPU 0
 *              ^
 *              +-- slave <-- IRQ 8 9 10 11 12 13 14 15
 *
 * A model without surroundings: lines go in, a vector comes out; so it runs in a host test. The
 * caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_PIC_H
#define SAMEPAGE_HV_PIC_H

#include <lib/types.h>

#define PIC_LINES 16

/* One 8259A. Register names are the data sheet's. */
struct pic_chip {
	u8 irr;	   /* requests */
	u8 isr;	   /* in service */
	u8 imr;	   /* masked */
	u8 lines;  /* levels of the inputs now */
	u8 elcr;   /* 1: level-triggered (the PC's edge/level control register) */
	u8 base;   /* ICW2: vector of input 0 */
	u8 lowest; /* the input of lowest priority */
	u8 step;   /* which ICW comes next; 0: initialized */
	bool needs_icw4;
	bool auto_eoi, rotate_on_auto_eoi;
	bool read_isr; /* OCW3: what a read of the command port gives */
	bool poll;
	bool special_mask;
	bool special_fully_nested;
};

struct pic {
	struct pic_chip master, slave;
};

void pic_init(struct pic *pic);

/*
 * Ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1. A read of the command port in poll mode acknowledges.
 */
u8 pic_read(struct pic *pic, u16 port);
void pic_write(struct pic *pic, u16 port, u8 value);

/* The level of an input, 0 to 15; 2 is the cascade and ignored. */
void pic_set_line(struct pic *pic, unsigned line, bool level);

/* Is the input's mask set? Has the chip a request of it, or is one in service? */
bool pic_masks(const struct pic *pic, unsigned line);
bool pic_holds(const struct pic *pic, unsigned line);

/* Does the master assert INTR? */
bool pic_pending(const struct pic *pic);

/*
 * The INTA cycle: the vector, its request moved into service; the spurious vector (input 7) when
 * there is none.
 */
u8 pic_acknowledge(struct pic *pic);

#endif
