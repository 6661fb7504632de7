/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042.c: the keyboard controller. i8042.h has the contract.
 *
 *     typed character --> make and break codes --+
 *     port 60h: command to the keyboard ---------+--> queue --> port 60h, IRQ 1
 *     port 64h: command to the controller -------+
 *
 * The codes are of set 1, which the controller of a PC makes of the keyboard's set 2. The bit of
 * the command register that turns the translation off is kept and changes nothing.
 */
#include <hv/i8042.h>

enum status {
	STATUS_OUTPUT = 0x01,
	STATUS_SYSTEM = 0x04,
	STATUS_COMMAND = 0x08,
	STATUS_UNLOCKED = 0x10,
};

enum command_bit {
	COMMAND_IRQ = 0x01,
	COMMAND_SYSTEM = 0x04,
	COMMAND_OFF = 0x10, /* the keyboard's clock is held */
	COMMAND_NO_MOUSE = 0x20,
	COMMAND_TRANSLATE = 0x40,
};

enum controller_command {
	READ_COMMAND = 0x20,
	WRITE_COMMAND = 0x60,
	MOUSE_OFF = 0xa7,
	MOUSE_ON = 0xa8,
	MOUSE_TEST = 0xa9,
	SELF_TEST = 0xaa,
	INTERFACE_TEST = 0xab,
	KEYBOARD_OFF = 0xad,
	KEYBOARD_ON = 0xae,
	READ_INPUT = 0xc0,
	READ_OUTPUT = 0xd0,
	WRITE_OUTPUT = 0xd1,
	WRITE_QUEUE = 0xd2,
	WRITE_MOUSE_QUEUE = 0xd3,
	WRITE_MOUSE = 0xd4,
	PULSE = 0xf0, /* to FFh; a clear bit 0 is the reset line */
};

enum key_command {
	KEY_LEDS = 0xed,
	KEY_ECHO = 0xee,
	KEY_SET = 0xf0,
	KEY_IDENTIFY = 0xf2,
	KEY_RATE = 0xf3,
	KEY_ENABLE = 0xf4,
	KEY_DISABLE = 0xf5,
	KEY_DEFAULTS = 0xf6,
	KEY_RESET = 0xff,
};

#define ACKNOWLEDGE  0xfa
#define RESEND	     0xfe
#define TEST_PASSED  0x55
#define KEY_PASSED   0xaa
#define OUTPUT_PORT  0xcf /* not in reset, A20 open; bit 4 is the interrupt */
#define OUTPUT_RESET 0x01
#define SCAN_SET     0x01
#define CODE_SHIFT   0x2a
#define CODE_CONTROL 0x1d
#define CODE_BREAK   0x80
#define CODES_MAX    4 /* of a character: a modifier and a key, each pressed and released */

/* The keys by make code, without and with shift; a space is what no key gives but the last one. */
static const char plain[] = " \x1b"
			    "1234567890-=\b\tqwertyuiop[]\r asdfghjkl;'` \\zxcvbnm,./ *  ";
static const char shifted[] = "  !@#$%^&*()_+  QWERTYUIOP{}  ASDFGHJKL:\"~ |ZXCVBNM<>?    ";

void i8042_init(struct i8042 *kbc)
{
	*kbc = (struct i8042){
		.command = COMMAND_IRQ | COMMAND_SYSTEM | COMMAND_NO_MOUSE | COMMAND_TRANSLATE,
		.scans = true,
	};
}

static void queue_byte(struct i8042 *kbc, u8 byte)
{
	if (kbc->count == I8042_QUEUE)
		return;
	kbc->queue[(kbc->first + kbc->count) % I8042_QUEUE] = byte;
	kbc->count++;
}

static u8 read_status(const struct i8042 *kbc)
{
	return (kbc->count ? STATUS_OUTPUT : 0) | STATUS_SYSTEM | STATUS_UNLOCKED |
	       (kbc->last_was_command ? STATUS_COMMAND : 0);
}

/* An empty queue repeats the last byte. */
static u8 read_data(struct i8042 *kbc)
{
	u8 byte = kbc->queue[kbc->first];

	if (!kbc->count)
		return kbc->queue[(kbc->first + I8042_QUEUE - 1) % I8042_QUEUE];
	kbc->first = (kbc->first + 1) % I8042_QUEUE;
	kbc->count--;
	return byte;
}

u8 i8042_read(struct i8042 *kbc, u16 port)
{
	return port == I8042_STATUS ? read_status(kbc) : read_data(kbc);
}

