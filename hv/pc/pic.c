/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pic.c: the pair of 8259A interrupt controllers. pic.h has the picture.
 *
 * PIC-1 An input is requested by a rising edge, or while high if level-triggered, and is delivered
 *       only if no input of the same or higher priority is in service (fully nested mode) and it is
 *       not masked.
 * PIC-2 Acknowledging moves the request into service, at both chips for inputs 8 to 15.
 * PIC-3 A request that has gone when it is acknowledged gives input 7's vector and puts nothing in
 *       service.
 */
#include <hv/pic.h>

enum { CASCADE = 2, SPURIOUS = 7 };

enum icw1 { ICW1_ICW4 = 0x01, ICW1_INIT = 0x10 };
enum icw4 { ICW4_AUTO_EOI = 0x02, ICW4_SFNM = 0x10 };
enum ocw2 { OCW2_EOI = 0x20, OCW2_SPECIFIC = 0x40, OCW2_ROTATE = 0x80 };
enum ocw3 {
	OCW3_READ_ISR = 0x01,
	OCW3_READ = 0x02,
	OCW3_POLL = 0x04,
	OCW3 = 0x08,
	OCW3_SMM = 0x20,
	OCW3_ESMM = 0x40
};

void pic_init(struct pic *pic)
{
	*pic = (struct pic){0};
	pic->master.lowest = pic->slave.lowest = 7;
	pic->master.base = 0x08; /* as a BIOS leaves them */
	pic->slave.base = 0x70;
}

/* The bit of highest priority in `mask`, as distance from the top: 0 is highest, 8 when none. */
static unsigned best_distance(const struct pic_chip *chip, u8 mask)
{
	for (unsigned distance = 0; distance < 8; distance++) {
		if (mask & BIT((chip->lowest + 1 + distance) & 7))
			return distance;
	}
	return 8;
}

static unsigned input_at(const struct pic_chip *chip, unsigned distance)
{
	return (chip->lowest + 1 + distance) & 7;
}

/* The input that this chip requests service for, or 8. */
static unsigned chip_request(const struct pic_chip *chip, bool is_master)
{
	unsigned request = best_distance(chip, chip->irr & ~chip->imr);
	u8 in_service = chip->special_mask ? chip->isr & ~chip->imr : chip->isr;

	/* Special fully nested: the slave may interrupt itself through the master. */
	if (is_master && chip->special_fully_nested && request < 8 &&
	    input_at(chip, request) == CASCADE)
		in_service &= ~BIT(CASCADE);
	if (request == 8 || best_distance(chip, in_service) <= request)
		return 8;
	return input_at(chip, request);
}

static void chip_set_line(struct pic_chip *chip, unsigned input, bool level)
{
	u8 bit = BIT(input);
	bool rising = level && !(chip->lines & bit);

	chip->lines = level ? chip->lines | bit : chip->lines & ~bit;
	if (chip->elcr & bit ? level : rising)
		chip->irr |= bit;
	else if (!level)
		chip->irr &= ~bit;
}

/* The slave's INTR output is the master's input 2. */
static void update_cascade(struct pic *pic)
{
	struct pic_chip *master = &pic->master;
	bool intr = chip_request(&pic->slave, false) < 8;

	master->lines = intr ? master->lines | BIT(CASCADE) : master->lines & ~BIT(CASCADE);
	master->irr = intr ? master->irr | BIT(CASCADE) : master->irr & ~BIT(CASCADE);
}

void pic_set_line(struct pic *pic, unsigned line, bool level)
{
	if (line == CASCADE || line >= PIC_LINES)
		return;
	chip_set_line(line < 8 ? &pic->master : &pic->slave, line & 7, level);
	update_cascade(pic);
}

static const struct pic_chip *chip_at(const struct pic *pic, unsigned line)
{
	return line < 8 ? &pic->master : &pic->slave;
}

bool pic_masks(const struct pic *pic, unsigned line)
{
	return chip_at(pic, line)->imr & BIT(line & 7);
}

bool pic_holds(const struct pic *pic, unsigned line)
{
	const struct pic_chip *chip = chip_at(pic, line);

	return (chip->irr | chip->isr) & BIT(line & 7);
}

bool pic_pending(const struct pic *pic)
{
	return chip_request(&pic->master, true) < 8;
}

