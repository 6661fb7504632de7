/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvc.c: the console device of a VM on the machine: its output goes to the VM's console (console.h)
 * as the UART's does, typed bytes come from the terminal (terminal.h).
 */
#include <hv/memory.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include "hv/virtio/console.h"
#include "hv/virtio/create.h"
#include "hv/virtio/dma.h"

#define LOG_THIS LOG_DEVICE

static void destroy_console(struct virtio_device *device)
{
	struct virtio_console *console = container_of(device, struct virtio_console, device);

	log_info("%s: hvc: %lu bytes sent, %lu resets needed", device->pci.vm->config.name,
		 console->sent, device->malformed);
	virtio_dma_destroy(&device->memory);
	hv_free(console, sizeof(*console));
}

static const struct virtio_ops console_ops = {
	.type = VIRTIO_CONSOLE,
	.class = 0x078000,
	.run = virtio_console_run,
	.config_written = virtio_console_config_written,
	.reset = virtio_console_reset,
	.destroy = destroy_console,
};

static void console_send_text(void *context, const char *text, size_t len)
{
	struct console *console = context;

	spin_lock(&console->lock);
	for (size_t i = 0; i < len; i++)
		console_put(console, text[i]);
	spin_unlock(&console->lock);
}

static bool input_is_open(void *context)
{
	struct virtio_console *console = context;
	bool open;

	spin_lock(&console->device.pci.lock);
	open = virtio_console_is_open(console);
	pci_unlock(&console->device.pci);
	return open;
}

static bool input_has_room(void *context)
{
	struct virtio_console *console = context;
	bool room;

	spin_lock(&console->device.pci.lock);
	room = virtio_console_has_room(console);
	pci_unlock(&console->device.pci);
	return room;
}

static void input_type(void *context, u8 byte)
{
	struct virtio_console *console = context;

	spin_lock(&console->device.pci.lock);
	virtio_console_type(console, byte);
	pci_unlock(&console->device.pci);
	pci_request_work(&console->device.pci, (u32)BIT(CONSOLE_RECEIVE));
}

int virtio_add_console(struct vm *vm)
{
	struct virtio_console *console = hv_alloc(sizeof(*console));
	int err;

	if (!console)
		return ERR_NO_MEMORY;
	console->send = console_send_text;
	console->context = &vm->console;
	virtio_console_init(console, &console_ops);
	err = virtio_attach(vm, &console->device);
	if (err) {
		hv_free(console, sizeof(*console));
		return err;
	}
	vm->input = (struct vm_input){input_is_open, input_has_room, input_type, console};
	return 0;
}
