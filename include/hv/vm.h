/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h: a virtual machine, its virtual CPUs, and the states of both.
 *
 *      vm_create --> CREATED --vm_start--> RUNNING --vm_stop--> STOPPING --last reference--> DEAD
 *                                                                     the run loop, vm_destroy |
 *                                                                                              v
 *                                                                             ENDED <-- DESTROYING
 *
 *      a vCPU: OFF --vcpu_start--> READY <--> HALTED
 *              any of them --its VM stops, its CPU releases it--> GONE
 *
 * A vCPU belongs to one CPU for its life, so the exit path needs no lock for it. Other CPUs reach
 * it by `requests`, `signals` and a kick alone.
 *
 * Rooms above core define the board, the UART and the CPUID table; a VM has pointers to them, and
 * vm.c allocates them.
 *
 * Locking, by letter: [I] immutable once the VM runs, [a] atomic, [v] vm->lock, [q] the lock of its
 * CPU's queue, [o] the CPU that owns the vCPU alone.
 */
#ifndef SAMEPAGE_HV_VM_H
#define SAMEPAGE_HV_VM_H

#include <arch/cpu.h>
#include <arch/virt.h>
#include <ck_pr.h>
#include <hv/console.h>
#include <hv/vm_config.h>
#include <lib/lock.h>
#include <lib/types.h>
#include <mm/addrspace.h>
#include <mm/audit.h>
#include <mm/merge.h>
#include <mm/notifier.h>
#include <mm/stage2.h>

struct cpuid_table;
struct insn_memo;
struct irqchip_ops;
struct lapic;
struct mirror;
struct pc;
struct uart;
struct vm;

enum vcpu_state { VCPU_OFF, VCPU_READY, VCPU_HALTED, VCPU_GONE };

/* Work for a vCPU's owner, from another CPU or from a handler; read before each entry. */
enum vcpu_request {
	REQUEST_STOP = 1,	/* the VM stops: leave the run loop */
	REQUEST_EVENT = 2,	/* an interrupt, an NMI, a signal or a timer has changed */
	REQUEST_RESCHEDULE = 4, /* leave the CPU to another vCPU */
	REQUEST_DEVICES = 8,	/* devices of its VM have work (pci.h) */
	REQUEST_PREEMPT = 16,	/* another vCPU of the CPU has woken: RUN-5 */
};

/* Signals to a vCPU, which its owner follows before the next entry (start.c). */
enum vcpu_signal {
	SIGNAL_VECTOR = 0xff, /* of the SIPI */
	SIGNAL_SIPI = 0x100,
	SIGNAL_INIT = 0x200,
	SIGNAL_START = 0x400, /* with the state in `start` */
};

/* The state that vcpu_start() gives a vCPU. */
struct vcpu_start {
	struct guest_state state;
	u64 rsp, rdi;
};

#define VCPU_VECTORS 256

/*
 * Time in the handlers of exits. The first of every EXIT_SAMPLE exits of a reason is timed, so that
 * the others pay for a test alone. Bucket n: 2^n to 2^(n+1) - 1 ticks; the last one has the rest.
 */
#define EXIT_SAMPLE  64
#define EXIT_BUCKETS 24
struct exit_times {
	u64 ticks[HV_EXIT_REASONS];
	u32 bucket[HV_EXIT_REASONS][EXIT_BUCKETS];
};

/*
 * A count of exits, which also says when one is timed. The top byte steps by 2 from 0 to 128, which
 * is EXIT_SAMPLE exits, and overflows as a signed number there; then it goes into the other seven.
 * Each step is one store, so other CPUs read the right number at any time.
 */
struct exit_count {
	u64 word;
};

#define EXIT_COUNT_BITS 56
#define EXIT_COUNT_TOP	7 /* byte */
_Static_assert(EXIT_SAMPLE == 64, "steps up to the overflow");

static inline u64 exit_count(const struct exit_count *count)
{
	u64 word = ck_pr_load_64(&count->word);

	return (word + (word >> (EXIT_COUNT_BITS + 1))) & BITS(EXIT_COUNT_BITS - 1, 0);
}

/* None yet; the first one is timed. */
static inline void exit_count_init(struct exit_count *count)
{
	count->word = 126ull << EXIT_COUNT_BITS | (-63ull & BITS(EXIT_COUNT_BITS - 1, 0));
}

/* Counts one. True: it is timed, and exit_count_fold() must follow. */
static __always_inline bool exit_count_step(struct exit_count *count)
{
	return arch_step_overflows((s8 *)&count->word + EXIT_COUNT_TOP);
}

static inline void exit_count_fold(struct exit_count *count)
{
	ck_pr_store_64(&count->word, exit_count(count));
}

