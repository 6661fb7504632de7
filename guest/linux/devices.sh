# SPDX-License-Identifier: Apache-2.0
# devices.sh: the virtio devices without a disk: random bytes and a console.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/char/hw_random/virtio-rng.ko
# with linux/cloud: lib/modules/*/kernel/drivers/char/virtio_console.ko
say() { echo "devices: $*"; }
load() {
	for name in "$@"; do
		insmod "$(find /lib/modules -name $name.ko)" || say "NO MODULE $name"
	done
}
load virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
load virtio-rng virtio_console
say "$(dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c) random bytes"
for i in 1 2 3 4 5 6 7 8 9; do echo "hvc: line $i of the console"; done >/dev/hvc0
say "done"
