/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asid.h: address space identifiers: the TLB's tag that keeps translations of guests apart (AMD APM
 * vol. 2, 15.16).
 *
 * A pool for each CPU: a TLB is a CPU's own, so an ASID has a meaning on one CPU only. Keyed by
 * stage-2 root: the TLB holds gva -> hpa, made through guest tables and stage 2 together, without
 * the nested CR3; two roots under one ASID would mix. One ASID for a root on a CPU, not one for
 * each vCPU: a flush of a stage 2 on a CPU must reach the translations of every vCPU that ran
 * through it there; this way they have one tag.
 *
 *     slot (hash of root):  root | serial of the last vCPU | asid | generation
 *
 * Another vCPU of the same root must not see its sibling's gva translations: a changed serial takes
 * a new ASID. ASIDs are allocated in order; when they run out the generation ends, the next VMRUN
 * flushes the whole TLB, and every slot of an older generation is empty.
 *
 * Invariants:
 * ASID-1  An ASID is in 1 .. max; 0 is the host's.
 * ASID-2  Within a generation an ASID is allocated once; a new generation sets flush_pending, and
 *         the next entry on this CPU flushes the whole TLB.
 * ASID-3  Two lookups give the same ASID only for the same root and serial. So a flush is a new
 *         serial: the old translations stay under an ASID that is not used again.
 * ASID-4  A vCPU that comes from another CPU has a new serial: what it left here was made before
 *         the guest changed its page tables there (svm_bind() in vcpu.c).
 *
 * Locking: none; a pool belongs to its CPU. Pure, so it is tested on the host.
 */
#ifndef SAMEPAGE_SVM_ASID_H
#define SAMEPAGE_SVM_ASID_H

#include <arch/addr.h>
#include <lib/types.h>

#define ASID_SLOTS 32

struct asid_slot {
	struct hpa root;
	u64 serial;
	u64 generation; /* 0: empty */
	u32 asid;
};

struct asid_pool {
	u32 max;
	u32 last; /* allocated; == max: the next one starts a generation */
	u64 generation;
	bool flush_pending;
	struct asid_slot slot[ASID_SLOTS];
};

/* `count`: as CPUID 8000_000A EBX says, 0 included, so at least 2. What a TLB holds is unknown. */
void asid_init(struct asid_pool *pool, u32 count);

/* The ASID to run with. */
u32 asid_get(struct asid_pool *pool, struct hpa root, u64 serial);

static inline struct asid_slot *asid_slot(struct asid_pool *pool, struct hpa root)
{
	u64 frame = root.raw >> PAGE_SHIFT;

	return &pool->slot[(frame ^ frame >> 5 ^ frame >> 10) % ASID_SLOTS];
}

/* asid_get() for a serial that is new: inline, because each flush of a stage 2 takes one. */
static inline u32 asid_renew(struct asid_pool *pool, struct hpa root, u64 serial)
{
	if (unlikely(pool->last == pool->max)) {
		pool->last = 0;
		pool->generation++;
		pool->flush_pending = true;
	}
	pool->last++;
	*asid_slot(pool, root) = (struct asid_slot){root, serial, pool->generation, pool->last};
	return pool->last;
}

#endif