/* Fixed ranges, by index, and the default type (hv/cpu/mtrr.c). */
#define MTRRS_FIXED 11
struct mtrrs {
	u64 fixed[MTRRS_FIXED], default_type;
};

/*
 * A wait for a frame (hv/core/starve.c); all [o].
 *
 * since	tick of the first try
 * last		and of the last one
 * place	the instruction that waits; 0: no wait
 */
struct frame_wait {
	u64 since, last, place;
};
enum frame_waiter { WAITER_INSN, WAITER_DEVICES, FRAME_WAITERS };

struct vcpu {
	struct arch_vcpu arch;		     /* [o] */
	struct vm *vm;			     /* [I] */
	struct vcpu *next;		     /* [q] in its CPU's queue */
	unsigned index;			     /* [I] */
	unsigned cpu;			     /* [I] the CPU that owns it */
	struct stage2 *stage2;		     /* [I] its VM's, or the view */
	u32 requests;			     /* [a] enum vcpu_request */
	u32 state;			     /* [a] enum vcpu_state; READY <-> HALTED under [v] */
	u64 pending_irqs[VCPU_VECTORS / 64]; /* [a] without a board */
	u64 priority;			     /* [o] CR8, without a board */
	struct lapic *lapic;		     /* [I] with a board, else NULL; content: lapic.h */
	struct insn_memo *memos;	     /* [I] with a board, else NULL; content: [o] */
	unsigned traps;			     /* [o] enum virt_trap */
	unsigned trapped;		     /* [o] RDTSCs since the PAUSE that TRAP_TSC is for */
	u32 nmis;			     /* [a] pending, two at most */
	u32 signals;			     /* [a] enum vcpu_signal */
	struct vcpu_start start;	     /* written under [v] while OFF, then [o] */
	bool waits_for_sipi;		     /* [o] before its start, and after an INIT */
	bool unwakeable;		     /* [v] HALTED, and no interrupt can wake it */
	u64 slice_end;			     /* [o] tick at which its turn is over */
	u64 keep_until;			     /* [o] before it no other's wake-up ends its turn */
	u64 timers_rest;		     /* [o] tick before which none of its timers runs */
	struct exit_count exits[HV_EXIT_REASONS]; /* [o] */
	struct exit_times times;		  /* [o] */
	u64 runtime;				  /* [q] what the scheduler compares, in ticks */
	u64 used;				  /* [o] ticks on a CPU */
	u64 slices;				  /* [o] turns on a CPU */
	u64 ready_since;			  /* [q] tick from which it waits for its CPU */
	u64 stolen;				  /* [q] ticks that it waited so */
	u64 rests_until;   /* [o] tick before which it is not picked; 0: it does not rest */
	u64 injected;	   /* [o] exceptions that hv raised */
	u64 lost_accesses; /* [o] to memory that is not there */
	u64 starved;	   /* [o] waits for a frame; the first one is logged */
	struct frame_wait wait[FRAME_WAITERS]; /* [o] */
	u64 scratch;			       /* [o] MACHINE_MSR_SCRATCH */
	struct mtrrs mtrrs;		       /* [o] */
};

enum vm_state { VM_CREATED, VM_RUNNING, VM_STOPPING, VM_DEAD, VM_DESTROYING, VM_ENDED };

/* Why a VM stopped. The first reason given is the one that counts. */
enum vm_end {
	VM_END_SHUTDOWN, /* by its own request, with a status */
	VM_END_HALTED,	 /* all its vCPUs sleep and nothing can wake them */
	VM_END_REBOOT,	 /* it requested a restart, which is an end here */
	VM_END_TRIPLE_FAULT,
	VM_END_NO_MEMORY,    /* the machine has no frame left for it */
	VM_END_UNHANDLED,    /* it did what hv does not handle; its state was dumped */
	VM_END_ENTRY_FAILED, /* the CPU refused its state */
	VM_END_KILLED,	     /* by the user */
	VM_ENDS
};

/*
 * Callbacks of the subscribers of one kind, by event: invalidations of a range, and pages passed
 * to change_pte.
 */
struct vm_subscriber_stats {
	const char *name;
	unsigned count;
	u64 drops[EVENTS], changes[EVENTS];
	struct subscriber_work work;
};
#define VM_SUBSCRIBERS_MAX 6 /* kinds: stage 2, guest cache, those of mm/mirror.h */

/* The state of its memory, notifier and stage 2 when it ended; for the summary. */
struct vm_memory_stats {
	struct addrspace_pages pages; /* as merging had left them */
	u64 absent;		      /* pages of its slots without backing */
	struct vm_subscriber_stats subscribers[VM_SUBSCRIBERS_MAX];
	struct stage2_stats stage2;
	char policy[POLICY_TEXT_MAX];
	u64 notifications[EVENTS], unwanted[EVENTS];
	u64 breaks, ahead, merge_metadata, merge_reasons[MERGE_REASONS];
};