/* Takes an input into service; a level-triggered request stays as long as the line is high. */
static void serve_input(struct pic_chip *chip, unsigned input)
{
	if (!(chip->elcr & BIT(input)))
		chip->irr &= ~BIT(input);
	if (!chip->auto_eoi)
		chip->isr |= BIT(input);
	else if (chip->rotate_on_auto_eoi)
		chip->lowest = input;
}

static u8 chip_acknowledge(struct pic_chip *chip, bool is_master, unsigned *input)
{
	*input = chip_request(chip, is_master);
	if (*input == 8)
		return chip->base + SPURIOUS;
	serve_input(chip, *input);
	return chip->base + *input;
}

u8 pic_acknowledge(struct pic *pic)
{
	unsigned input;
	u8 vector = chip_acknowledge(&pic->master, true, &input);

	if (input == CASCADE)
		vector = chip_acknowledge(&pic->slave, false, &input);
	update_cascade(pic);
	return vector;
}

static void write_icw1(struct pic_chip *chip, u8 value)
{
	u8 elcr = chip->elcr, lines = chip->lines;

	*chip = (struct pic_chip){.elcr = elcr, .lines = lines, .lowest = 7, .step = 2};
	chip->needs_icw4 = value & ICW1_ICW4;
}

/* OCW2: the end of an interrupt, and rotation of priorities. */
static void write_ocw2(struct pic_chip *chip, u8 value)
{
	unsigned distance = best_distance(chip, chip->isr);
	unsigned input = value & OCW2_SPECIFIC ? value & 7u
			 : distance < 8	       ? input_at(chip, distance)
					       : 8;

	if (value & OCW2_EOI) {
		if (input < 8)
			chip->isr &= ~BIT(input);
	} else if (!(value & OCW2_SPECIFIC)) {
		chip->rotate_on_auto_eoi = value & OCW2_ROTATE;
		return;
	}
	if (value & OCW2_ROTATE && input < 8)
		chip->lowest = input;
}

static void write_ocw3(struct pic_chip *chip, u8 value)
{
	if (value & OCW3_POLL)
		chip->poll = true;
	else if (value & OCW3_READ)
		chip->read_isr = value & OCW3_READ_ISR;
	if (value & OCW3_ESMM)
		chip->special_mask = value & OCW3_SMM;
}

static void write_command(struct pic_chip *chip, u8 value)
{
	if (value & ICW1_INIT)
		write_icw1(chip, value);
	else if (value & OCW3)
		write_ocw3(chip, value);
	else
		write_ocw2(chip, value);
}

/*
 * The data port: the mask, or the ICW that is due. The cascade of the PC is always there (ICW1.SNGL
 * ignored).
 */
static void write_data(struct pic_chip *chip, u8 value)
{
	switch (chip->step) {
	case 0:
		chip->imr = value;
		break;
	case 2:
		chip->base = value & 0xf8;
		chip->step = 3;
		break;
	case 3:
		chip->step = chip->needs_icw4 ? 4 : 0;
		break;
	default:
		chip->auto_eoi = value & ICW4_AUTO_EOI;
		chip->special_fully_nested = value & ICW4_SFNM;
		chip->step = 0;
		break;
	}
}

static struct pic_chip *chip_of(struct pic *pic, u16 port)
{
	return port == 0x4d1 || (port & 0x480) == 0x80 ? &pic->slave : &pic->master;
}

u8 pic_read(struct pic *pic, u16 port)
{
	struct pic_chip *chip = chip_of(pic, port);
	unsigned input;
	u8 value;

	if (port >= 0x4d0)
		return chip->elcr;
	if (!chip->poll)
		return port & 1 ? chip->imr : chip->read_isr ? chip->isr : chip->irr;
	chip->poll = false;
	value = chip_acknowledge(chip, chip == &pic->master, &input);
	update_cascade(pic);
	return input < 8 ? 0x80 | (value & 7) : 0;
}

void pic_write(struct pic *pic, u16 port, u8 value)
{
	struct pic_chip *chip = chip_of(pic, port);

	if (port >= 0x4d0)
		chip->elcr = value & (port & 1 ? 0xde : 0xf8); /* 0, 1, 2, 8, 13: always edges */
	else if (port & 1)
		write_data(chip, value);
	else
		write_command(chip, value);
	update_cascade(pic);
}
