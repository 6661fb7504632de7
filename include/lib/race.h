/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.h: places where the host's interleaving tests may switch to another simulated CPU.
 *
 * On the machine RACE_POINT() is empty; the host build defines SAMEPAGE_RACE_POINTS and a test
 * steers each race by the names of the points. A point stands only where no lock is held, or where
 * the text at it says which.
 */
#ifndef SAMEPAGE_LIB_RACE_H
#define SAMEPAGE_LIB_RACE_H

#ifdef SAMEPAGE_RACE_POINTS
void race_point(const char *name);
#define RACE_POINT(name) race_point(name)
#else
#define RACE_POINT(name) ((void)0)
#endif

#endif
