# SPDX-License-Identifier: Apache-2.0
# root.sh: mounts the root of a system, which init then starts: what root= of the kernel's line
# names, or the first virtio disk as a whole.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/block/virtio_blk.ko
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
	insmod "$(find /lib/modules -name $name.ko)" || echo "root: NO MODULE $name"
done
mkdir -p /root
device=$(sed -n 's/.*\broot=\([^ ]*\).*/\1/p' /proc/cmdline)
mount -t ext4 "${device:-/dev/vda}" /root || echo "root: NOT MOUNTED"
