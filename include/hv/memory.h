/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h: memory for hv's own few, large, long-lived structures: whole frames, zeroed.
 */
#ifndef SAMEPAGE_HV_MEMORY_H
#define SAMEPAGE_HV_MEMORY_H

#include <lib/types.h>

/* Page aligned and zeroed; NULL when no frame is left. hv_free() takes the same size. */
void *hv_alloc(size_t size);
void hv_free(void *memory, size_t size);

#endif
