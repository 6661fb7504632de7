/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: what the command line chose for address spaces created from now on.
 */
#ifndef SAMEPAGE_MM_SPACE_CONFIG_H
#define SAMEPAGE_MM_SPACE_CONFIG_H

#include <mm/fault.h>
#include <mm/notifier.h>

const struct notifier_policy *config_policy(void);
enum retry_mode config_retry(void);

#endif
