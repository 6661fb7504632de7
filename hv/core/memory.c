/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: hv's own structures, by frames.
 */
#include <hv/memory.h>
#include <arch/cpu.h>
#include <mm/frame.h>

void *hv_alloc(size_t size)
{
	struct mfn frame;

	if (frame_alloc(page_order(size), FRAME_HYPERVISOR, FRAME_ZERO, &frame) != 0)
		return NULL;
	return arch_hpa_to_virt(mfn_to_hpa(frame));
}

void hv_free(void *memory, size_t size)
{
	frame_free(hpa_to_mfn(arch_virt_to_hpa(memory)), page_order(size));
}
