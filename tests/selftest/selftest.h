/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.h: faults on purpose, to see that the CPU layer reports them right.
 */
#ifndef SAMEPAGE_TESTS_SELFTEST_SELFTEST_H
#define SAMEPAGE_TESTS_SELFTEST_SELFTEST_H

#include <lib/types.h>

/*
 * Runs the self-test that the command line names (selftest=NAME), on the CPU it names
 * (selftest-cpu=N) or on all, as the test needs. Every CPU calls it once all are up. Most tests end
 * in the panic they are about; tests/boot checks what it says.
 */
void selftest_run(void);

/* selftest=virt: the back end against its contract; turns it on for that, and off again. */
void selftest_virt(void);

/* selftest=merge: 100 times address spaces that share pages; every frame comes back. */
void selftest_merge(void);

/*
 * Part of it: breaks `good` in `count` random ways and enters what set_state takes. False when the
 * CPU refused to enter one of those. Afterwards the vCPU has the state `good`.
 */
struct arch_vcpu;
struct guest_state;
bool selftest_states(struct arch_vcpu *vcpu, const struct guest_state *good, unsigned count);

#endif
