/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc.h: the virtual PC around a VM's CPUs: interrupt controllers, timers, clock, ACPI hardware.
 *
 *     PIT      --IRQ 0--+
 *     keyboard --IRQ 1--+--> PIC --INTR--> LINT0 --+
 *     UART     --IRQ 4--+                          +--> local APIC of each vCPU --> the vCPU
 *     clock    --IRQ 8--+--> I/O APIC -------------+
 *
 * Why a board: the chips (pic.h, pit.h, rtc.h, i8042.h, vga.h, ioapic.h, lapic.h, pm.h, pci.h,
 * fw_cfg.h) are models without surroundings. The board is the wires between them, the one lock over
 * them, and time.
 *
 * Locking: pc->lock, rank LOCK_DEVICE, guards all chips but the local APICs, which belong to their
 * vCPU. A wire that reaches a vCPU is noted in `notify`, and vcpu_notify() follows the release of
 * the lock, because waking takes LOCK_VM.
 */
#ifndef SAMEPAGE_HV_PC_H
#define SAMEPAGE_HV_PC_H

#include <arch/exit.h>
#include <hv/fw_cfg.h>
#include <hv/i8042.h>
#include <hv/ioapic.h>
#include <hv/irqchip.h>
#include <hv/lapic.h>
#include <hv/pci.h>
#include <hv/pic.h>
#include <hv/pit.h>
#include <hv/pm.h>
#include <hv/rtc.h>
#include <hv/vga.h>
#include <hv/vm_config.h>
#include <lib/lock.h>
#include <lib/types.h>

struct vm;
struct vcpu;

#define PC_ROM_START 0xc0000ull /* the place of firmware: reads zero, so that searches end */

enum pc_irq { PC_IRQ_TIMER = 0, PC_IRQ_KEYBOARD = 1, PC_IRQ_UART = 4, PC_IRQ_CLOCK = 8 };
#define PC_PIN_TIMER 2 /* IRQ 0 at the I/O APIC; the others have their own number there */

struct pc {
	struct spinlock lock;
	struct vm *vm;	/* [I] */
	u64 start;	/* [I] tick of power-on */
	u64 start_time; /* [I] the date then, in microseconds since 1970 */
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct ioapic ioapic;
	u64 due;	/* [a] the earlier of the two below */
	u64 pit_due;	/* tick of the PIT's next rise, TICK_NEVER for none */
	u64 rtc_due;	/* likewise of the clock's interrupt */
	u64 pit_seen;	/* the PIT's clock up to which its rises are counted */
	u32 pit_counts; /* [a] it is periodic, and the I/O APIC listens */
	u64 pit_owed;	/* [a] rises counted and not yet raised (ticks.c) */
	u32 notify;	/* vCPUs to notify when the lock is released, a bit each */
	struct pm pm;
	enum pm_request request; /* of the write that is under way, carried out after it */
	struct pci pci;
	struct fw_cfg fw_cfg;
	void *files;	   /* [I] content of fw_cfg's files, or NULL */
	size_t files_size; /* [I] bytes allocated for it */
	struct i8042 i8042;
	struct vga vga;
	struct screen screen;		  /* what the console shows of it; display.h */
	struct lapic lapic[VM_VCPUS_MAX]; /* the vCPUs', not under the lock */
};

/* The board of a VM, before it runs. ERR_NO_MEMORY. */
int pc_create(struct vm *vm) __must_check;
void pc_destroy(struct vm *vm);

/* The level of an interrupt line. Any CPU, any context that may take LOCK_VM. */
void pc_set_irq(struct pc *pc, enum pc_irq irq, bool level);

/*
 * An access of `size` bytes (1, 2, 4) to the ports of the board, in one hold of the lock (PORT-1).
 * Returns how many of the bytes a chip answered; the others read all ones. Takes LOCK_DEVICE, and
 * LOCK_VM after it.
 */
unsigned pc_port_read(struct pc *pc, u16 port, unsigned size, u32 *value);
unsigned pc_port_write(struct pc *pc, u16 port, unsigned size, u32 value);

/* A typed character for the keyboard; any CPU. Without room it is lost. */
bool pc_keyboard_has_room(struct pc *pc);
void pc_keyboard_type(struct pc *pc, char c);

/*
 * Owner. Is an interrupt pending that the vCPU would take now; which one (and it is acknowledged).
 */
bool pc_irq_pending(struct vcpu *vcpu);
u8 pc_irq_take(struct vcpu *vcpu);

/* Owner. The tick at which the next timer of the vCPU is due; carries out what is due by now. */
u64 pc_alarm(const struct vcpu *vcpu, u64 now);
void pc_run_timers(struct vcpu *vcpu);

/* The board as a source of interrupts: the functions above and the next one, and CR8. */
extern const struct irqchip_ops pc_irqchip;

/*
 * Owner. Does the vCPU take periodic interrupts of the PIT by the I/O APIC, which its system may
 * compare with the TSC?
 */
bool pc_ticks_count(const struct vcpu *vcpu);

/* Owner, loaded. MSRs of the local APIC; false means #GP. */
bool pc_msr_read(struct vcpu *vcpu, u32 index, u64 *value);
bool pc_msr_write(struct vcpu *vcpu, u32 index, u64 value);

/*
 * Owner, loaded. A register of the memory-mapped APICs; an address where nothing is reads all ones.
 */
u32 pc_mmio_read(struct vcpu *vcpu, struct gpa gpa);
void pc_mmio_write(struct vcpu *vcpu, struct gpa gpa, u32 value);

/* As pci_mmio_update(), for a register of the I/O APIC; false: there is none. */
bool pc_mmio_update(struct vcpu *vcpu, struct gpa gpa, device_update update,
		    void *context) __must_check;

#endif
