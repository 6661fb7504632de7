/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_config.h: the configuration of a VM, as the parser of command lines (config.h) leaves it.
 */
#ifndef SAMEPAGE_HV_VM_CONFIG_H
#define SAMEPAGE_HV_VM_CONFIG_H

#include <lib/types.h>
#include <mm/dirty_log.h>

#define VM_NAME_MAX	  24
#define VM_ARG_MAX	  2048 /* what Linux takes, and its NUL */
#define VM_VCPUS_MAX	  16
#define VM_DEVICES_MAX	  64
#define VM_DISKS_MAX	  4
#define VM_MEMORY_MIN	  (64ull << 10)
#define VM_MEMORY_MAX	  (1ull << 40)
#define VM_CONSOLE_MIN	  256ull
#define VM_CONSOLE_SIZE	  (256ull << 10)
#define VM_KILL_AFTER_MAX 86400000ull

#define VM_MERGE_OWN 0x10000u

#define VM_SUBSCRIBER_ROWS 8
#define VM_SUBSCRIBERS	   1024 /* of all rows, views aside */
#define VM_SUBSCRIBER_WAIT 1000 /* us */

/*
 * VIEW: a second stage 2, which the last vCPU uses. The others are of include/mm/mirror.h, and in
 * its order; `wait` in microseconds.
 */
enum vm_subscriber_kind {
	VM_SUBSCRIBER_BUSY,
	VM_SUBSCRIBER_SLOW,
	VM_SUBSCRIBER_SHADOW,
	VM_SUBSCRIBER_INTERVAL,
	VM_SUBSCRIBER_VIEW,
	VM_SUBSCRIBER_KINDS
};

struct vm_config_subscriber {
	enum vm_subscriber_kind kind;
	unsigned wait, count;
};

enum vm_type { VM_MULTIBOOT, VM_REAL, VM_LINUX, VM_BIOS };

/* What happens to a page that a read of a disk has filled (docs/virtio.md). */
enum vm_disk_hints { VM_HINTS_OFF, VM_HINTS_SCAN, VM_HINTS_KNOWN };

/*
 * memory	bytes of RAM, whole pages
 * cpus		the machine's CPUs it may use, bit n for CPU n; 0: any. vCPU i gets the i-th, in turn
 * board	a virtual PC around the CPUs (pc.h): always for Linux or a BIOS, else on request
 * no_x2apic	its local APICs have no x2APIC mode
 * keyboard	what is typed comes by the board's keyboard, not by the UART
 * populate	back all memory when the VM is made, with large pages where they fit; else on first touch
 * merge_domain	VMs of the same number share identical pages; 0: not merged; VM_MERGE_OWN: with itself alone
 * merge_marked	only what the guest marks is mergeable, not all its memory
 * merge_control	it may say how its domain is merged
 * test_calls	it may make the hypercalls for tests and measurements
 * devices	device models that look into its memory, each with a guest cache of its own; number 0 is the console
 * subscriber	further subscribers to its memory; subscribers: rows of them
 * dirty_log	log which pages are written, from the start, by way of `dirty`
 * console	bytes its console may print before the rest is dropped
 * kill_after	milliseconds after its start at which it is ended from outside; 0: never
 * rng, hvc	a virtio device for random bytes, for a console
 * net, mac	a network device at the switch of that name; mac valid with has_mac
 * balloon	with has_balloon: a memory balloon, and the bytes that it is to take at first
 * disk		the images of its disks, in order; disks: how many
 * disk_hints	of all its disks
 * pmem		the image that its persistent memory has, or none
 * image	a disk image of this name, not a VM; then nothing else is valid beside it
 * module_of	a file for the VM of this name, not a VM; then only `arg` is valid beside it
 */
struct vm_config {
	char name[VM_NAME_MAX];
	char module_of[VM_NAME_MAX];
	char image[VM_NAME_MAX];
	char disk[VM_DISKS_MAX][VM_NAME_MAX];
	unsigned disks;
	enum vm_disk_hints disk_hints;
	char pmem[VM_NAME_MAX];
	char arg[VM_ARG_MAX];
	enum vm_type type;
	bool board;
	bool no_x2apic;
	bool keyboard;
	bool populate;
	bool dirty_log;
	enum dirty_mode dirty;
	u64 memory;
	unsigned vcpus;
	unsigned devices;
	struct vm_config_subscriber subscriber[VM_SUBSCRIBER_ROWS];
	unsigned subscribers;
	u64 cpus;
	u64 console;
	u64 kill_after;
	u32 merge_domain;
	char net[VM_NAME_MAX];
	u8 mac[6];
	bool has_mac;
	bool has_balloon;
	u64 balloon;
	bool rng;
	bool hvc;
	bool merge_marked;
	bool merge_control;
	bool test_calls;
};

#endif
