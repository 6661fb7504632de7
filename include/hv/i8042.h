/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042.h: the PC's keyboard controller and the keyboard behind it, at ports 60h and 64h (IBM PS/2
 * Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller").
 *
 * A model without surroundings: typed characters go in, bytes come out at port 60h, the interrupt
 * is a level that its owner reads. There is no mouse. The caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_I8042_H
#define SAMEPAGE_HV_I8042_H

#include <lib/types.h>

#define I8042_DATA   0x60
#define I8042_STATUS 0x64
#define I8042_QUEUE  16

/* command: register of that name. waiting, key_waiting: a command that lacks its parameter. */
struct i8042 {
	u8 command;
	u8 waiting, key_waiting;
	bool last_was_command, scans;
	u8 queue[I8042_QUEUE]; /* what port 60h reads, oldest first */
	u8 first, count;
};

void i8042_init(struct i8042 *kbc);

/* Ports 60h and 64h. write: true means that the controller pulses the CPU's reset line. */
u8 i8042_read(struct i8042 *kbc, u16 port);
bool i8042_write(struct i8042 *kbc, u16 port, u8 value) __must_check;

/* A typed character as the keys of a US keyboard, in scan code set 1; lost without room. */
bool i8042_has_room(const struct i8042 *kbc);
void i8042_type(struct i8042 *kbc, char c);

/* Does it assert its interrupt line? Each byte is an edge: the line falls when one is read. */
bool i8042_irq(const struct i8042 *kbc);

#endif
