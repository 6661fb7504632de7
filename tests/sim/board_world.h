/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_world.h: what board_world.c lets a test see of the board's calls.
 */
#ifndef SAMEPAGE_TESTS_SIM_BOARD_WORLD_H
#define SAMEPAGE_TESTS_SIM_BOARD_WORLD_H

struct vcpu;

/* At each vcpu_notify(); NULL: nothing. */
extern void (*board_on_notify)(struct vcpu *vcpu);

#endif