/* A command to the controller. True: reset. */
static bool write_controller(struct i8042 *kbc, u8 value)
{
	kbc->last_was_command = true;
	kbc->waiting = 0;
	switch (value) {
	case READ_COMMAND:
		queue_byte(kbc, kbc->command);
		break;
	case WRITE_COMMAND:
	case WRITE_OUTPUT:
	case WRITE_QUEUE:
	case WRITE_MOUSE_QUEUE:
	case WRITE_MOUSE:
		kbc->waiting = value;
		break;
	case SELF_TEST:
		queue_byte(kbc, TEST_PASSED);
		break;
	case INTERFACE_TEST:
	case READ_INPUT:
		queue_byte(kbc, 0);
		break;
	case MOUSE_TEST:
		queue_byte(kbc, 0xff); /* no mouse */
		break;
	case KEYBOARD_OFF:
		kbc->command |= COMMAND_OFF;
		break;
	case KEYBOARD_ON:
		kbc->command &= ~COMMAND_OFF;
		break;
	case READ_OUTPUT:
		queue_byte(kbc, OUTPUT_PORT | (i8042_irq(kbc) ? 0x10 : 0));
		break;
	default:
		return value >= PULSE && !(value & OUTPUT_RESET);
	}
	return false;
}

static void write_key_parameter(struct i8042 *kbc, u8 value)
{
	bool other_set = kbc->key_waiting == KEY_SET && value > SCAN_SET;

	queue_byte(kbc, other_set ? RESEND : ACKNOWLEDGE);
	if (kbc->key_waiting == KEY_SET && value == 0)
		queue_byte(kbc, SCAN_SET);
	kbc->key_waiting = 0;
}

/* A command to the keyboard, or the parameter of one. */
static void write_keyboard(struct i8042 *kbc, u8 value)
{
	kbc->command &= ~COMMAND_OFF;
	if (kbc->key_waiting && value < KEY_LEDS) {
		write_key_parameter(kbc, value);
		return;
	}
	kbc->key_waiting = 0;
	queue_byte(kbc, value == KEY_ECHO ? KEY_ECHO : value < KEY_LEDS ? RESEND : ACKNOWLEDGE);
	switch (value) {
	case KEY_LEDS:
	case KEY_SET:
	case KEY_RATE:
		kbc->key_waiting = value;
		break;
	case KEY_IDENTIFY:
		queue_byte(kbc, 0xab);
		queue_byte(kbc, 0x41); /* 83h, translated */
		break;
	case KEY_ENABLE:
	case KEY_DISABLE:
		kbc->scans = value == KEY_ENABLE;
		break;
	case KEY_RESET:
		kbc->scans = true;
		queue_byte(kbc, KEY_PASSED);
		break;
	default:
		break;
	}
}

/* The byte that a command to the controller waits for. True: reset. */
static bool write_parameter(struct i8042 *kbc, u8 value)
{
	u8 command = kbc->waiting;

	kbc->waiting = 0;
	if (command == WRITE_COMMAND)
		kbc->command = value;
	else if (command == WRITE_QUEUE)
		queue_byte(kbc, value);
	return command == WRITE_OUTPUT && !(value & OUTPUT_RESET);
}

bool i8042_write(struct i8042 *kbc, u16 port, u8 value)
{
	if (port == I8042_STATUS)
		return write_controller(kbc, value);
	kbc->last_was_command = false;
	if (kbc->waiting)
		return write_parameter(kbc, value);
	write_keyboard(kbc, value);
	return false;
}

bool i8042_has_room(const struct i8042 *kbc)
{
	return kbc->scans && !(kbc->command & COMMAND_OFF) && kbc->count + CODES_MAX <= I8042_QUEUE;
}

/* The make code of a character in a table of keys; 0: none. The space bar is the last but 0. */
static u8 find_code(const char *keys, size_t size, char c)
{
	if (c == ' ')
		return keys == plain ? sizeof(plain) - 2 : 0;
	for (size_t code = 1; code < size; code++) {
		if (keys[code] == c)
			return (u8)code;
	}
	return 0;
}

void i8042_type(struct i8042 *kbc, char c)
{
	u8 modifier = 0, code;

	c = c == '\n' ? '\r' : c == 0x7f ? '\b' : c;
	code = find_code(plain, sizeof(plain) - 1, c);
	if (!code) {
		modifier = CODE_SHIFT;
		code = find_code(shifted, sizeof(shifted) - 1, c);
	}
	if (!code && c > 0 && c < ' ') {
		modifier = CODE_CONTROL;
		code = find_code(shifted, sizeof(shifted) - 1, c + '@');
	}
	if (!code || !i8042_has_room(kbc))
		return;
	if (modifier)
		queue_byte(kbc, modifier);
	queue_byte(kbc, code);
	queue_byte(kbc, code | CODE_BREAK);
	if (modifier)
		queue_byte(kbc, modifier | CODE_BREAK);
}

bool i8042_irq(const struct i8042 *kbc)
{
	return kbc->count && kbc->command & COMMAND_IRQ;
}
