# SPDX-License-Identifier: Apache-2.0
# diskbench.sh: blocks of 4 KiB from and to /dev/vda without the page cache, a request each: the job
# of `./run bench virtio` and of its peer.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/block/virtio_blk.ko
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
	insmod "$(find /lib/modules -name $name.ko)" || echo "diskbench: NO MODULE $name"
done
transfer() {
	name=$1
	shift
	dd bs=4k count=2000 "$@" 2>/tmp/log
	echo "diskbench: $name $(awk '/copied/ { print $(NF - 3) }' /tmp/log) s"
}
transfer warm if=/dev/vda of=/dev/null iflag=direct
transfer read if=/dev/vda of=/dev/null iflag=direct
dd if=/dev/zero of=/tmp/data bs=4k count=2000 2>/dev/null
transfer warm if=/tmp/data of=/dev/vda oflag=direct
transfer write if=/tmp/data of=/dev/vda oflag=direct
