/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab.h: what stands in place of a function of a lab: a log line, once.
 */
#ifndef SAMEPAGE_LIB_LAB_H
#define SAMEPAGE_LIB_LAB_H

#include <lib/log.h>

#define LAB_IS_YOURS(number, function)                                                       \
	do {                                                                                 \
		static bool lab_logged;                                                      \
		if (!lab_logged)                                                             \
			log_line(LOG_MM, LOG_WARN, "lab %d: %s is yours", number, function); \
		lab_logged = true;                                                           \
	} while (0)

#endif
