/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h: a virtual machine and its virtual CPUs.
 *
 *      vm_create --> CREATED --vm_start--> RUNNING --vm_stop--> STOPPING --last vCPU left--> ENDED
 *
 *      a vCPU: OFF --vcpu_start--> READY <--> HALTED
 *              any of them --its VM stops, its CPU lets go--> GONE
 *
 * Why a vCPU belongs to one CPU for its life: nothing of it then needs a lock on the exit path.
 * Other CPUs reach it through `requests` and a kick alone.
 *
 * Locking, by letter: [I] immutable once the VM runs, [a] atomic, [v] vm->lock, [q] the lock of its
 * CPU's queue, [o] only the CPU that owns the vCPU.
 */
#ifndef SAMEPAGE_HV_VM_H
#define SAMEPAGE_HV_VM_H

#include <arch/virt.h>
#include <hv/config.h>
#include <hv/console.h>
#include <hv/cpuid.h>
#include <hv/lapic.h>
#include <hv/uart.h>
#include <lib/lock.h>
#include <lib/types.h>
#include <mm/addrspace.h>
#include <mm/audit.h>
#include <mm/notifier.h>

struct vm;
struct pc;

enum vcpu_state { VCPU_OFF, VCPU_READY, VCPU_HALTED, VCPU_GONE };

/* What another CPU, or a handler, asks of a vCPU; looked at before each entry. */
enum vcpu_request {
	REQUEST_STOP = 1,	/* the VM is over: leave the run loop */
	REQUEST_EVENT = 2,	/* an interrupt, an NMI or a timer wants a look */
	REQUEST_RESCHEDULE = 4, /* let another vCPU have this CPU */
};

#define VCPU_VECTORS 256
#define VCPU_SIPI    0x100u

struct vcpu {
	struct arch_vcpu arch;		     /* [o] */
	struct vm *vm;			     /* [I] */
	struct vcpu *next;		     /* [q] in its CPU's queue */
	unsigned index;			     /* [I] */
	unsigned cpu;			     /* [I] the CPU that owns it */
	u32 requests;			     /* [a] enum vcpu_request */
	u32 state;			     /* [a] enum vcpu_state; READY <-> HALTED under [v] */
	u64 pending_irqs[VCPU_VECTORS / 64]; /* [a] without a board */
	struct lapic lapic;		     /* with one: [o], but what lapic.h says */
	unsigned traps;			     /* [o] enum virt_trap */
	unsigned trapped;		     /* [o] RDTSCs since the PAUSE that TRAP_TSC is for */
	bool nmi_pending;		     /* [a] */
	bool init_pending;		     /* [a] INIT was signalled, not yet carried out */
	bool waits_for_sipi;		     /* [o] after an INIT */
	u32 sipi;			     /* [a] VCPU_SIPI and the vector of one that has come */
	bool hopeless;			     /* [v] HALTED, and no interrupt can wake it */
	u64 slice_end;			     /* [o] tick at which its turn is over */
	u64 exits[HV_EXIT_REASONS];	     /* [o] */
	u64 runtime;			     /* [q] what the scheduler compares, in ticks */
	u64 used;			     /* [o] ticks it has had a CPU */
	u64 slices;			     /* [o] times it was given one */
	u64 rests_until;    /* [o] tick before which it is not picked; 0: it does not rest */
	u64 injected;	    /* [o] exceptions we raised in it */
	u64 lost_accesses;  /* [o] to memory that is not there */
	u64 starving_since; /* [o] tick of its first fault without a frame; 0: none */
	u64 starved;	    /* [o] times it waited for a frame; the first one is said */
	u64 scratch;	    /* [o] MACHINE_MSR_SCRATCH */
};

enum vm_state { VM_CREATED, VM_RUNNING, VM_STOPPING, VM_ENDED };

/* Why a VM stopped. The first reason given is the one that counts. */
enum vm_end {
	VM_END_SHUTDOWN, /* it asked to, with a status */
	VM_END_HALTED,	 /* all its vCPUs sleep and nothing can wake them */
	VM_END_REBOOT,	 /* it asked for a restart, which is an end here */
	VM_END_TRIPLE_FAULT,
	VM_END_NO_MEMORY,    /* the machine has no frame left for it */
	VM_END_UNHANDLED,    /* it did what hv does not handle; its state was dumped */
	VM_END_ENTRY_FAILED, /* the CPU refused its state */
	VM_END_KILLED,	     /* by the user */
	VM_ENDS
};

