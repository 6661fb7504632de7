/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choice.h: takes back the default of the other configuration, before the one with `mine`.
 */
#ifndef SAMEPAGE_LABS_7_CHOICE_H
#define SAMEPAGE_LABS_7_CHOICE_H

#undef CONFIG_NOTIFIER_POLICY_MASKED

#endif
