/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall.h: the hypervisor's side of <abi/hypercall.h>.
 */
#ifndef SAMEPAGE_HV_HYPERCALL_H
#define SAMEPAGE_HV_HYPERCALL_H

#include <hv/exit.h>

/* Owner, loaded. The handler of HV_EXIT_HYPERCALL. */
enum exit_verdict exit_hypercall(struct vcpu *vcpu, const struct hv_exit *exit);

#endif