/*
 * What the subscribers of one kind were told, by event: how often to drop a range, and how many
 * changed pages they were handed.
 */
struct vm_subscriber_stats {
	const char *name;
	unsigned count;
	u64 drops[EVENTS], changes[EVENTS];
};
#define VM_SUBSCRIBERS_MAX 4 /* kinds: stage 2, guest cache, dirty tracker, tracer */

/*
 * What its memory was made of, and what its notifier and stage 2 had done, when it ended; for the
 * summary.
 */
struct vm_memory_stats {
	struct addrspace_pages pages; /* as merging had left them */
	u64 absent;		      /* pages of its slots that nothing stood behind */
	struct vm_subscriber_stats subscribers[VM_SUBSCRIBERS_MAX];
	struct stage2_stats stage2;
	const char *policy;
	u64 notifications[EVENTS], unwanted[EVENTS];
};

struct vm {
	struct vm_config config;		   /* [I] */
	unsigned id;				   /* [I] from 1; the back end's address-space id */
	struct addrspace *memory;		   /* [I] */
	struct stage2 *stage2;			   /* [I] */
	struct guest_cache *cache[VM_DEVICES_MAX]; /* [I] config.devices of them */
	struct vcpu *vcpu[VM_VCPUS_MAX];	   /* [I] config.vcpus of them */
	struct spinlock lock;
	enum vm_state state;		     /* [a] changed under [v] */
	enum vm_end end;		     /* [v] valid from STOPPING on */
	u64 status;			     /* [v] of VM_END_SHUTDOWN */
	unsigned awake;			     /* [v] vCPUs that run or may run again */
	unsigned held;			     /* [v] vCPUs not yet GONE, and vm_hold()s */
	struct cpuid_table cpuid;	     /* [I] */
	struct console console;		     /* its own lock */
	struct uart uart;		     /* console.lock */
	struct pc *pc;			     /* [I] the board, or NULL */
	struct guest_state reset;	     /* [I] of a vCPU; with a board */
	struct audit_report audit;	     /* of its memory, when it had ended */
	struct vm_memory_stats memory_stats; /* likewise */
	u64 lost_ports;			     /* [a] accesses to ports where nothing is */
	u64 exits[HV_EXIT_REASONS];	     /* [v] sums of vCPUs that are GONE */
	u64 slices, used, injected, lost_accesses, starved; /* [v] likewise */
};

/*
 * Makes a VM with `config`: address space, stage 2, vCPUs, all OFF, and vCPU 0 in the state after
 * RESET. ERR_NO_MEMORY, ERR_EXISTS (the name is taken), ERR_RANGE (too many VMs); nothing is left.
 */
int vm_create(const struct vm_config *config, struct vm **out) __must_check;

/* Undoes vm_create for a VM that never ran. */
void vm_discard(struct vm *vm);

/* Hands vCPU 0 to its CPU. The VM runs from here on, perhaps before this returns. */
void vm_start(struct vm *vm);

/*
 * Ends a VM, from any CPU and any context that may take LOCK_VM. Its vCPUs leave their CPUs soon
 * after; a second stop is ignored. `status` counts for VM_END_SHUTDOWN.
 */
void vm_stop(struct vm *vm, enum vm_end end, u64 status);

/*
 * Its CPU has let go of the vCPU for good (unloaded, out of the queue). The last one takes the VM
 * down: memory, tables, vCPUs. The struct vm stays for the summary.
 */
void vm_release_vcpu(struct vcpu *vcpu);

/*
 * Keeps a running VM's parts (vCPUs, board, memory) until vm_let_go(), from any CPU; false: it does
 * not run, and nothing is held. No locks held: letting go may take the VM down.
 */
bool vm_hold(struct vm *vm) __must_check;
void vm_let_go(struct vm *vm);

/* The VMs there are, by number from 0, NULL past the end; and how many have not ended. */
struct vm *vm_get(unsigned number);
struct vm *vm_find(const char *name);
unsigned vm_count_alive(void);

/* Frees what is left of ended VMs. */
void vm_forget_all(void);

const char *vm_end_name(enum vm_end end);

#endif
