/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_world.h: a piece of machine memory that a test fills in as a loader or a firmware would, and
 * the parsers' outputs.
 *
 * The memory is exactly as large as the test says, in an allocation of its own, so that ASan sees a
 * reader that goes beyond it; the reader itself refuses, as it does on the machine.
 */
#ifndef SAMEPAGE_TESTS_SIM_BOOT_WORLD_H
#define SAMEPAGE_TESTS_SIM_BOOT_WORLD_H

#include "boot/parse.h"
#include "sim/sim.h"

struct boot_world {
	u64 base;
	size_t size;
	u8 *bytes;
	size_t end; /* where put() goes on */
	struct boot_reader reader;
	struct boot_info info;
	struct boot_map map;
};

/* `size` zero bytes at machine address `base`; the console is empty. */
struct boot_world *world_new(u64 base, size_t size);
void world_free(struct boot_world *world);

/* Appends bytes, or a number of that width; returns its machine address. */
u64 put(struct boot_world *world, const void *bytes, size_t length);
u64 put_text(struct boot_world *world, const char *text);
u64 put8(struct boot_world *world, u8 value);
u64 put16(struct boot_world *world, u16 value);
u64 put32(struct boot_world *world, u32 value);
u64 put64(struct boot_world *world, u64 value);
/* Moves on to a multiple of `alignment`. */
void put_align(struct boot_world *world, size_t alignment);
/* Overwrites 32 bits at a machine address. */
void poke32(struct boot_world *world, u64 address, u32 value);
/* Sets the byte at `sum` so that the `length` bytes at `start` add up to 0. */
void put_checksum(struct boot_world *world, u64 start, size_t length, u64 sum);

/* The console must, or must not, have said this. */
void assert_said(const char *text);
void assert_not_said(const char *text);

/*
 * What the header of boot_info.h promises, whatever went in: strings end, counts fit, usable
 * ranges hold BOOT-4.
 */
void assert_sound(const struct boot_info *info, const struct boot_map *map);
/* Takes the parsed map through all of memory.c and checks again. */
void finish_memory(struct boot_world *world);

#endif
