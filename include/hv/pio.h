/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pio.h: port I/O of a guest.
 */
#ifndef SAMEPAGE_HV_PIO_H
#define SAMEPAGE_HV_PIO_H

#include <arch/exit.h>
#include <hv/verdict.h>

struct vcpu;

/* Carries out IN, OUT, INS or OUTS. Owner, loaded, no locks held. */
enum exit_verdict exit_pio(struct vcpu *vcpu, const struct hv_exit *exit);

#endif
