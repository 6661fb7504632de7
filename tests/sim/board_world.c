/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_world.c: what the board of a VM calls: memory from libc, a clock that stands still, vCPUs
 * without signals. A test has its own vm_stop().
 */
#include "sim/board_world.h"
#include "sim/sim.h"
#include <arch/cpu.h>
#include <hv/memory.h>
#include <hv/vcpu.h>

void *hv_alloc(size_t size)
{
	return calloc(1, size);
}

void hv_free(void *memory, size_t size)
{
	free(memory);
}

u64 arch_wall_seconds(void)
{
	return 0;
}

void (*board_on_notify)(struct vcpu *vcpu);

void vcpu_notify(struct vcpu *vcpu)
{
	if (board_on_notify)
		board_on_notify(vcpu);
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
}

void vcpu_recheck(struct vcpu *vcpu)
{
}

void vcpu_signal_init(struct vcpu *vcpu)
{
}

void vcpu_signal_sipi(struct vcpu *vcpu, u8 vector)
{
}

void vcpu_pend_nmi(struct vcpu *vcpu)
{
}