/* Where typed bytes go instead of the UART, while it is open. Any CPU, no locks, the VM held. */
struct vm_input {
	bool (*is_open)(void *context);
	bool (*has_room)(void *context);
	void (*type)(void *context, u8 byte);
	void *context;
};

/* Bytes of its memory that sharing saves it (mm/inspect.h), and less metadata. */
struct vm_share {
	u64 resident, part, saved;
	s64 profit;
};

#define VM_REFUSED_MSRS 16 /* lines of the log for refused MSRs */

struct vm {
	struct vm_config config;  /* [I] */
	unsigned id;		  /* [I] from 1; the back end's address-space id */
	struct addrspace *memory; /* [I] */
	u64 rom_start, rom_end;	  /* [I] its ROM: a slot that no write of the guest changes */
	struct stage2 *stage2;	  /* [I] */
	struct stage2 *view;	  /* [I] of the last vCPU (subscriber=view), or NULL */
	struct guest_cache *cache[VM_DEVICES_MAX]; /* [I] config.devices of them */
	struct mirror **mirror;			   /* [I] */
	unsigned mirrors;			   /* [I] */
	struct vcpu *vcpu[VM_VCPUS_MAX];	   /* [I] config.vcpus of them */
	struct spinlock lock;
	unsigned state;			     /* [a] enum vm_state, changed under [v] */
	enum vm_end end;		     /* [v] valid from STOPPING on */
	u64 status;			     /* [v] of VM_END_SHUTDOWN */
	unsigned awake;			     /* [v] vCPUs that run or may run again */
	unsigned held;			     /* [v] vCPUs not yet GONE, and vm_hold()s */
	const struct irqchip_ops *irqchip;   /* [I] */
	const struct cpuid_table *cpuid;     /* [I] */
	struct console console;		     /* its own lock */
	struct uart *uart;		     /* [I]; content: console.lock */
	struct pc *pc;			     /* [I] the board, or NULL */
	struct vm_input input;		     /* [I] without functions: the UART alone */
	struct guest_state reset;	     /* [I] of a vCPU; with a board */
	struct audit_report audit;	     /* of its memory, when it had ended */
	struct vm_memory_stats memory_stats; /* likewise */
	struct vm_share share;		     /* likewise */
	u32 paused;			     /* [a] its vCPUs are not picked */
	u64 lost_ports;			     /* [a] accesses to ports without a device */
	u32 text_used; /* [a] with a board: it has touched the VGA's text buffer */
	u32 refused_msr[VM_REFUSED_MSRS]; /* [a] indexes that are in the log; 0: free */
	u64 exits[HV_EXIT_REASONS];	  /* [v] sums of vCPUs that are GONE */
	u64 slices, used, stolen, injected, lost_accesses, starved; /* [v] likewise */
	struct exit_times times;				    /* [v] likewise */
};

/*
 * Ends a VM, from any CPU and any context that may take LOCK_VM. Its vCPUs leave their CPUs soon
 * after; a second stop is ignored. `status` counts for VM_END_SHUTDOWN.
 */
void vm_stop(struct vm *vm, enum vm_end end, u64 status);

/*
 * Keeps a running VM's parts (vCPUs, board, memory) until vm_release(), from any CPU; false: it
 * does not run, and nothing is held. Both take LOCK_VM. The last release marks the VM DEAD and
 * destroys nothing.
 */
bool vm_hold(struct vm *vm) __must_check;
void vm_release(struct vm *vm);

/* Its vCPUs leave their CPUs and are not picked until it is resumed. Any CPU; a VM that is held. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);

/* The vCPU is unloaded and out of its CPU's queue for good. Releases the VM. */
void vm_release_vcpu(struct vcpu *vcpu);

/*
 * The VMs there are, by number from 0, NULL past the end; and how many have not ended. The list
 * changes only before the first VM runs and after the last has ended.
 */
struct vm *vm_get(unsigned number);
struct vm *vm_find(const char *name);
unsigned vm_count_alive(void);

/* Adds to the list, removes the last of the list. ERR_RANGE: too many. */
int vm_list_add(struct vm *vm) __must_check;
void vm_list_remove(struct vm *vm);

/* Run loop: a DEAD VM, which the caller alone destroys, or NULL; it is ENDED then. */
struct vm *vm_take_dead(void);
void vm_mark_ended(struct vm *vm);

const char *vm_end_name(enum vm_end end);

/* The counters of its stage 2, and of its view. A VM that is held. Takes LOCK_MMU. */
void vm_stage2_stats(const struct vm *vm, struct stage2_stats *out);

#endif
