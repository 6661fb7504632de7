/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lan.c: the switches of the machine by name, and the VMs at their ports.
 *
 * A device wakes the devices of other VMs by port number, after its own lock is released
 * (pci_ops.wake). The VM of a port is held meanwhile, so its device is there; a VM that has ended
 * is not woken.
 */
#include <hv/memory.h>
#include <hv/virtio.h>
#include <hv/vm.h>
#include <arch/ticks.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include "hv/virtio/create.h"
#include "hv/virtio/dma.h"
#include "hv/virtio/net/net.h"

#define LOG_THIS LOG_DEVICE
#define LANS_MAX 8

/* [I] once the VMs run, but `on`. */
static struct lan {
	char name[VM_NAME_MAX];
	struct net_switch on;
	struct vm *vm[SWITCH_PORTS];
	struct virtio_net *net[SWITCH_PORTS];
} lans[LANS_MAX];

static struct lan *lan_find(const char *name)
{
	for (unsigned i = 0; i < LANS_MAX; i++) {
		if (!lans[i].name[0]) {
			(void)string_copy(lans[i].name, sizeof(lans[i].name), name);
			switch_init(&lans[i].on);
		}
		if (!strcmp(lans[i].name, name))
			return &lans[i];
	}
	return NULL;
}

static void lan_wake(const struct lan *lan, u32 ports)
{
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		if (!(ports & BIT(i)) || !vm_hold(lan->vm[i]))
			continue;
		pci_request_work(&lan->net[i]->device.pci,
				 (u32)(BIT(NET_RECEIVE) | BIT(NET_TRANSMIT)));
		vm_release(lan->vm[i]);
	}
}

static void net_wake(struct virtio_device *device, u32 others)
{
	struct virtio_net *net = container_of(device, struct virtio_net, device);

	lan_wake(container_of(net->port.on, struct lan, on), others);
}

static void net_destroy(struct virtio_device *device)
{
	struct virtio_net *net = container_of(device, struct virtio_net, device);
	const struct switch_counters *port = &net->port.counters;

	switch_detach(&net->port);
	log_info("%s: net %s: %lu packets sent, %lu received, %lu dropped, %lu malformed, %lu "
		 "spoofed, %lu resets needed, %lu large whole, %lu cut",
		 device->pci.vm->config.name, device->pci.vm->config.net, net->counters.sent,
		 port->received, port->dropped + net->counters.too_small, net->counters.malformed,
		 port->spoofed, device->malformed, net->counters.whole, net->counters.cut);
	virtio_dma_destroy(&device->memory);
	hv_free(net, sizeof(*net));
}

static const struct virtio_ops net_ops = {
	.type = VIRTIO_NET,
	.class = 0x020000,
	.run = net_run,
	.wake = net_wake,
	.reset = net_reset,
	.destroy = net_destroy,
};

/* 02h: locally administered. */
static void choose_mac(const struct vm *vm, u8 *mac)
{
	const u8 derived[MAC_BYTES] = {2, 'S', 'P', 0, (u8)(vm->id >> 8), (u8)vm->id};

	memcpy(mac, vm->config.has_mac ? vm->config.mac : derived, MAC_BYTES);
}

static int plug_in(struct vm *vm, struct virtio_net *net, struct lan *lan)
{
	int err = switch_attach(&lan->on, &net->port, net->port.mac);

	if (err)
		return err;
	lan->vm[net->port.number] = vm;
	lan->net[net->port.number] = net;
	err = virtio_attach(vm, &net->device);
	if (err)
		switch_detach(&net->port);
	return err;
}

int virtio_add_net(struct vm *vm)
{
	struct lan *lan = lan_find(vm->config.net);
	struct virtio_net *net;
	int err;

	if (!lan)
		return ERR_RANGE;
	net = hv_alloc(sizeof(*net));
	if (!net)
		return ERR_NO_MEMORY;
	choose_mac(vm, net->port.mac);
	net_init(net, &net_ops);
	err = plug_in(vm, net, lan);
	if (err)
		hv_free(net, sizeof(*net));
	return err;
}

bool virtio_poll(bool idle)
{
	u64 now = arch_ticks();

	for (unsigned i = 0; i < LANS_MAX && lans[i].name[0]; i++)
		lan_wake(&lans[i], switch_overdue(&lans[i].on, now));
	return false;
}

u64 virtio_alarm(void)
{
	u64 due = TICK_NEVER;

	for (unsigned i = 0; i < LANS_MAX && lans[i].name[0]; i++)
		due = MIN(due, switch_due(&lans[i].on));
	return due;
}
