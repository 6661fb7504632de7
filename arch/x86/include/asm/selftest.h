/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.h: faults on purpose, to see that the CPU layer tells them right.
 */
#ifndef SAMEPAGE_ASM_SELFTEST_H
#define SAMEPAGE_ASM_SELFTEST_H

/*
 * Runs the self-test `name` (command line: selftest=NAME). "" runs none; an unknown name is an
 * error in the log. Most end in the panic they are about; tests/boot checks what it says.
 */
void selftest_run(const char *name);

#endif
