# SPDX-License-Identifier: Apache-2.0
# diskbench.sh: blocks of 4 KiB from and to /dev/vda without the page cache, a request each: the job
# of `./run bench virtio` and of its peer.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/block/virtio_blk.ko
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
	insmod "$(find /lib/modules -name $name.ko)" || echo "diskbench: NO MODULE $name"
done
# In nanoseconds; the clock of /proc/uptime has steps of 10 ms.
now() { sed -n 's/^now at \([0-9]*\) nsecs/\1/p' /proc/timer_list; }
transfer() {
	name=$1
	shift
	before=$(now)
	dd bs=4k count=3000 "$@" 2>/tmp/log || cat /tmp/log
	echo "diskbench: $name from $before to $(now)"
}
dd bs=4k count=3000 if=/dev/vda of=/dev/null iflag=direct 2>/dev/null
transfer read if=/dev/vda of=/dev/null iflag=direct
dd if=/dev/zero of=/tmp/data bs=4k count=3000 2>/dev/null
dd bs=4k count=3000 if=/tmp/data of=/dev/vda oflag=direct 2>/dev/null
transfer write if=/tmp/data of=/dev/vda oflag=direct
