/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.h: the PCI bus of a virtual PC: configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2), a
 * host bridge, and one function for each device of the VM.
 *
 *     port cf8, cfc --> address, data --> config space of a function: bytes, and which may change
 *     fault at gpa  --> memory of a BAR --> BAR 0: the device's registers (pci_ops)
 *                                           BAR 1: MSI-X table and pending bits
 *     function --MSI-X message--> local APICs;  --INTA--> IRQ 10 or 11 of the PIC and the I/O APIC
 *
 * A device is a struct pci_ops. Its work (requests of a queue) is never done in a register access:
 * the access sets a bit of `work`, and the vCPU does a bounded piece at each pass of its run loop
 * (REQUEST_DEVICES) until no bit is left.
 *
 * Invariants:
 * PCI-1  a function that is not there reads all ones; the address register holds what is written to
 *        it.
 * PCI-2  a write changes only the bits of config space that the table `writable` names.
 * PCI-3  the level of INTA is that of the wires of all functions on it, whatever order they change
 *        in.
 *
 * Locking: function->lock (LOCK_PCI) guards a function and the device around it; it comes before
 * every lock of mm, so a device may reach guest memory under it. The bus itself is immutable once
 * the VM runs, but for the address register, which is atomic.
 */
#ifndef SAMEPAGE_HV_PCI_H
#define SAMEPAGE_HV_PCI_H

#include <arch/addr.h>
#include <lib/lock.h>
#include <lib/types.h>

struct vcpu;
struct vm;
struct pci_function;

enum pci_port { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc }; /* four bytes each */

#define PCI_SLOTS	 32
#define PCI_CONFIG_SIZE	 256
#define PCI_BARS	 2
#define PCI_VECTORS_MAX	 8
#define PCI_IRQS	 2
#define PCI_IRQ_FIRST	 10
#define PCI_WINDOW_START 0xe0000000ull /* where BARs lie; in the hole below 4 GiB (ram.h) */
#define PCI_WINDOW_SIZE	 0x1ec00000ull /* up to the I/O APIC */
#define PCI_SLOT_WINDOW	 0x10000u

enum pci_register {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x09,
	PCI_BAR = 0x10,
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
};
#define PCI_COMMAND_MEMORY   BIT(1)
#define PCI_COMMAND_MASTER   BIT(2)
#define PCI_COMMAND_INTX_OFF BIT(10)

/*
 * bar_read, bar_write: `size` bytes (1, 2, 4) at `offset`, inside BAR 0.
 * config_reads, config_written: before bytes of config space are read, after they were written; may
 * be NULL.
 * work: one bounded piece of what the bits of function->work stand for. It clears the bits that are
 * done. ERR_NO_MEMORY: the rest needs a frame and there is none.
 * All with function->lock held.
 * wake: no lock held; devices of other VMs that function->others names have work now. The device
 * numbers them; NULL: it sets no others.
 * destroy: the VM is gone; frees the device.
 */
struct pci_ops {
	u32 (*bar_read)(struct pci_function *function, u32 offset, unsigned size);
	void (*bar_write)(struct pci_function *function, u32 offset, unsigned size, u32 value);
	void (*config_reads)(struct pci_function *function, unsigned reg, unsigned size);
	void (*config_written)(struct pci_function *function, unsigned reg, unsigned size);
	int (*work)(struct pci_function *function);
	void (*wake)(struct pci_function *function, u32 others);
	void (*destroy)(struct pci_function *function);
};

struct msix_entry {
	u32 address_low, address_high, data, control;
};

struct pci_function {
	const struct pci_ops *ops; /* [I] */
	struct vm *vm;		   /* [I] */
	struct pci *bus;	   /* [I] */
	unsigned slot;		   /* [I] */
	unsigned vectors;	   /* [I] of MSI-X */
	unsigned msix;		   /* [I] place of the MSI-X capability in config space */
	u32 bar_size[PCI_BARS];	   /* [I] */
	struct spinlock lock;
	u8 config[PCI_CONFIG_SIZE];
	u8 writable[PCI_CONFIG_SIZE]; /* [I] bits that a guest may change */
	struct msix_entry table[PCI_VECTORS_MAX];
	u32 pending;	       /* vectors raised while masked */
	u32 fire;	       /* vectors to send when the lock is released */
	u32 others;	       /* devices of other VMs to wake when the lock is released */
	bool intx;	       /* the device requests an interrupt by wire */
	u32 wire;	       /* [a] level at INTA */
	u32 bar[PCI_BARS];     /* [a] guest-physical place, 0: not decoded */
	u32 work;	       /* [a] the device's, a bit each */
	unsigned capabilities; /* [I] end of the last capability */
};

