# SPDX-License-Identifier: Apache-2.0
# reporting.sh: free page reporting by Debian's balloon driver: memory that was used and is free
# again goes back to the hypervisor.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
say() { echo "reporting: $*"; }
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci \
	virtio_balloon; do
	insmod "$(find /lib/modules -name $name.ko)" || say "NO MODULE $name"
done
for round in 1 2; do
	dd if=/dev/zero of=/tmp/used bs=1M count=48 2>/dev/null
	rm /tmp/used
	sleep 8 # the driver reports after two seconds, a part at a time
done
say "done"