/*
 * The bus' surroundings: a message is a write of `data` to `address` (SDM vol. 3A, 11.11); follow:
 * the level of wire n is to be computed again by pci_wire(). No locks held.
 */
struct pci_board {
	void (*message)(void *context, u32 address, u32 data);
	void (*follow)(void *context, unsigned wire);
};

struct pci {
	const struct pci_board *board;		  /* [I] */
	void *context;				  /* [I] of the board */
	u32 address;				  /* [a] */
	struct pci_function *function[PCI_SLOTS]; /* [I] slot 0 is the host bridge */
};

void pci_init(struct pci *pci, const struct pci_board *board, void *context);

/* The level of a wire now. Any lock. */
bool pci_wire(const struct pci *pci, unsigned wire);

/* Vendor and device in `id`, vendor first; base class, subclass, interface in `class`. */
struct pci_identity {
	u16 vendor, device;
	u32 class;
	u16 subsystem;
	u8 revision;
};

/*
 * A function with BAR 0 of `bar_size` bytes (a power of two), and BAR 1 with `vectors` vectors of
 * MSI-X. Before its VM runs; then capabilities are added, then it is attached.
 */
void pci_function_init(struct pci_function *function, const struct pci_ops *ops,
		       const struct pci_identity *identity, u32 bar_size, unsigned vectors);

/* Room for a capability of `size` bytes with id and link, at the end of the list: its place. */
unsigned pci_add_capability(struct pci_function *function, u8 id, unsigned size);

/* Little-endian fields of config space. */
u32 pci_config_get(const struct pci_function *function, unsigned reg, unsigned size);
void pci_config_set(struct pci_function *function, unsigned reg, unsigned size, u32 value);

/* The next free slot of the VM's bus. Before the VM runs. ERR_RANGE: none. */
int pci_attach(struct pci *pci, struct vm *vm, struct pci_function *function) __must_check;

/*
 * The registers "interrupt line" of all functions become read-only: the firmware of a VM would
 * write the wires of another board. Before the VM runs, when all are attached.
 */
void pci_fix_lines(struct pci *pci);

/* Destroys all functions. No vCPU of the VM is left. */
void pci_destroy(struct pci *pci);

/* Lock held. MSI-X in use; else interrupts go by `intx`. Raises a vector, sent at the unlock. */
bool pci_uses_msix(const struct pci_function *function);
void pci_raise(struct pci_function *function, unsigned vector);

/*
 * Releases the lock, then sends the messages, follows the wire, wakes the others. Takes
 * LOCK_DEVICE, LOCK_VM.
 */
void pci_unlock(struct pci_function *function) LOCK_RELEASE(&function->lock);

/* Lock held. Config space and BARs of a function; bus.c calls them. */
u32 pci_function_config_read(struct pci_function *function, unsigned reg, unsigned size);
void pci_function_config_write(struct pci_function *function, unsigned reg, unsigned size,
			       u32 value);
u32 pci_function_bar_read(struct pci_function *function, unsigned bar, u32 offset, unsigned size);
void pci_function_bar_write(struct pci_function *function, unsigned bar, u32 offset, unsigned size,
			    u32 value);

/* A byte of the address register. */
u8 pci_read(const struct pci *pci, u16 port);
void pci_write(struct pci *pci, u16 port, u8 value);

/*
 * An access of `size` bytes (1, 2, 4) that begins in the data register, as one. Returns how many of
 * the bytes lie in it; the others read all ones. No locks held.
 */
unsigned pci_data_read(struct pci *pci, u16 port, unsigned size, u32 *value);
unsigned pci_data_write(struct pci *pci, u16 port, unsigned size, u32 value);

/* Owner. An access of 1, 2, 4 or 8 bytes to a BAR; false: no BAR is there. No locks held. */
bool pci_mmio_read(struct pci *pci, struct gpa gpa, unsigned size, u64 *value) __must_check;
bool pci_mmio_write(struct pci *pci, struct vcpu *vcpu, struct gpa gpa, unsigned size,
		    u64 value) __must_check;

/*
 * A read, and the write that `update` makes of it, in one hold of the function's lock, as an
 * instruction with LOCK does them. update: true: *value is written back; it takes no lock.
 */
typedef bool (*device_update)(void *context, u64 *value);
bool pci_mmio_update(struct pci *pci, struct vcpu *vcpu, struct gpa gpa, unsigned size,
		     device_update update, void *context) __must_check;

/*
 * Any CPU, no locks held, the VM is held. Bits of a function's work that come from elsewhere; a
 * vCPU does them, and wakes for them when it sleeps.
 */
void pci_request_work(struct pci_function *function, u32 bits);

/*
 * Owner. A piece of work of each device that has some. True: some is left. *starved: a device
 * waits for a frame. No locks held.
 */
bool pci_run(struct pci *pci, bool *starved) __must_check;

#endif
